"""The order of similar articles: the fresh before the old, and not all of one kind."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from recommender.model import NO_MOMENT, microseconds
from recommender.neighbors import top_k
from recommender.serving.index.similarity import SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.query import ListQuery

POOL = 100  # diversity chooses among so many articles of the highest scores
_DAY = 86_400_000_000  # microseconds
_NEWS = 14 * _DAY  # an article younger than this is read for what is new now


def reference_date(published: int, now: datetime) -> int:
    """Return the moment from which the ages of candidates count, both ways, all in microseconds.

    For an article of the last 14 days, or without a date, it is the beginning of this hour, so that a list
    holds for an hour; for an older one its own date.
    """
    hour = microseconds(now.replace(minute=0, second=0, microsecond=0))
    return published if NO_MOMENT < published <= hour - _NEWS else hour


@dataclass(frozen=True, slots=True)
class Selection:
    """The first of the similar articles, in the order of a list."""

    rows: np.ndarray  # (m,) int64
    blind: np.ndarray  # (m,) float64, scores as the model gives them, blind to time
    fresh: np.ndarray  # (m,) float64, with freshness
    scores: np.ndarray  # (m,) float64, with freshness and boosts
    floor: float  # an article whose score does not reach it is not among them


@dataclass(frozen=True, slots=True)
class RankedCandidates:
    """The similar articles that a list shows, and the nearest articles of all."""

    selection: Selection
    count: int  # of all that are similar and eligible
    near: np.ndarray  # (k,) rows, nearest first, eligible or not


class Ranker:
    """How one list orders its candidates.

    score = s x (1 - f + f x 2^(-age / half-life)) x boost, s being the model's score. An undated candidate
    has the median age of the dated articles; `boosts` (n,) are 1 where editors say nothing. Equal scores come
    in row order.

    With a diversity d > 0 the list is maximal marginal relevance (Carbonell and Goldstein 1998) over the 100
    candidates of the highest scores: each place goes to the one of the highest
    (1 - d) x score - d x its greatest likeness to those placed; of equals, to the one of the higher score.
    The likeness of two articles is the weighted mean of both cosines, at least 0. Where more are wanted, the
    others follow by score.
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
        self._snapshot = snapshot
        self._limit = query.limit if limit is None else limit
        self._freshness, self._diversity = query.freshness, query.diversity
        self._boosts = boosts
        self._reference = reference_date(published, now)
        self._median_age = timeline.median_age(self._reference)

    def choose(self, rows: np.ndarray, blind: np.ndarray) -> Selection:
        """Return the first `limit` of the candidates, ascending rows with the model's scores of them."""
        blind = blind.astype(np.float64)
        fresh = blind * self._ages(rows)
        scores = fresh if self._boosts is None else fresh * self._boosts[rows]
        if self._diversity and len(rows) > 1:
            pool = top_k(scores, POOL)
            places, floor = self._diverse(rows[pool], scores[pool])
            selection = pool[places]
            if self._limit > POOL:
                selection = np.concatenate([selection, top_k(scores, self._limit)[POOL:]])
        else:
            selection = top_k(scores, self._limit)
            floor = float(scores[selection[-1]]) if len(selection) else 0.0
        return Selection(rows[selection], blind[selection], fresh[selection], scores[selection], floor)

    def is_settled(self, selection: Selection, highest: float) -> bool:
        """Tell whether no further candidate, of a score up to `highest`, could be among the chosen."""
        return len(selection.rows) == self._limit and selection.floor > highest

    @property
    def greatest_factor(self) -> float:
        """What the score of any article is multiplied with at most: age adds nothing."""
        return 1.0 if self._boosts is None else max(1.0, float(self._boosts.max(initial=1.0)))

    def factors(self, rows: np.ndarray) -> np.ndarray:
        """Return what the scores of these rows are multiplied with, (m,) float64."""
        ages = self._ages(rows)
        return ages if self._boosts is None else ages * self._boosts[rows]

    def _ages(self, rows: np.ndarray) -> np.ndarray:
        """Return what age makes of the scores of these rows, (m,) float64, each a factor."""
        published = self._snapshot.articles.published[rows]
        dates = np.where(published == NO_MOMENT, self._reference + self._median_age, published)
        half_lives = np.abs(dates - self._reference) / (
            _DAY * self._snapshot.manifest.recipe.freshness.half_life_days
        )
        factors: np.ndarray = 1 - self._freshness + self._freshness * np.exp2(-half_lives)
        return factors

    def _diverse(self, rows: np.ndarray, scores: np.ndarray) -> tuple[list[int], float]:
        """Return the positions of those chosen among the rows, which come best first, and the floor."""
        nearness = SimilarityScorer(self._snapshot)

        def likeness(at: int, others: slice) -> np.ndarray:
            near: np.ndarray = np.maximum(nearness.of(self._snapshot.vectors.of(rows[at]), rows[others]), 0)
            return near

        worths = (1 - self._diversity) * scores
        greatest = np.zeros(len(rows))  # likeness to any of those placed
        seen = min(self._limit, len(rows))  # likeness is known up to here: later ones cannot be worth more
        placed: list[int] = []
        while True:
            left = worths[:seen] - self._diversity * greatest[:seen]
            left[placed] = -np.inf
            best = int(np.argmax(left))
            if seen < len(rows) and worths[seen] > left[best]:
                more = slice(seen, min(2 * seen, len(rows)))
                greatest[more] = np.max([likeness(at, more) for at in placed], axis=0)
                seen = more.stop
                continue
            placed.append(best)
            if len(placed) == min(self._limit, len(rows)):
                # Dividing by nothing: where the score has no weight, any article might be among them.
                floor = float(left[best]) / (1 - self._diversity) if self._diversity < 1 else -np.inf
                return placed, floor
            greatest[:seen] = np.maximum(greatest[:seen], likeness(best, slice(seen)))
