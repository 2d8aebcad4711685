"""The registry on a real S3 server: conditional writes, killed copies, and services that follow."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from threading import Event

import psutil
import pytest

from recommender.artifact import current_version, open_current, publish, versions
from recommender.registry import pull, push, registry_version
from recommender.storage import ConflictError, Storage
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.object_store import ObjectStore, object_store
from tests.support.servers import ROOT, Server, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store(monkeypatch) as store:
        yield store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    publish(build_model(newsroom()), tmp_path / "source", now=NOW)
    return tmp_path / "source"


def publish_another(source: Path) -> str:
    return publish(build_model(newsroom()[1:]), source, now=NOW + timedelta(hours=len(versions(source))))


def start(*words: str | Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "recommender", "models", *map(str, words)], cwd=ROOT)


def test_only_one_of_two_pushes_at_once_makes_its_version_current(store: ObjectStore, source: Path) -> None:
    first, second = current_version(source), publish_another(source)
    store.stop_after("PUT", 3)
    slow = start("push", store.url, "--models-dir", source)
    assert store.is_stopped.wait(60)
    store.let_others_pass()
    push(source, store.url, first)
    store.go_on()

    assert slow.wait(60) == 1
    assert registry_version(store.url) == first
    assert push(source, store.url).version == registry_version(store.url) == second


def test_current_is_replaced_only_if_it_did_not_change(store: ObjectStore) -> None:
    storage = Storage(store.url)
    storage.replace("CURRENT", b"1", None)
    before = storage.read("CURRENT", 10)
    storage.replace("CURRENT", b"2", before)

    for stale in (before, None):
        with pytest.raises(ConflictError):
            storage.replace("CURRENT", b"3", stale)
    storage.replace("CURRENT", b"2", before)  # the response to a first call was lost
    assert storage.read("CURRENT", 10).content == b"2"


def test_a_copy_that_is_killed_in_the_middle_changes_nothing_and_is_repeated(
    store: ObjectStore, source: Path, tmp_path: Path
) -> None:
    first, target = current_version(source), tmp_path / "target"
    push(source, store.url)
    pull(target, store.url)
    second = publish_another(source)

    store.stop_after("PUT", 20)
    pushing = start("push", store.url, "--models-dir", source)
    assert store.is_stopped.wait(60)
    pushing.send_signal(signal.SIGKILL)
    pushing.wait()
    store.go_on()

    assert registry_version(store.url) == first
    assert pull(target, store.url).files == 0

    push(source, store.url)
    store.stop_after("GET", 20)
    pulling = start("pull", store.url, "--models-dir", target)
    assert store.is_stopped.wait(60)
    pulling.send_signal(signal.SIGKILL)
    pulling.wait()
    store.go_on()

    assert len(list((target / ".arriving" / second).iterdir())) > 10
    assert open_current(target).manifest.version == first
    assert pull(target, store.url).version == open_current(target).manifest.version == second
    assert not (target / ".arriving").exists()


def answered_version(server: Server) -> str:
    version: str = server.ask("GET", "/v1/related?id=8").body["model"]["version"]
    return version


def wait_for(servers: list[Server], version: str) -> None:
    """Return once all servers answer from a version."""
    eventually(lambda: all(answered_version(server) == version for server in servers))


def following_processes(server: Server) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]


def test_services_follow_the_registry_and_a_rollback_under_load_fails_no_request(
    store: ObjectStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOMMENDER_MODELS_URL", store.url)
    first = current_version(source)
    push(source, store.url)
    statuses, stopped = Counter[int](), Event()

    def service(name: str) -> AbstractContextManager[Server]:
        return serving(
            tmp_path / "log",
            models_dir=tmp_path / name / "models",
            database_url=f"sqlite:///{tmp_path / name}.db",
            state_file=tmp_path / f"{name}.json",
        )

    def load(server: Server) -> None:
        while not stopped.wait(0.005):
            statuses[server.ask("GET", "/v1/related?id=8").status] += 1

    with service("a") as a, service("b") as b, ThreadPoolExecutor(2) as clients:
        loads = [clients.submit(load, server) for server in (a, b)]
        try:
            wait_for([a, b], first)
            second = publish_another(source)
            push(source, store.url)
            wait_for([a, b], second)
            rollback = start("rollback", "--push", "--models-dir", source)
            assert rollback.wait(60) == 0
            wait_for([a, b], first)

            for process in following_processes(a):
                process.kill()
            push(source, store.url, second)
            wait_for([a, b], second)
            store.stop_after("HEAD", 0)  # the registry does not respond any more
            assert store.is_stopped.wait(60)
            wait_for([a, b], second)
        finally:
            stopped.set()
            store.go_on()
        assert [finished.result() for finished in loads] == [None, None]
        processes = following_processes(a) + following_processes(b)

    assert set(statuses) == {200}
    assert len(processes) == 2
    eventually(lambda: not any(process.is_running() for process in processes))
    assert "starts again" in (tmp_path / "log").read_text()
