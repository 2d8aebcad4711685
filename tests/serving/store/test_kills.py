"""Processes and servers killed during a write, and full disks: acknowledged events are counted once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine
from sqlalchemy import event as hooks

from recommender.serving.store import ArticleRow, Event, Store, StoreDownError
from tests.support import postgresql
from tests.support.counts import NOW, totals, view
from tests.support.waiting import eventually

EVENTS = [view(f"{n % 3}", event_id=str(n), visitor=b"%d" % n, list="related") for n in range(9)]
COUNTED = {"0": 3, "1": 3, "2": 3}
MOMENTS = (
    "begin",
    "before_cursor_execute",
    "after_cursor_execute",
    "commit",
    "checkin",
)  # checkin is after the commit

# A client that retries what was not acknowledged: it counts batches of events from `first` on, and prints the
# number of each batch once it is counted. Batch n contains events of article n % 5 with distinct ids.
WRITER = """
import sys
from recommender.serving.store import Event, Store, StoreDownError
url, name, first, last, now = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
store = Store(url, timeout_seconds=20, pause_seconds=0)
sys.stdin.readline()
for batch in range(first, last):
    events = [Event(f"{batch % 5}", "view", now, event_id=f"{name} {batch} {n}") for n in range(20)]
    store.count(events, now)
    print(batch, flush=True)
store.close()
"""


def writer(url: str, name: str, first: int, last: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, url, name, str(first), str(last), str(NOW)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def start(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def killed(process: "subprocess.Popen[str]", least: int) -> int:
    """Kill the writer after `least` batches, or all; return the last batch that it acknowledged."""
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(least)]
    process.kill()
    lines += process.stdout.readlines()
    process.communicate()
    return max(int(line) for line in lines if line.endswith("\n"))


def calls_until_killed(store: Store, events: Sequence[Event], kill_at: int) -> int:
    """Count the events, but kill this process at database call `kill_at`; return the number of calls."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    store.version()
    for moment in MOMENTS:
        hooks.listen(Engine, moment, count)
    store.count(events, NOW)
    for moment in MOMENTS:
        hooks.remove(Engine, moment, count)
    return calls


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_process_killed_at_any_call_counts_all_of_its_events_or_none(database_url: str) -> None:
    with closing(Store(database_url, pause_seconds=0)) as store:
        last = calls_until_killed(store, EVENTS, kill_at=0)
    assert last > 20
    expected = dict(COUNTED)
    for kill_at in range(1, last + 1):
        batch = [_renamed(event, kill_at) for event in EVENTS]
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                calls_until_killed(Store(database_url), batch, kill_at)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), kill_at

        with closing(Store(database_url, pause_seconds=0)) as store:
            counts_after_kill = totals(store)
            verdicts = store.count(batch, NOW)
            expected = {article: n + 3 for article, n in expected.items()}
            assert len(set(verdicts)) == 1, kill_at
            assert (counts_after_kill == expected) == (verdicts[0] == "duplicate"), kill_at
            assert totals(store) == expected, kill_at


@pytest.mark.slow
def test_writers_killed_again_and_again_count_every_event_once(database_url: str) -> None:
    last, kills = 1000, 5
    done = {"one": 0, "two": 0}
    for _ in range(kills):
        writers = {name: writer(database_url, name, first, last) for name, first in done.items()}
        for process in writers.values():
            start(process)
        done = {name: killed(process, least=30) for name, process in writers.items()}
    writers_left = [writer(database_url, name, first, last) for name, first in done.items()]
    for process in writers_left:
        process.communicate("\n")

    with closing(Store(database_url)) as store:
        assert totals(store) == {str(article): 2 * last // 5 * 20 for article in range(5)}


@pytest.mark.slow
def test_many_processes_may_start_at_once_on_an_empty_database(database_url: str) -> None:
    writers = [writer(database_url, str(name), 0, 5) for name in range(4)]
    for process in writers:
        start(process)
    for process in writers:
        process.communicate()

    assert [process.returncode for process in writers] == [0] * 4
    with closing(Store(database_url)) as store:
        assert totals(store) == {str(article): 80 for article in range(5)}


@contextmanager
def traffic(store: Store, counted: list[int], errors: list[str]) -> Iterator[None]:
    """Count events repeatedly until the end; a failed batch is sent again with the same ids."""
    end = Flag()

    def send() -> None:
        batch = 0
        while not end.is_set():
            try:
                store.count([view(event_id=f"{batch} {n}") for n in range(10)], NOW)
                counted.append(batch)
                batch += 1
            except StoreDownError as down:
                errors.append(str(down))
                end.wait(0.01)

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def kill_all(server: Any) -> None:
    """Kill the server and all its processes."""
    parent = psutil.Process(server.get_pid())
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=30)


def wait_for(items: Sequence[Any], more: int) -> None:
    """Return once there are `more` new items, within a minute."""
    target = len(items) + more
    eventually(lambda: len(items) >= target, 60, lambda: f"{len(items)} of {target}")


@pytest.mark.slow
def test_a_killed_postgresql_rejects_writes_and_has_lost_nothing_after_its_restart() -> None:
    counted: list[int] = []
    errors: list[str] = []
    with (
        postgresql.running_server() as server,
        closing(Store(postgresql.url_of(server), pause_seconds=0)) as store,
    ):
        _, version = store.put_articles([ArticleRow("a", 1, withdrawn=False, payload=b"{}")])
        with traffic(store, counted, errors):
            for _ in range(2):
                wait_for(counted, 20)
                kill_all(server)
                wait_for(errors, 3)
                server.ensure_postgres_running()
            wait_for(counted, 20)

        assert totals(store) == {"a": 10 * len(counted)}
        assert store.changes(version).articles == []
        assert store.article("a") is not None


@pytest.mark.slow
def test_a_full_disk_rejects_writes_and_nothing_is_lost_once_there_is_space(full_disk: Path) -> None:
    ballast = full_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    counted = 0
    with closing(Store(f"sqlite:///{full_disk / 'store.db'}", pause_seconds=0)) as store:
        while True:
            try:
                store.count(_batch(counted), NOW)
            except StoreDownError as down:
                reason = str(down)
                break
            counted += 1

        assert "full" in reason
        assert totals(store) == {"a": 50 * counted}
        with pytest.raises(StoreDownError):
            store.count(_batch(counted), NOW)
        ballast.unlink()
        for batch in (counted, counted + 1):
            assert store.count(_batch(batch), NOW) == ["counted"] * 50
        assert totals(store) == {"a": 50 * (counted + 2)}


def _batch(number: int) -> list[Event]:
    return [view(event_id=f"{number} {n}", visitor=b"%d %d" % (number, n)) for n in range(50)]


def _renamed(event: Event, kill_at: int) -> Event:
    name = f"{kill_at} {event.event_id}"
    return view(event.article_id, event_id=name, visitor=name.encode(), list="related")
