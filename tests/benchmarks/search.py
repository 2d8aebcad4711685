"""Latency of searches in one process while readers type parts of headlines letter by letter."""

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
    """Print the figures of search with a model trained on the corpus."""
    console = Console()
    with tempfile.TemporaryDirectory() as models:
        subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", models, "--no-gate"],
            check=True,
            capture_output=True,
        )
        related, now = Related(open_current(Path(models))), datetime.now(UTC)
        start = time.perf_counter()
        related.snapshot.title_segments()
        spent = time.perf_counter() - start
        console.print(
            f"{len(related.articles):,} articles; indexing the words of their titles takes {spent:.2f} s"
        )
        console.print(_typed(related, now))


def _typed(related: Related, now: datetime) -> Table:
    spent: dict[str, list[float]] = {"1 letter": [], "2 letters": [], "more": [], "all": []}
    for text in _texts(related):
        start = time.perf_counter()
        related.search(text, 9, now)
        took = 1e3 * (time.perf_counter() - start)
        letters = "more" if len(text) > 2 else ("1 letter", "2 letters")[len(text) - 1]
        spent[letters].append(took)
        spent["all"].append(took)
    table = Table("typed", "searches", "median ms", "p99 ms")
    for name, times in spent.items():
        table.add_row(name, str(len(times)), f"{np.median(times):.2f}", f"{np.percentile(times, 99):.2f}")
    return table


def _texts(related: Related) -> Iterator[str]:
    """Yield the content of the search field after each letter."""
    generator, titles = np.random.default_rng(0), related.articles.titles
    for row in generator.integers(0, len(titles), _READERS).tolist():
        if headline := words(titles[row]):
            first = int(generator.integers(0, len(headline)))
            query = " ".join(headline[first : first + int(generator.integers(1, _MOST_WORDS))])
            yield from (query[:end] for end in range(1, len(query) + 1))
