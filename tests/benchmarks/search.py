"""A reader types parts of headlines, letter by letter: how long each answer takes in one process."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.artifact import open_current
from recommender.serving.lists.related import Related
from recommender.text import words
from tests.benchmarks.processes import RECOMMENDER

_READERS = 300
_MOST_WORDS = 4


def measure(corpus: Path) -> None:
    """Print the figures of search on a model of the corpus."""
    console = Console()
    with tempfile.TemporaryDirectory() as models:
        subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", models, "--no-gate"],
            check=True,
            capture_output=True,
        )
        related, now = Related(open_current(Path(models))), datetime.now(UTC)
        began = time.perf_counter()
        related.snapshot.title_segments()
        spent = time.perf_counter() - began
        console.print(f"{len(related.articles):,} articles; the words of their titles take {spent:.2f} s")
        console.print(_typed(related, now))


def _typed(related: Related, now: datetime) -> Table:
    spent: dict[str, list[float]] = {"1 letter": [], "2 letters": [], "more": [], "all": []}
    for text in _texts(related):
        began = time.perf_counter()
        related.search(text, 9, now)
        took = 1e3 * (time.perf_counter() - began)
        letters = "more" if len(text) > 2 else ("1 letter", "2 letters")[len(text) - 1]
        spent[letters].append(took)
        spent["all"].append(took)
    table = Table("typed", "searches", "median ms", "p99 ms")
    for name, times in spent.items():
        table.add_row(name, str(len(times)), f"{np.median(times):.2f}", f"{np.percentile(times, 99):.2f}")
    return table


def _texts(related: Related) -> Iterator[str]:
    """Yield what stands in the field after each letter."""
    draw, titles = np.random.default_rng(0), related.articles.titles
    for row in draw.integers(0, len(titles), _READERS).tolist():
        if headline := words(titles[row]):
            first = int(draw.integers(0, len(headline)))
            wanted = " ".join(headline[first : first + int(draw.integers(1, _MOST_WORDS))])
            yield from (wanted[:end] for end in range(1, len(wanted) + 1))
