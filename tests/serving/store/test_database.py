"""Guarantees of every write, and errors when the database fails."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text

from recommender.serving.store import ArticleRow, Store, StoreDownError, StoreError
from recommender.serving.store import database as database_module
from recommender.serving.store.database import Database
from recommender.serving.store.engine import _ONE_WRITER
from recommender.serving.store.writer import Job, Writer
from tests.support.counts import NOW, totals, view
from tests.support.waiting import eventually

T = TypeVar("T")

ROW = ArticleRow("a", 1, withdrawn=False, payload=b"{}")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url, timeout_seconds=5, pause_seconds=0)) as database:
        yield database


class Slow:
    """Work that waits, and records its items."""

    def __init__(self) -> None:
        self.started = Event()
        self.go_on = Event()
        self.groups: list[list[str]] = []

    def __call__(self, _: Connection, items: list[str]) -> list[str]:
        self.groups.append(sorted(items))
        self.started.set()
        assert self.go_on.wait(timeout=30)
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


def once_available(call: Callable[[], T]) -> T:
    """Return the result of the first call that finds the database up, within half a minute."""
    results: list[T] = []

    def succeeds() -> bool:
        with suppress(StoreDownError):
            results.append(call())
        return bool(results)

    eventually(succeeds)
    return results[0]


@contextmanager
def queued_jobs() -> Iterator[Semaphore]:
    """Yield a semaphore that is released by each caller who has queued a job and begins to wait for it."""
    queued = Semaphore(0)

    class Settled(Event):
        def wait(self, timeout: float | None = None) -> bool:
            queued.release()
            return super().wait(timeout)

    def create(work: Callable[..., list[Any]], item: object, durable: bool) -> Job:  # noqa: FBT001
        return Job(work, item, durable, settled=Settled())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "Job", create)
        yield queued


@contextmanager
def others_waiting(database: Database, work: Slow, items: list[str]) -> Iterator[Sequence[Callable[[], str]]]:
    """Let callers wait behind a running write; yield the function that returns each result."""
    with ThreadPoolExecutor(len(items) + 1) as threads:
        first = threads.submit(database.write, work, "first")
        assert work.started.wait(timeout=30)
        with queued_jobs() as queued:
            results = [threads.submit(database.write, work, item).result for item in items]
            assert all(queued.acquire(timeout=30) for _ in items)
        work.go_on.set()
        yield results
        assert first.result() == "FIRST"


def test_waiting_writes_share_one_transaction(database: Database) -> None:
    work = Slow()

    with others_waiting(database, work, ["a", "b", "c"]) as results:
        assert [result() for result in results] == ["A", "B", "C"]

    assert work.groups == [["first"], ["a", "b", "c"]]


def test_a_failing_write_does_not_fail_the_others(database: Database) -> None:
    work = Slow()

    with others_waiting(database, work, ["a", "bad", "c"]) as results:
        assert (results[0](), results[2]()) == ("A", "C")
        with pytest.raises(ValueError, match="bad"):
            results[1]()

    assert work.groups[:2] == [["first"], ["a", "bad", "c"]]
    assert sorted(work.groups[2:]) == [["a"], ["bad"], ["c"]]  # they ran in any order


def test_a_failed_write_is_rolled_back(database: Database) -> None:
    def fail(connection: Connection, _: list[None]) -> list[None]:
        connection.execute(text("DELETE FROM numbers"))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 raised above
        database.write(fail, None)

    assert database.read(lambda connection: connection.execute(text("SELECT count(*) FROM numbers")).scalar())


def test_a_rejected_value_is_a_different_error_from_a_database_that_is_down(postgresql_url: str) -> None:
    with closing(Store(postgresql_url)) as store:
        with pytest.raises(StoreError, match="rejects a value") as error:
            store.put_rule("a", "no \0 in PostgreSQL")

        assert not isinstance(error.value, StoreDownError)
        assert store.put_rule("a", "1")[0]


def test_concurrent_writes_lose_nothing(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        batches = [[view(f"{n % 3}", event_id=f"{n} {event}") for event in range(5)] for n in range(24)]
        list(threads.map(lambda batch: store.count(batch, NOW), batches))

    assert totals(store) == {"0": 40, "1": 40, "2": 40}


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the write lock."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    begin = "BEGIN IMMEDIATE" if url.startswith("sqlite") else f"SELECT pg_advisory_lock({_ONE_WRITER})"
    with engine.connect() as connection:
        connection.execute(text(begin))
        yield
    engine.dispose()


def test_a_busy_database_rejects_writes_serves_reads_and_recovers(database_url: str) -> None:
    with (
        closing(Store(database_url, pause_seconds=0)) as store,
        closing(Store(database_url, timeout_seconds=0.05, pause_seconds=0)) as impatient,
    ):
        store.put_articles([ROW])

        with locked(database_url):
            with pytest.raises(StoreDownError):
                impatient.put_articles([ROW])
            assert store.article("a") is not None

        assert once_available(lambda: impatient.put_articles([ROW])[0]) == ["unchanged"]


def test_a_missing_database_is_down_until_it_can_be_created(tmp_path: Path) -> None:
    folder = tmp_path / "not yet"
    with closing(Store(f"sqlite:///{folder}/store.db", pause_seconds=0)) as store:
        with pytest.raises(StoreDownError, match="unable to open database file"):
            store.count([view()], NOW)

        folder.mkdir()

        assert store.count([view()], NOW) == ["counted"]


def test_an_unreachable_server_is_down() -> None:
    with closing(Store("postgresql+psycopg://user:secret@127.0.0.1:1/none")) as store:
        with pytest.raises(StoreDownError, match="refused") as down:
            store.counts()
        assert "secret" not in str(down.value)


def test_calls_fail_at_once_for_a_while_after_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "not yet"
    with closing(Store(f"sqlite:///{folder}/store.db", pause_seconds=1000)) as store:
        with pytest.raises(StoreDownError):
            store.counts()
        folder.mkdir()

        with pytest.raises(StoreDownError, match="unable to open database file"):
            store.counts()


def test_a_file_of_another_format_is_down_until_it_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_text("this is not a database " * 1000)
    with closing(Store(f"sqlite:///{file}", pause_seconds=0)) as store:
        with pytest.raises(StoreDownError, match="file is not a database"):
            store.counts()

        file.unlink()

        assert store.count([view()], NOW) == ["counted"]


def test_a_full_database_rejects_writes_serves_reads_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with closing(Store(url, pause_seconds=0)) as unlimited:
        _, version = unlimited.put_articles([ROW])
    with monkeypatch.context() as patch, closing(Store(url, pause_seconds=0)) as store:
        patch.setattr("recommender.serving.store.engine._SQLITE_SETTINGS", ("max_page_count=40",))
        with pytest.raises(StoreDownError, match="full"):
            store.put_articles([ArticleRow("b", 1, withdrawn=False, payload=bytes(1 << 20))])

        assert store.changes(0).version == version
        assert store.count([view()], NOW) == ["counted"]


def test_a_lost_file_is_recreated_and_versions_of_the_old_one_are_foreign(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with closing(Store(f"sqlite:///{file}", pause_seconds=0)) as store:
        _, version = store.put_articles([ROW])
        for path in tmp_path.glob("store.db*"):
            path.unlink()

        changes = store.changes(version)

        assert changes.complete
        assert changes.articles == []
        assert store.put_articles([ROW])[0] == ["created"]
    with closing(sqlite3.connect(file)) as recreated:
        assert recreated.execute("SELECT id FROM articles").fetchall() == [("a",)]


def test_lost_tables_are_recreated(postgresql_url: str) -> None:
    with closing(Store(postgresql_url, pause_seconds=0)) as store:
        store.put_articles([ROW])
        engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()
        with pytest.raises(StoreDownError):
            store.counts()

        assert store.put_articles([ROW])[0] == ["created"]


def test_callers_do_not_wait_long_for_a_hanging_database(database_url: str) -> None:
    work = Slow()
    with (
        closing(Database(database_url, timeout_seconds=0.02, pause_seconds=0)) as database,
        ThreadPoolExecutor(1) as threads,
    ):
        hanging = threads.submit(database.write, work, "hangs")
        assert work.started.wait(timeout=30)
        with pytest.raises(StoreDownError, match="timed out"):
            database.write(work, "waits in vain")
        with pytest.raises(StoreDownError, match="timed out"):
            hanging.result()
        with pytest.raises(StoreDownError, match="timed out"):
            database.read(lambda connection: connection.execute(text("SELECT 1")))

        work.go_on.set()

        assert once_available(lambda: database.write(work, "again")) == "AGAIN"
        assert work.groups[0] == ["hangs"]
        assert all(group == ["again"] for group in work.groups[1:])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_has_its_own_connections(store: Store) -> None:
    store.count([view()], NOW)
    child = os.fork()
    if child == 0:
        verdicts = store.count([view()] * 2, NOW)
        os._exit(0 if verdicts == ["counted"] * 2 else 1)

    _, status = os.waitpid(child, 0)

    assert status == 0
    store.count([view()], NOW)
    assert totals(store) == {"a": 4}


def test_only_durable_writes_are_synced_to_the_disk(tmp_path: Path) -> None:
    def synchronous(connection: Connection, items: list[None]) -> list[int]:
        return [connection.execute(text("PRAGMA synchronous")).scalar_one()] * len(items)

    with closing(
        Database(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5, pause_seconds=0)
    ) as database:
        normal, full = 1, 2

        assert database.write(synchronous, None) == normal
        assert database.write(synchronous, None, durable=True) == full
        assert database.write(synchronous, None) == normal


def test_a_store_can_be_closed_and_used_again(store: Store) -> None:
    store.count([view()], NOW)
    store.close()

    assert totals(store) == {"a": 1}


def test_after_a_thread_that_cannot_start_the_next_write_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with closing(Store(f"sqlite:///{tmp_path / 'live.db'}", pause_seconds=0)) as store:
        store.version()
        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", fail)
            with pytest.raises(StoreDownError, match="can't start new thread"):
                store.withdraw("lost", 1)

        version = store.withdraw("a", 1)

        assert [row.id for row in store.changes().articles] == ["a"]
        assert store.version() == version
    assert len(caplog.records) == 1


def test_a_writer_that_ends_by_an_error_fails_its_callers_and_starts_again() -> None:
    def settle(jobs: list[Job]) -> None:
        if jobs[0].item == "bad":
            raise MemoryError
        jobs[0].succeed(jobs[0].item)

    writer = Writer(settle, 20)

    for _ in range(2):
        with pytest.raises(MemoryError):
            writer.do(Job(list, "bad", durable=False))
        writer.check()
        assert writer.do(Job(list, "good", durable=False)) == "good"


@pytest.mark.parametrize("durable", [True, False])
def test_an_error_before_a_transaction_begins_is_a_database_that_is_down(
    tmp_path: Path,
    durable: bool,  # noqa: FBT001
) -> None:
    """The statements that make writes durable, and empty the journal, run outside transactions."""
    with closing(Store(f"sqlite:///{tmp_path / 'live.db'}", pause_seconds=0)) as store:
        store.withdraw("a", 1)
        if durable:
            store.count([], 0)
        forbid("PRAGMA", store)

        with pytest.raises(StoreDownError, match="not authorized"):
            store.withdraw("b", 1) if durable else store.count([], 0)


def forbid(statement: str, store: Store) -> None:
    """Make the database reject statements that begin like this, on all connections."""
    engine: Engine = store._database._engine

    def check(*arguments: Any) -> None:
        if arguments[2].startswith(statement):
            raise sqlite3.OperationalError("not authorized")

    event.listen(engine, "before_cursor_execute", check)
