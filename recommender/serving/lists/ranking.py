"""The order of the similar articles of a list: by score, freshness, boosts and diversity.

Whether an article is `similar` depends on the model's score alone, not on time. Freshness, boosts and
diversity only change the order. So they never change how many articles are eligible, and an evaluation can
measure lists without them.

Diversity reorders only the 100 best candidates, which limits the work. Similarities between candidates are
computed only as far down the list as a candidate could still get the next place. The half-life of freshness
is part of the recipe, because it is a property of the archive. So the version of a model identifies it, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from recommender.model import NO_MOMENT, microseconds
from recommender.neighbors import top_k
from recommender.serving.index.similarity import GatheredRows, SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.query import ListQuery

POOL = 100  # the best-scored candidates that diversity reorders
_DAY = 86_400_000_000  # microseconds
_NEWS = 14 * _DAY  # readers of a younger article want what is new now


def reference_date(published: int, now: datetime) -> int:
    """Return the moment from which the ages of candidates count, in both directions, in microseconds.

    For an article of the last 14 days, or without a date, it is the start of the current hour, so that the
    list does not change within an hour. For an older article it is the article's own date.
    """
    hour = microseconds(now.replace(minute=0, second=0, microsecond=0))
    return published if NO_MOMENT < published <= hour - _NEWS else hour


@dataclass(frozen=True, slots=True)
class TopCandidates:
    """The first candidates of a list, in its order."""

    rows: np.ndarray  # (m,) int64
    model_scores: np.ndarray  # (m,) float64, without freshness
    fresh_scores: np.ndarray  # (m,) float64, with freshness
    scores: np.ndarray  # (m,) float64, with freshness and boosts
    floor: float  # no candidate with a score below this is among them

    @classmethod
    def none(cls) -> "TopCandidates":
        """Return no candidates."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0), np.empty(0), 0.0)


@dataclass(frozen=True, slots=True)
class RankedCandidates:
    """The similar articles that a list shows, and the nearest neighbours."""

    top: TopCandidates
    count: int  # all articles that are similar and eligible
    nearest: Callable[[], np.ndarray]  # returns (k,) rows, nearest first, eligible or not
    is_scored: bool = False  # whether articles that are not known neighbours were scored

    @classmethod
    def none(cls) -> "RankedCandidates":
        """Return no candidates and no neighbours."""
        return cls(TopCandidates.none(), 0, lambda: np.empty(0, dtype=np.int64))


class CandidateRanker:
    """Ranks the candidates of one list.

    score = s x (1 - f + f x 2^(-age / half-life)) x boost, where s is the model's score and f the freshness.
    An undated candidate has the median age of the dated articles. `boosts` (n,) are 1 for articles without
    a boost. Equal scores are in row order.

    With a diversity d > 0, the 100 candidates with the highest scores are reordered by maximal marginal
    relevance (Carbonell and Goldstein 1998): each place goes to the candidate with the highest
    (1 - d) x score - d x its greatest similarity to those placed before; of equals, to the one with the
    higher score. The similarity of two articles is the weighted mean of both cosines, at least 0. Candidates
    beyond the 100 follow by score.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        timeline: Timeline,
        query: ListQuery,
        published: int,
        now: datetime,
        *,
        boosts: np.ndarray | None = None,
        limit: int | None = None,
    ) -> None:
        self.limit = query.limit if limit is None else limit
        self._snapshot = snapshot
        self._freshness, self._diversity = query.freshness, query.diversity
        self._boosts = boosts
        self._timeline = timeline
        self._reference = reference_date(published, now)
        self._has_undated = False  # whether any article ranked so far is undated

    def top(self, rows: np.ndarray, model_scores: np.ndarray) -> TopCandidates:
        """Return the first `limit` of the candidates: ascending rows, with the model's scores of them."""
        model_scores = model_scores.astype(np.float64)
        fresh_scores = model_scores * self._age_factors(rows)
        scores = fresh_scores if self._boosts is None else fresh_scores * self._boosts[rows]
        if self._diversity and len(rows) > 1:
            pool = top_k(scores, POOL)
            places, floor = self._diverse(rows[pool], scores[pool])
            top = pool[places]
            if self.limit > POOL:
                top = np.concatenate([top, top_k(scores, self.limit)[POOL:]])
        else:
            top = top_k(scores, self.limit)
            floor = float(scores[top[-1]]) if len(top) else 0.0
        return TopCandidates(rows[top], model_scores[top], fresh_scores[top], scores[top], floor)

    def is_settled(self, top: TopCandidates, highest: float) -> bool:
        """Return whether no further candidate with a score up to `highest` could be among the top."""
        return len(top.rows) == self.limit and top.floor > highest

    @property
    def greatest_factor(self) -> float:
        """The greatest factor on the score of any article; age never raises a score."""
        return 1.0 if self._boosts is None else max(1.0, float(self._boosts.max(initial=1.0)))

    def factors(self, rows: np.ndarray) -> np.ndarray:
        """Return the factors on the model's scores of these rows, (m,) float64."""
        ages = self._age_factors(rows)
        return ages if self._boosts is None else ages * self._boosts[rows]

    @property
    def undated_factor(self) -> float | None:
        """The factor on the scores of undated articles; None if no article ranked so far is undated."""
        return self.factor_of_median_age if self._has_undated else None

    @property
    def factor_of_median_age(self) -> float:
        """The factor on the score of an article that has the median age."""
        return float(self._factors_of_ages(np.array([self._median_age]))[0])

    def _age_factors(self, rows: np.ndarray) -> np.ndarray:
        published = self._snapshot.articles.published[rows]
        is_undated = published == NO_MOMENT
        if is_undated.any():
            self._has_undated = True
            published = np.where(is_undated, self._reference + self._median_age, published)
        return self._factors_of_ages(np.abs(published - self._reference))

    @cached_property
    def _median_age(self) -> int:
        return self._timeline.median_age(self._reference)

    def _factors_of_ages(self, ages: np.ndarray) -> np.ndarray:
        half_lives = ages / (_DAY * self._snapshot.manifest.recipe.freshness.half_life_days)
        factors: np.ndarray = 1 - self._freshness + self._freshness * np.exp2(-half_lives)
        return factors

    def _diverse(self, rows: np.ndarray, scores: np.ndarray) -> tuple[list[int], float]:
        """Return the positions of the top among the rows, which come best first, and the floor."""
        scorer = SimilarityScorer(self._snapshot)

        def similarities(position: int, others: GatheredRows) -> np.ndarray:
            scored = scorer.of_gathered(self._snapshot.vectors.of(rows[position]), others)
            positive: np.ndarray = np.maximum(scored, 0)
            return positive

        worths = (1 - self._diversity) * scores
        greatest = np.zeros(len(rows))  # similarity to any candidate placed so far
        compared = min(self.limit, len(rows))  # later candidates cannot be worth more yet
        candidates = scorer.gathered(rows[:compared])
        placed: list[int] = []
        while True:
            left = worths[:compared] - self._diversity * greatest[:compared]
            left[placed] = -np.inf
            best = int(np.argmax(left))
            if compared < len(rows) and worths[compared] > left[best]:
                more = slice(compared, min(2 * compared, len(rows)))
                added = scorer.gathered(rows[more])
                greatest[more] = np.max([similarities(position, added) for position in placed], axis=0)
                compared = more.stop
                candidates = scorer.gathered(rows[:compared])
                continue
            placed.append(best)
            if len(placed) == min(self.limit, len(rows)):
                # Without any weight on the score, the next candidate could have any score.
                floor = float(left[best]) / (1 - self._diversity) if self._diversity < 1 else -np.inf
                return placed, floor
            greatest[:compared] = np.maximum(greatest[:compared], similarities(best, candidates))
