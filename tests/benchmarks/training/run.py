"""Whole trainings and their peers on several corpora, one after the other, as tables, JSON and a plot."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.benchmarks.training.corpora import Corpus, corpora_in, prepared
from tests.benchmarks.training.growth import SIZES, Growth, exponent, measured_growth, plot
from tests.benchmarks.training.peers import PEERS
from tests.benchmarks.training.results import document, table
from tests.benchmarks.training.systems import Comparison, compared, compile_kernels

GROWTH = "growth"
PARTS = ("sample", "news", "half", "encyclopedia", GROWTH)
QUERY_STEP = 5
_WIDTH = 110  # of a table in a file
_FEW = 10_000  # articles, up to which the peers query all


@dataclass(frozen=True)
class Options:
    """What to measure, and where to write it."""

    json: Path
    plot: Path
    only: Sequence[str] = PARTS
    files: Sequence[Path] = ()  # measured instead of the parts
    labels: Path | None = None  # of the files
    peers: Sequence[str] = tuple(PEERS)
    rounds: int = 3
    query_step: int | None = None  # None: 5, or 1 up to 10,000 articles
    sizes: Sequence[int] = SIZES  # of growth


def measure(folder: Path | None, options: Options) -> None:
    """Print a table for each corpus, write all runs to a JSON file, and draw the growth.

    `folder` has the real corpora; without it, only the sample is measured. The JSON file is written after
    each corpus, so that an interrupted run is not lost. Kernels are compiled before.
    """
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    available = corpora_in(folder)
    corpora = [Corpus(file.name, file, options.labels) for file in options.files]
    corpora = corpora or [available[name] for name in options.only if name in available]
    comparisons: list[Comparison] = []
    compile_kernels()
    for corpus in corpora:
        comparisons.append(_compared(corpus, options, console))
        console.print(table(comparisons[-1]))
        _write(options.json, comparisons, None)
    if options.files:
        return
    if unknown := [
        name for name in options.only if name not in available and not (folder and name == GROWTH)
    ]:
        console.print(f"Skipped without RECOMMENDER_TEST_DATA: {', '.join(unknown)}")
    if folder and GROWTH in options.only:
        with tempfile.TemporaryDirectory() as scratch:
            growth = measured_growth(folder, Path(scratch), options.sizes, options.peers, console.print)
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        plot(growth).savefig(options.plot)
        for name, seconds in growth.series().items():
            console.print(
                f"{name} grows with the number of articles to the {exponent(growth.sizes, seconds):.2f}"
            )
        _write(options.json, comparisons, growth)
        console.print(f"{options.plot} shows the growth")
    console.print(f"{options.json} has every run")


def _compared(corpus: Corpus, options: Options, console: Console) -> Comparison:
    with tempfile.TemporaryDirectory() as scratch:
        ready = prepared(corpus, Path(scratch))
        step = options.query_step or (1 if ready.articles <= _FEW else QUERY_STEP)
        return compared(ready, options.peers, options.rounds, step, console.print)


def _write(path: Path, comparisons: Sequence[Comparison], growth: Growth | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(comparisons, growth, datetime.now(UTC)), ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
