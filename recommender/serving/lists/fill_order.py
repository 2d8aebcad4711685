"""The order in which a list is filled: pins, similar articles, the same category, what trends, the newest."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np

from recommender.serving.index.categories import Categories
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.filters import EligibleRows
from recommender.serving.lists.query import Item, ListQuery, Source
from recommender.serving.lists.ranking import RankedCandidates
from recommender.serving.rules.applied import AppliedRules

Step = tuple[Source, np.ndarray]  # the rows (m,) of one source, in the order of the list
_STEPS_BY_CONTENT = 2  # the first ones: similar articles, and neighbours of the same category


@dataclass(frozen=True, slots=True)
class FilledList:
    """The items of a list, and how many there would be without a limit."""

    items: tuple[Item, ...]
    eligible: int
    on_newest: bool  # whether the newest or trending articles fill it up, or it is not full


class FillOrder:
    """Fills the lists of one snapshot, step by step, until a list is full.

    At every step, caps skip the articles of a category or author that has reached its limit.
    """

    def __init__(self, timeline: Timeline, categories: Categories, rules: AppliedRules) -> None:
        self._timeline, self._categories, self._rules = timeline, categories, rules

    def fill(
        self,
        eligible: EligibleRows,
        ranked: RankedCandidates,
        query: ListQuery,
        now: datetime,
        *,
        category: str | None,
        trending: Sequence[int],
    ) -> FilledList:
        """Return the list of a query."""
        pins = [Item(row, "pin") for row in eligible.pins[: query.limit]]
        n_free = query.limit - len(pins)
        caps = self._rules.caps
        # A cap may skip any row, so with caps every step must yield all its rows.
        limit = len(eligible.mask) if caps else n_free
        steps = list(self._steps(eligible.mask, ranked, query, limit, now, category, trending))
        rows = np.concatenate([rows for _, rows in steps])
        if caps:
            admitted = np.flatnonzero(caps.admitted(rows, eligible.pins))
            count = len(eligible.pins) + len(admitted)
        else:
            admitted = np.arange(min(len(rows), n_free))
            count = len(eligible.pins) + ranked.count if query.fallback == "none" else len(eligible)
        ends = list(accumulate(len(step_rows) for _, step_rows in steps))
        scores = ranked.top.scores  # similar articles come first
        items = [
            Item(
                int(rows[place]),
                steps[bisect_right(ends, place)][0],
                float(scores[place]) if place < len(scores) else None,
            )
            for place in admitted[:n_free].tolist()
        ]
        n_by_content = sum(len(step_rows) for _, step_rows in steps[:_STEPS_BY_CONTENT])
        return FilledList(
            items=(*pins, *items),
            eligible=count,
            on_newest=len(items) < n_free or bool((admitted[:n_free] >= n_by_content).any()),
        )

    def _steps(
        self,
        mask: np.ndarray,
        ranked: RankedCandidates,
        query: ListQuery,
        limit: int,
        now: datetime,
        category: str | None,
        trending: Sequence[int],
    ) -> Iterator[Step]:
        """Yield up to `limit` rows in all, none twice."""
        similar = ranked.top.rows[:limit]
        yield "similar", similar
        limit -= len(similar)
        if query.fallback == "none" or not limit:
            return
        mask = mask.copy()
        mask[similar] = False
        for same in self._same_category(mask, ranked.nearest(), limit, now, category):
            yield "same_category", same
            mask[same] = False
            limit -= len(same)
        ranked_rows = np.array([row for row in trending if mask[row]], dtype=np.int64)[:limit]
        yield "trending", ranked_rows
        mask[ranked_rows] = False
        newest = self._timeline.page(mask, limit - len(ranked_rows), now)
        yield "recent", np.array(newest, dtype=np.int64)

    def _same_category(
        self, mask: np.ndarray, nearest: np.ndarray, limit: int, now: datetime, category: str | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of the category, up to `limit` in all: the nearest neighbours, and the newest."""
        if category is None or category not in self._categories.names:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        in_category = mask & self._categories.rows([category])
        neighbors = nearest[in_category[nearest]][:limit].astype(np.int64)
        in_category[neighbors] = False
        newest = self._timeline.page(in_category, limit - len(neighbors), now)
        return neighbors, np.array(newest, dtype=np.int64)
