"""Search the best of many recipes on one half of the stories, and report its quality on the other half."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from rich import get_console
from rich.progress import track

from recommender.recipe import Recipe, RecipeError
from recommender.summary import Summarized
from recommender.training.comparison.trial import Benchmark, Trial, estimates, prepare, run
from recommender.training.evaluation.labels import LabelFile, LabelsError
from recommender.training.evaluation.measures import MEASURES
from recommender.training.readers.corpus import Source, read_articles
from recommender.wrong_type import wrong_type

_NDCG = list(MEASURES).index("ndcg_at_9")


@dataclass(frozen=True, repr=False)
class Tuning(Summarized):
    """The recipes of a grid, and their quality on both halves of the stories.

    >>> tuning = recommender.tune(corpus, {"terms.ngrams": [1, 2]}, labels)
    >>> tuning.best in [recommender.Recipe(), recommender.Recipe().replace(terms={"ngrams": 1})]
    True
    """

    benchmark: Benchmark
    base: Trial
    trials: Sequence[Trial]
    searched: np.ndarray  # (q,) bool, the queries of the stories on which the recipes were searched

    @cached_property
    def _best(self) -> Trial:
        """The trial with the highest nDCG@9 on the searched stories; of equal ones, the first."""
        return max(self.trials, key=lambda trial: trial.values[self.searched, _NDCG].mean())

    @property
    def best(self) -> Recipe:
        """The recipe with the highest nDCG@9 on the searched stories; of equal ones, the first."""
        return self._best.recipe

    @cached_property
    def table(self) -> pd.DataFrame:
        """Every recipe of the grid, the best first: nDCG@9 on the searched stories, and on the others.

        Columns: `searched_ndcg_at_9`, by which the recipes are ordered, `reported_ndcg_at_9` with `_low` and
        `_high`, its 95 % interval, and `seconds` of training.
        """
        rows = {}
        for trial in self.trials:
            reported = self._reported(trial.values)
            rows[trial.name] = {
                "searched_ndcg_at_9": float(trial.values[self.searched, _NDCG].mean()),
                **{f"reported_{name}": value for name, value in reported.items()},
                "seconds": trial.seconds,
            }
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("recipe")
        return table.sort_values("searched_ndcg_at_9", ascending=False, kind="stable")

    @cached_property
    def gain(self) -> Mapping[str, float]:
        """The best recipe minus the base recipe in nDCG@9 on the reported stories, with its 95 % interval."""
        return self._reported(self._best.values - self.base.values)

    def summary(self) -> dict[str, str]:
        """Return the best recipe, and what it gains on stories that the search did not see."""
        gain = self.gain
        interval = f"[{gain['ndcg_at_9_low']:+.3f}, {gain['ndcg_at_9_high']:+.3f}]"
        return {
            "Queries": self.benchmark.description,
            "Recipes": f"{len(self.trials):,}",
            "Best": self._best.name,
            "Gain in nDCG@9 on the other stories": f"{gain['ndcg_at_9']:+.3f} {interval}",
        }

    def _reported(self, values: np.ndarray) -> dict[str, float]:
        reported = ~self.searched
        name = "ndcg_at_9"
        return estimates(values[reported], self.benchmark.stories[reported])[name].columns(name)


def tune(
    corpus: Source,
    grid: Mapping[str, Sequence[Any]],
    labels: LabelFile | None = None,
    *,
    base: Recipe | None = None,
    threads: int | None = None,
) -> Tuning:
    """Train a model with every combination of a grid, and find the best recipe.

    `grid` has values for keys of the recipe, such as `{"terms.title_weight": [2, 4], "seed": [0, 1]}`; the
    other keys are those of the `base` recipe. The best recipe is the one with the highest nDCG@9 on one
    half of the stories; its quality is reported on the other half, which the search did not see. Queries are
    those of `compare`. A progress bar is shown in a terminal and in a notebook.

    Raises RecipeError if a key or value is invalid, before anything is trained, and LabelsError if there are
    not two stories.

    >>> tuning = recommender.tune(corpus, {"topics.weight": [0.25]}, labels)
    >>> tuning.table.index.tolist()
    ['topics.weight=0.25']
    """
    base = Recipe() if base is None else base
    recipes = _recipes(grid, base)
    benchmark = Benchmark.of(read_articles(corpus), labels)
    searched = _searched(benchmark.stories)
    console = get_console()
    silent = not (console.is_terminal or console.is_jupyter)
    work = [("base", base), *recipes.items()]
    prepare()
    done: list[Trial] = []
    for name, recipe in track(work, "Training", console=console, disable=silent):
        known = next((trial for trial in done if trial.recipe == recipe), None)
        done.append(run(name, recipe, benchmark, threads) if known is None else replace(known, name=name))
    return Tuning(benchmark, done[0], done[1:], searched)


def _recipes(grid: Any, base: Recipe) -> dict[str, Recipe]:
    """Return the recipe of every combination, by the values that distinguish it."""
    cure = 'call tune(corpus, {"terms.title_weight": [1, 2, 4]})'
    if not isinstance(grid, Mapping) or not grid:
        raise wrong_type("tune", "a dict of values by key", grid, cure)
    for key, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise wrong_type("tune", f"a list of values for {key!r}", values, cure)
    recipes = {}
    for combination in product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        recipes[", ".join(f"{key}={value}" for key, value in values.items())] = _changed(base, values)
    return recipes


def _changed(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    for key, value in values.items():
        section, dot, name = str(key).partition(".")
        if dot and section not in Recipe.model_fields:
            raise RecipeError(f"{key}: there is no section {section!r} in a recipe")
        base = base.replace(**({section: {name: value}} if dot else {section: value}))
    return base


def _searched(stories: np.ndarray) -> np.ndarray:
    """Return which queries belong to the half of the stories that is searched, (q,) bool.

    Stories are drawn by a hash, so that the halves have nothing to do with the order of articles.
    """
    ordered = sorted(np.unique(stories).tolist(), key=lambda number: blake2b(b"%d" % number).digest())
    if len(ordered) < 2:  # noqa: PLR2004 two halves
        raise LabelsError("all labelled articles are of one story; tune needs at least two stories")
    return np.isin(stories, ordered[: len(ordered) // 2])
