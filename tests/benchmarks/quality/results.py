"""Measurements of several systems on the same queries, with paired differences and their intervals."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from recommender.training.evaluation.evaluate import Estimate
from recommender.training.evaluation.measures import intervals

OURS = "ours"
SEED = 0
_RESAMPLES = 4_000  # of texts, for a correlation


@dataclass(frozen=True)
class Means:
    """A measure with one value per query, such as nDCG; the result is the mean."""

    corpus: str
    measure: str
    queries: Sequence[str]  # ids
    groups: Sequence[object]  # the story of each query; the bootstrap draws whole groups
    values: Mapping[str, Sequence[float]]  # by system

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.queries)

    def result(self, system: str) -> float:
        """Return the mean of a system."""
        return float(np.mean(self.values[system]))

    def ours_minus(self, system: str) -> Estimate:
        """Return the mean difference, ours minus this system, query by query."""
        differences = np.array(self.values[OURS]) - np.array(self.values[system])
        groups = np.unique(np.array(self.groups), return_inverse=True)[1]
        mean, low, high = (float(end[0]) for end in intervals(differences[:, None], groups, SEED))
        return Estimate(mean=mean, low=low, high=high)

    def among(self, groups: Container[object], name: str) -> "Means":
        """Return the part with the queries of these groups, under another name."""
        inside = [place for place, group in enumerate(self.groups) if group in groups]
        return replace(
            self,
            corpus=name,
            queries=[self.queries[place] for place in inside],
            groups=[self.groups[place] for place in inside],
            values={system: [values[place] for place in inside] for system, values in self.values.items()},
        )


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation of the scores of all pairs of texts with a human judgement of each pair."""

    corpus: str
    queries: Sequence[str]  # ids of the texts
    truth: Sequence[float]  # of the pairs (0, 1), (0, 2), … (1, 2), …
    values: Mapping[str, Sequence[float]]  # the scores of the same pairs, by system
    measure: str = field(default="Pearson")

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.truth)

    def result(self, system: str) -> float:
        """Return the correlation of a system."""
        return float(self._correlations(system, np.ones((1, len(self))))[0])

    def ours_minus(self, system: str) -> Estimate:
        """Return the difference, ours minus this system; its interval is of a bootstrap that draws texts.

        A pair counts as often as its two texts were drawn together; a text is not paired with itself.
        """
        ours, other = (self._correlations(name, self._drawn) for name in (OURS, system))
        low, high = np.percentile(ours - other, [2.5, 97.5]).tolist()
        return Estimate(mean=self.result(OURS) - self.result(system), low=low, high=high)

    @cached_property
    def _drawn(self) -> np.ndarray:
        n = len(self.queries)
        counts = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)
        left, right = np.triu_indices(n, 1)
        return np.asarray(counts[:, left] * counts[:, right], dtype=np.float64)

    def _correlations(self, system: str, weights: np.ndarray) -> np.ndarray:
        """Return the correlation with each row of `weights` as the weights of the pairs."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        x, y = np.array(self.values[system]), np.array(self.truth)
        mean_x, mean_y = shares @ x, shares @ y
        covariance = shares @ (x * y) - mean_x * mean_y
        spread = (shares @ x**2 - mean_x**2) * (shares @ y**2 - mean_y**2)
        return np.asarray(covariance / np.sqrt(spread))


Result = Means | Correlation


def halves(labels: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the labels to choose a recipe on, and those held out to judge it: always the same halves."""
    shuffled = np.random.default_rng(SEED).permutation(sorted(set(labels))).tolist()
    middle = len(shuffled) // 2
    return set(shuffled[:middle]), set(shuffled[middle:])


def with_halves(means: Means) -> list[Means]:
    """Return a measurement on all groups, on those to choose a recipe on, and on those held out."""
    chosen_on, held_out = halves([str(group) for group in means.groups])
    return [
        means,
        means.among(chosen_on, f"{means.corpus}, chosen on"),
        means.among(held_out, f"{means.corpus}, held out"),
    ]
