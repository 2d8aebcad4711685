"""Run `recommender train` and its peers on one corpus, in turn, and measure every run."""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from recommender.artifact import open_current
from tests.benchmarks.processes import FailedError, Usage, watch
from tests.benchmarks.training.corpora import SAMPLE, Prepared
from tests.benchmarks.training.peers import PEERS

OURS = "ours"
K = 20  # of the peers; our lists are longer
# In the summary of `train`: "Seconds   167.6 (reading 10.7, terms 24.1, …)".
_SECONDS = re.compile(r"^\s*Seconds\s+[\d.]+ \((.+)\)\s*$", re.MULTILINE)
_WIDE = {"COLUMNS": "1000"}  # so that the summary is not wrapped


@dataclass(frozen=True)
class Run:
    """A whole process from start to exit. The time of queries that a peer left out is extrapolated."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    steps: dict[str, float] = field(default_factory=dict)  # seconds by step, in order; extrapolated, too


@dataclass
class System:
    """All runs of one system on a corpus, one in each round; figures are medians of the rounds."""

    name: str
    runs: list[Run] = field(default_factory=list)
    quality: dict[str, float] = field(default_factory=dict)  # empty without labels
    queries: int = 0  # that the quality is of
    error: str = ""  # why it failed; it is not run again

    def median(self, figure: str) -> float:
        """Return the median of a field of the runs."""
        return float(median(getattr(run, figure) for run in self.runs))

    def steps(self) -> dict[str, float]:
        """Return the median seconds of each step."""
        return {step: median(run.steps[step] for run in self.runs) for step in self.runs[0].steps}

    def ratio_of(self, ours: "System", figure: str) -> float:
        """Return the median, over the rounds, of our figure divided by that of this system."""
        pairs = zip(ours.runs, self.runs, strict=True)
        return float(median(getattr(our, figure) / getattr(its, figure) for our, its in pairs))


@dataclass(frozen=True)
class Comparison:
    """What was measured on one corpus."""

    corpus: str
    articles: int
    mean_words: float
    query_step: int  # peers queried every n-th article
    systems: Sequence[System]  # ours first
    missing: dict[str, list[str]]  # by peer, the packages that are not installed


def compared(
    prepared: Prepared, peers: Sequence[str], rounds: int, query_step: int, say: Callable[[str], None]
) -> Comparison:
    """Run our training and the installed peers in turn, `rounds` times, and measure the quality of each.

    A peer that fails is reported and not run again. Raises FailedError if our own command fails.
    """
    missing = {name: packages for name in peers if (packages := PEERS[name].missing())}
    systems = [System(name) for name in (OURS, *peers) if name not in missing]
    for number in range(1, rounds + 1):
        for system in systems:
            if system.error:
                continue
            try:
                _run_once(system, prepared, query_step)
            except FailedError as error:
                if system.name == OURS:
                    raise
                system.error = str(error)
                say(f"{prepared.name}, {system.name} failed: {error}")
            else:
                run = system.runs[-1]
                say(f"{prepared.name}, round {number} of {rounds}, {system.name}: {run.seconds:.1f} s")
    return Comparison(prepared.name, prepared.articles, prepared.mean_words, query_step, systems, missing)


def steps_of(summary: str) -> dict[str, float]:
    """Return the seconds of each step from the summary that `train` printed."""
    found = _SECONDS.search(summary)
    if not found:
        raise FailedError(f"the summary of train has no row of seconds: {summary[-500:]!r}")
    steps = (entry.rsplit(" ", 1) for entry in found[1].split(", "))
    return {name: float(seconds) for name, seconds in steps}


def compile_kernels() -> None:
    """Train on the sample, because the first training after an installation compiles the kernels."""
    with tempfile.TemporaryDirectory() as models:
        watch(*train_command(SAMPLE, Path(models)))


def _run_once(system: System, prepared: Prepared, query_step: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        if system.name == OURS:
            run, lists = _trained(prepared, Path(scratch), query_step)
        else:
            run, lists = _searched(system.name, prepared, Path(scratch), query_step)
        system.runs.append(run)
        if prepared.labelled:
            system.quality, system.queries = prepared.labelled.quality(lists, query_step)


def _trained(prepared: Prepared, scratch: Path, query_step: int) -> tuple[Run, np.ndarray]:
    """Train and publish; return the run and our lists of every `query_step`-th article."""
    usage = watch(*train_command(prepared.trained, scratch), environment=_WIDE)
    model = open_current(scratch, verify=False)
    if len(model.articles) != prepared.articles:
        raise FailedError(f"{len(model.articles):,} of {prepared.articles:,} articles are in the model")
    lists = np.array(model.neighbors.rows[::query_step, :K])
    return Run(usage.seconds, usage.cpu_seconds, usage.peak_mib, steps_of(usage.output)), lists


def train_command(corpus: Path, models: Path) -> list[str]:
    """Return the command that is measured."""
    return [sys.executable, "-m", "recommender", "train", str(corpus), "--models-dir", str(models)]


def _searched(name: str, prepared: Prepared, scratch: Path, query_step: int) -> tuple[Run, np.ndarray]:
    """Run a peer; return the run, extrapolated to the queries of all articles, and the lists."""
    output = scratch / "lists.npy"
    command = [sys.executable, "-m", "tests.benchmarks.training.peers"]
    usage = watch(*command, name, str(prepared.lines), str(K), str(query_step), str(output))
    return extrapolated(usage, json.loads(usage.output)), np.load(output)


def extrapolated(usage: Usage, figures: Mapping[str, float]) -> Run:
    """Return the run of a peer as if it had queried all articles; `figures` are those that it printed."""
    left_out = figures["articles"] / figures["queries"] - 1
    return Run(
        seconds=usage.seconds + figures["query_seconds"] * left_out,
        cpu_seconds=usage.cpu_seconds + figures["query_cpu_seconds"] * left_out,
        peak_mib=usage.peak_mib,
        steps={
            "preparation": figures["prepare_seconds"],
            "queries": figures["query_seconds"] * (1 + left_out),
        },
    )
