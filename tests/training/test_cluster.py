"""Training on a Dask cluster: real schedulers and workers without a shared folder, on loopback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.article import Article
from recommender.artifact import open_current, publish
from recommender.training import cluster
from recommender.training.cluster import Cluster, ClusterError, connect
from recommender.training.train import Trained, train
from tests.support.cli import SAMPLE, in_a_process
from tests.support.sample import NOW
from tests.support.servers import ROOT
from tests.support.waiting import eventually

_START_SECONDS = 60


@dataclass(frozen=True)
class Processes:
    """A scheduler and its workers, by name."""

    address: str
    scheduler: "subprocess.Popen[bytes]"
    workers: "dict[str, subprocess.Popen[bytes]]"


def started(program: str, folder: Path, *options: object) -> "subprocess.Popen[bytes]":
    """Start a program of Dask in a new empty folder, which has its log."""
    folder.mkdir()
    command = [sys.executable, "-m", f"distributed.cli.{program}", *map(str, options), "--no-dashboard"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )


@contextmanager
def dask_cluster(folder: Path, *names: str) -> Iterator[Processes]:
    """Run a scheduler and workers of these names, with one thread each."""
    scheduler = started("dask_scheduler", folder / "scheduler", "--host", "127.0.0.1", "--port", "0")
    log = folder / "scheduler" / "log"
    workers = {}
    try:
        eventually(lambda: "Scheduler at:" in log.read_text(), _START_SECONDS, log.read_text)
        address = log.read_text().split("Scheduler at:")[1].split()[0]
        for name in names:
            own = ("--name", name, "--nthreads", 1, "--no-nanny", "--local-directory", ".")
            workers[name] = started("dask_worker", folder / name, address, *own)
        yield Processes(address, scheduler, workers)
    finally:
        for process in (*workers.values(), scheduler):
            process.send_signal(signal.SIGKILL)
            process.wait()


class WorkerKiller:
    """Receives the progress of training, and kills a busy worker in each of these steps."""

    def __init__(self, processes: Processes, connected: Cluster, *steps: str) -> None:
        self._processes, self._connected = processes, connected
        self._steps = list(steps)

    @contextmanager
    def step(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:  # noqa: ARG002 the protocol
        def advance(_: float) -> None:
            if self._steps[:1] == [name]:
                self._steps.pop(0)
                self._kill_one()

        yield advance

    def _kill_one(self) -> None:
        client = self._connected.client
        tasks = client.processing()
        busiest = max(tasks, key=lambda worker: len(tasks[worker]))
        assert tasks[busiest], "no worker is busy, so that the test would not test anything"
        name = client.scheduler_info(n_workers=-1)["workers"][busiest]["name"]
        self._processes.workers[name].kill()


def generated_articles(count: int, words: int) -> list[Article]:
    """Return articles of random words, frequent and rare ones."""
    draw = np.random.default_rng(1)
    numbers = np.minimum(draw.zipf(1.2, (count, words)), 20_000)
    spelt = np.array([f"w{number:05x}" for number in range(20_001)])
    return [
        Article(id=str(row), title="", body=" ".join(spelt[of_row])) for row, of_row in enumerate(numbers)
    ]


def published_files(trained: Trained, folder: Path) -> dict[str, str]:
    """Publish a model, and return the hashes of its files."""
    publish(trained.model, folder, extra_files=trained.extra_files())
    return open_current(folder).manifest.files


@pytest.mark.slow
def test_workers_that_die_do_not_change_a_byte(tmp_path: Path) -> None:
    articles = generated_articles(3000, words=700)
    alone = train(articles, now=NOW, threads=2)

    with dask_cluster(tmp_path, "one", "two", "three") as processes, connect(processes.address) as workers:
        workers.client.wait_for_workers(3, timeout=_START_SECONDS)
        killer = WorkerKiller(processes, workers, "terms", "neighbours")
        together = train(articles, now=NOW, threads=2, workers=workers, progress=killer)
        remaining = [name for name, worker in processes.workers.items() if worker.poll() is None]

    assert len(remaining) == 1
    assert published_files(together, tmp_path / "a") == published_files(alone, tmp_path / "b")


@pytest.mark.slow
def test_the_command_trains_on_a_cluster(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, "one") as processes:
        command = (sys.executable, "-m", "recommender", "train", SAMPLE, "--models-dir", tmp_path / "models")
        ended = in_a_process(*command, "--scheduler", processes.address, cwd=ROOT)

    assert ended.returncode == 0, ended.stderr
    assert open_current(tmp_path / "models").manifest.corpus.articles == 259


@pytest.mark.slow
def test_what_a_function_raises_on_a_worker_is_raised_here(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, "one") as processes, connect(processes.address) as workers:
        with pytest.raises(FileNotFoundError, match="absent"):
            list(workers.map(os.listdir, [("absent",)]))

        assert list(workers.map(divmod, [(number, 3) for number in range(50)])) == [
            divmod(number, 3) for number in range(50)
        ]


@pytest.mark.slow
def test_a_run_ends_when_no_worker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "_ALONE_SECONDS", 0.5)
    with dask_cluster(tmp_path, "one") as processes, connect(processes.address) as workers:
        results = workers.map(time.sleep, [(0,), (0,), (0,), (600,)])
        next(results)
        processes.workers["one"].kill()

        with pytest.raises(ClusterError, match="has no workers any more"):
            list(results)


@pytest.mark.slow
def test_a_run_ends_when_the_scheduler_ends(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, "one") as processes, connect(processes.address) as workers:
        results = workers.map(time.sleep, [(0,), (0,), (0,), (600,)])
        next(results)
        processes.scheduler.kill()

        with pytest.raises(
            ClusterError, match=r"the scheduler at tcp://127.0.0.1:\d+ does not respond any more"
        ):
            list(results)


@pytest.mark.slow
def test_a_scheduler_without_workers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dask_cluster(tmp_path) as processes:
        monkeypatch.setattr(cluster, "_WORKER_SECONDS", 0.2)

        with (
            pytest.raises(ClusterError, match=f"{processes.address} has no workers; start some"),
            connect(processes.address),
        ):
            pytest.fail("connected")


def test_a_worker_with_other_versions_is_named() -> None:
    ours = dict.fromkeys(cluster._SAME, "1")
    theirs: dict[str, str | None] = {**ours, "numpy": "2", "numba": None}
    workers: dict[str, dict[str, Any]] = {"tcp://a": {"packages": ours}, "tcp://b": {"packages": theirs}}

    with pytest.raises(ClusterError) as refused:
        cluster._check_versions({"packages": ours}, workers)

    assert str(refused.value) == (
        "worker tcp://b has other versions: numpy 2 (here 1), numba missing (here 1)"
    )
