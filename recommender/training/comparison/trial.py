"""One recipe tried on a corpus: its quality for every query, its lists, its time and its memory."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.displayed import displayed_lists, occurrences
from recommender.model import Articles, Model
from recommender.recipe import Recipe
from recommender.training.comparison.self_retrieval import SelfRetrieval
from recommender.training.evaluation.evaluate import Estimate
from recommender.training.evaluation.labels import LabelFile, judgements
from recommender.training.evaluation.measures import MEASURES, intervals, measured
from recommender.training.kernels import compile_kernels
from recommender.training.train import TrainingError, in_order, train
from recommender.wrong_type import wrong_type

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Benchmark:
    """Articles to train on, and queries with known answers."""

    articles: list[Article]
    stories: np.ndarray  # (q,) int32, the story of each query; stories are resampled as a whole
    measured: Callable[[Model], np.ndarray]  # each measure of each query, (q, 4) float64
    description: str

    @classmethod
    def of(cls, articles: Iterable[Article], labels: Any) -> "Benchmark":
        """Return the queries of a LabelFile, or of parts of the articles if there are no labels.

        Raises LabelsError if no two of the articles belong together, and TrainingError if the articles are
        too few or too short for queries without labels.
        """
        ordered = in_order(articles)
        if labels is None:
            cut = SelfRetrieval.of(ordered)
            if not cut.queries:
                raise TrainingError("the articles are too few or too short to compare recipes without labels")
            stories = np.arange(len(cut.queries), dtype=np.int32)
            text = f"{len(stories):,} articles found again by their headline or the end of their body"
            return cls(cut.articles, stories, cut.measured, text)
        if not isinstance(labels, LabelFile):
            cure = "call read_labels(path) or LabelFile.of_stories(pairs)"
            raise wrong_type("compare", "a LabelFile", labels, cure)
        judged = judgements(labels, Articles.of(ordered))
        titles = Strings.of(article.title for article in ordered)
        source, stories = Path(labels.source).name, judged.stories.max() + 1
        text = f"{len(judged.queries):,} queries of {stories:,} stories ({source})"

        def measured_by_labels(model: Model) -> np.ndarray:
            return measured(np.asarray(model.neighbors.rows[judged.queries]), judged, titles)

        return cls(ordered, judged.stories, measured_by_labels, text)


@dataclass(frozen=True)
class Trial:
    """A recipe, and the results of the model that was trained with it."""

    name: str
    recipe: Recipe
    values: np.ndarray  # (q, 4) float64, in the order of MEASURES
    lists: np.ndarray  # (n, up to 9) int32, the lists as displayed
    coverage: float  # share of the articles in at least one list, without hidden near-duplicates
    seconds: float  # of training
    peak_mib: float  # the most memory of the process during training, NaN where it cannot be measured


def prepare() -> None:
    """Load the compiled kernels, so that the first recipe does not take longer than the others."""
    # In this process: others would run a script again that is not guarded by its `__name__`.
    compile_kernels(1, lambda _kernels: lambda _done: None)


def run(name: str, recipe: Recipe, benchmark: Benchmark, threads: int | None) -> Trial:
    """Train a model with a recipe and measure it."""
    _reset_peak()
    began = time.perf_counter()
    model = train(benchmark.articles, recipe, threads=threads).model
    seconds, peak = time.perf_counter() - began, _peak_mib()
    displayed = displayed_lists(model)
    coverage = float((occurrences(displayed.lists)[displayed.listable] > 0).mean())
    return Trial(name, recipe, benchmark.measured(model), displayed.lists, coverage, seconds, peak)


def estimates(values: np.ndarray, stories: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """Return the mean and the 95 % interval of each measure; stories are drawn as a whole."""
    numbered = np.unique(stories, return_inverse=True)[1].astype(np.int32)
    means, lows, highs = intervals(values, numbered, seed, _RESAMPLES)
    return {
        name: Estimate(mean=float(mean), low=float(low), high=float(high))
        for name, mean, low, high in zip(MEASURES, means, lows, highs, strict=True)
    }


def checked_recipes(call: str, recipes: Any) -> dict[str, Recipe]:
    """Return recipes by name. Raises TypeError if there are none, or if one is something else."""
    cure = f'call {call}(corpus, {{"now": Recipe(), "flat": Recipe().replace(terms={{"title_weight": 1}})}})'
    if not isinstance(recipes, dict) or not recipes:
        raise wrong_type(call, "a dict of recipes by name", recipes, cure)
    for recipe in recipes.values():
        if not isinstance(recipe, Recipe):
            raise wrong_type(call, "recipes", recipe, cure)
    return {str(name): recipe for name, recipe in recipes.items()}


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # not Linux, or not permitted: the peak is then that of the process so far, or unknown
        return


def _peak_mib() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return float("nan")
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) / 1024 if sizes else float("nan")
