"""Compare recipes on one corpus: quality with intervals, paired differences, time, memory, changed lists."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recommender.article import Article
from recommender.neighbors import NO_ROW
from recommender.recipe import Recipe
from recommender.summary import Summarized
from recommender.training.assembly import Progress
from recommender.training.comparison.trial import Benchmark, Trial, checked_recipes, estimates, prepare, run
from recommender.training.evaluation import plots
from recommender.training.evaluation.evaluate import Quality, SystemReport
from recommender.training.evaluation.labels import LabelFile
from recommender.training.readers.corpus import Source, read_articles

_CHANGED = 5  # articles whose lists are shown


@dataclass(frozen=True, repr=False)
class Comparison(Summarized):
    """Recipes compared on one corpus. The first recipe is the one that the others are compared with.

    >>> now = recommender.Recipe()
    >>> recipes = {"now": now, "flat": now.replace(terms={"title_weight": 1})}
    >>> comparison = recommender.compare(corpus, recipes, labels)
    >>> comparison.differences.index.tolist()
    ['flat']
    """

    benchmark: Benchmark
    trials: Sequence[Trial]

    @cached_property
    def table(self) -> pd.DataFrame:
        """The quality of each recipe, one row for each.

        For each measure (`ndcg_at_9`, `recall_at_9`, `precision_at_1`, `mrr`) the mean, and with `_low` and
        `_high` its 95 % interval; `coverage` (share of the articles in at least one list, as in `evaluate`),
        `seconds` of training, `peak_mib` (the most memory of the process meanwhile; NaN where it cannot be
        measured).
        """
        rows = {}
        for trial in self.trials:
            rows[trial.name] = self._columns(trial.values) | {
                "coverage": trial.coverage,
                "seconds": trial.seconds,
                "peak_mib": trial.peak_mib,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("recipe")

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Each other recipe minus the first one, paired by query, with the 95 % interval by story.

        An interval that contains 0 does not tell which recipe is better. The columns are those of `table`.
        """
        first, *others = self.trials
        rows = {trial.name: self._columns(trial.values - first.values) for trial in others}
        columns = list(self._columns(first.values))
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("recipe")

    @cached_property
    def changed(self) -> pd.DataFrame:
        """The lists that differ most between the recipes, side by side: one column of titles per recipe.

        The index is the title of the article and the rank. Shown are the five articles whose lists share the
        fewest articles with those of the first recipe.
        """
        articles = self.benchmark.articles
        shared = _shared([trial.lists for trial in self.trials])
        differ = shared < (self.trials[0].lists != NO_ROW).sum(axis=1)
        most = [row for row in np.argsort(shared, kind="stable").tolist() if differ[row]][:_CHANGED]
        cells = [
            [_title(articles, trial.lists[row, rank]) for trial in self.trials]
            for row in most
            for rank in range(self.trials[0].lists.shape[1])
        ]
        pairs = [
            (_title(articles, row), rank + 1) for row in most for rank in range(self.trials[0].lists.shape[1])
        ]
        index = pd.MultiIndex.from_tuples(pairs, names=["article", "rank"]) if pairs else None
        return pd.DataFrame(cells, index=index, columns=[trial.name for trial in self.trials])

    def plot(self) -> Any:
        """Return a figure of nDCG@9 and recall@9, one row with a 95 % interval for each recipe."""
        return plots.quality([self._system(trial) for trial in self.trials])

    def summary(self) -> dict[str, str]:
        """Return what was compared, and nDCG@9 of each recipe with its interval."""
        means = {
            name: f"nDCG@9 {row['ndcg_at_9']:.3f} [{row['ndcg_at_9_low']:.3f}, {row['ndcg_at_9_high']:.3f}]"
            for name, row in self.table.to_dict("index").items()
        }
        return {"Queries": self.benchmark.description, **{str(name): text for name, text in means.items()}}

    def _columns(self, values: np.ndarray) -> dict[str, float]:
        columns: dict[str, float] = {}
        for name, estimate in estimates(values, self.benchmark.stories).items():
            columns |= estimate.columns(name)
        return columns

    def _system(self, trial: Trial) -> SystemReport:
        quality = Quality(**estimates(trial.values, self.benchmark.stories))
        return SystemReport(
            name=trial.name,
            label=trial.name,
            quality=quality,
            ours_minus_this=None,
            per_query=None,
            health=None,
        )


def compare(
    corpus: Source,
    recipes: Mapping[str, Recipe],
    labels: LabelFile | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Train a model with each recipe, by name, and compare their quality, time and memory.

    With labels, the queries are the labelled articles. Without labels, a fifth of the articles, at most 400,
    are trained without their headline or the end of their body, and this part must find its article. Raises
    LabelsError if the corpus does not contain two labelled articles that belong together, and TrainingError
    if it is too small.

    >>> comparison = recommender.compare(corpus, {"now": recommender.Recipe()})
    >>> comparison.benchmark.description
    '51 articles found again by their headline or the end of their body'
    """
    checked = checked_recipes("compare", recipes)
    benchmark = Benchmark.of(read_articles(corpus), labels)
    prepare()
    trials = []
    step = progress.step("comparing", len(checked), "recipes") if progress else nullcontext(lambda _: None)
    with step as advance:
        for name, recipe in checked.items():
            trials.append(run(name, recipe, benchmark, threads))
            advance(1)
    return Comparison(benchmark, trials)


def _shared(lists: Sequence[np.ndarray]) -> np.ndarray:
    """Return how many articles of each list of the first recipe the others contain on average, (n,)."""
    first, *others = lists
    shared = [(first[:, :, None] == other[:, None, :]) & (first != NO_ROW)[:, :, None] for other in others]
    counts = [pairs.any(axis=2).sum(axis=1) for pairs in shared]
    return np.asarray(np.mean(counts, axis=0) if counts else (first != NO_ROW).sum(axis=1))


def _title(articles: Sequence[Article], row: int) -> str:
    return "" if row == NO_ROW else articles[row].title or articles[row].body[:60]
