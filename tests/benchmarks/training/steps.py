"""Where the time of a training goes: wall time, CPU time, bytes and peak memory of each step."""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from recommender.training.kernels import compile_kernels, cores
from recommender.training.readers.corpus import read_articles
from recommender.training.release.release import release
from recommender.training.train import train

_SAMPLE_SECONDS = 0.2
_WIDTH = 100  # of a table in a file


@dataclass(frozen=True)
class Step:
    """What a step used."""

    name: str
    seconds: float
    cpu_seconds: float  # of all threads
    read_mib: float  # by calls that read, from the cache of files too
    written_mib: float
    peak_mib: float  # the largest PSS of the process, sampled five times a second


class Steps:
    """Receives the progress of a training, and measures its steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._process = psutil.Process()

    @contextmanager
    def step(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:  # noqa: ARG002 the interface
        """Measure what happens in the context."""
        ended, peaks = threading.Event(), [self._pss()]

        def sample() -> None:
            while not ended.wait(_SAMPLE_SECONDS):
                peaks.append(self._pss())

        sampler = threading.Thread(target=sample)
        sampler.start()
        began, cpu, files = time.perf_counter(), time.process_time(), self._process.io_counters()
        try:
            yield lambda _: None
        finally:
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            now = self._process.io_counters()
            ended.set()
            sampler.join()
            read, written = now.read_chars - files.read_chars, now.write_chars - files.write_chars
            peak = max(*peaks, self._pss())
            self.steps.append(Step(name, seconds, cpu, read / 2**20, written / 2**20, peak / 2**20))

    def _pss(self) -> int:
        return int(self._process.memory_full_info().pss)


def measured_steps(corpus: Path) -> list[Step]:
    """Train on a corpus and publish in a temporary folder; return what each step used, in order."""
    steps = Steps()
    with steps.step("kernels", 1, "kernels"):
        compile_kernels(cores(), lambda _: lambda _: None)
    with steps.step("reading", 1, "corpora"):
        read = read_articles(corpus)
    trained = train(read.articles, progress=steps)
    with tempfile.TemporaryDirectory() as models:
        release(trained, models, reading=read.report, gate=False, progress=steps)
    return steps.steps


def measure(corpus: Path) -> None:
    """Print what each step of a training on the corpus used, and the totals."""
    steps = measured_steps(corpus)
    table = Table("step", *("seconds", "share", "CPU seconds", "MiB read", "MiB written", "peak MiB"))
    total = sum(step.seconds for step in steps)
    for step in steps:
        table.add_row(
            step.name, f"{step.seconds:.1f}", f"{step.seconds / total:.0%}", f"{step.cpu_seconds:.1f}",
            f"{step.read_mib:,.0f}", f"{step.written_mib:,.0f}", f"{step.peak_mib:,.0f}",
        )  # fmt: skip
    table.add_row(
        "all", f"{total:.1f}", "", f"{sum(step.cpu_seconds for step in steps):.1f}",
        f"{sum(step.read_mib for step in steps):,.0f}", f"{sum(step.written_mib for step in steps):,.0f}",
        f"{max(step.peak_mib for step in steps):,.0f}",
    )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)
