"""How time and memory grow with the size of the corpus: nested parts of one archive, and a plot."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recommender.training.readers.corpus import read_articles
from tests.benchmarks.training.archive import write_archive
from tests.benchmarks.training.corpora import Corpus, prepared
from tests.benchmarks.training.systems import OURS, Comparison, compared

SIZES = (10_000, 20_000, 40_000, 80_000, 160_000)
WORDS = 210  # of a post on average
_QUERIES = 2_000  # of a peer on each size
_TRIFLE = 0.02  # steps with a smaller share of the largest corpus get no line


@dataclass(frozen=True)
class Growth:
    """The comparisons on parts of one archive, by increasing size."""

    comparisons: Sequence[Comparison]

    @property
    def sizes(self) -> list[int]:
        """The number of articles of each."""
        return [comparison.articles for comparison in self.comparisons]

    def series(self, figure: str = "seconds") -> dict[str, list[float]]:
        """Return a figure of each system by size, without systems that are missing or failed anywhere."""
        by_name: dict[str, list[float]] = {}
        for comparison in self.comparisons:
            for system in comparison.systems:
                if system.runs and not system.error:
                    by_name.setdefault(system.name, []).append(system.median(figure))
        return {name: values for name, values in by_name.items() if len(values) == len(self.comparisons)}

    def steps(self) -> dict[str, list[float]]:
        """Return the seconds of each of our steps by size."""
        steps = [comparison.systems[0].steps() for comparison in self.comparisons]
        return {name: [of.get(name, 0.0) for of in steps] for name in steps[-1]}

    def document(self) -> dict[str, Any]:
        """Return the sizes, the series and the exponents as JSON."""
        seconds, memory = self.series(), self.series("peak_mib")
        return {
            "articles": self.sizes,
            "seconds": seconds,
            "peak_mib": memory,
            "steps": self.steps(),
            "exponents": {
                "seconds": {name: exponent(self.sizes, values) for name, values in seconds.items()},
                "peak_mib": {name: exponent(self.sizes, values) for name, values in memory.items()},
            },
        }


def measured_growth(
    folder: Path, scratch: Path, sizes: Sequence[int], peers: Sequence[str], say: Callable[[str], None]
) -> Growth:
    """Measure one round on the first posts of an archive that is built from the folder of real data."""
    names = ("news.parquet", "encyclopedia.parquet")
    articles = [article for name in names for article in read_articles(folder / name).articles]
    archive = scratch / "archive.jsonl"
    write_archive(archive, articles, max(sizes), WORDS)
    del articles
    comparisons = []
    for size in sorted(sizes):
        part = scratch / f"{size}.jsonl"
        with archive.open("rb") as lines, part.open("wb") as file:
            file.writelines(itertools.islice(lines, size))
        corpus = prepared(Corpus(f"{size:,} posts", part), scratch)
        comparisons.append(compared(corpus, peers, 1, max(1, size // _QUERIES), say))
        part.unlink()
    return Growth(comparisons)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return b of the fit `values = a · sizes ** b` by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def plot(growth: Growth) -> Figure:
    """Plot seconds by articles on logarithmic axes, with the exponent of each system and our main steps."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, seconds in growth.series().items():
        label = "recommender train" if name == OURS else name
        fit = exponent(growth.sizes, seconds)
        axes.loglog(growth.sizes, seconds, "o-", label=f"{label}: articles^{fit:.2f}")
    total = growth.series()[OURS][-1]
    for name, seconds in growth.steps().items():
        if seconds[-1] >= _TRIFLE * total and min(seconds) > 0:
            axes.loglog(growth.sizes, seconds, ":", linewidth=1, label=f"  {name}")
    axes.set_xticks(growth.sizes, [f"{size:,}" for size in growth.sizes])
    axes.minorticks_off()
    axes.set_xlabel("articles")
    axes.set_ylabel("seconds, whole process")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    return figure
