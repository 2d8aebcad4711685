"""What stands around an article on its page: two lists, the story before and the one after, nothing twice."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from recommender.serving.lists.query import Dedupe, Item, ListQuery, RelatedList
from recommender.serving.lists.related import Related


class TrendingOrder(Protocol):
    """The articles with a trending rank, in rows of the snapshot of the lists."""

    @property
    def top(self) -> tuple[int, ...]:
        """The rows that may fill the lists of other articles, best first."""

    def rank(self, row: int) -> int | None:
        """Return the rank of the article of a row, from 1; None if it has no rank."""

    def first(self, related: Related, mask: np.ndarray, limit: int, now: datetime) -> list[int]:
        """Return up to `limit` rows that the mask (n,) bool admits: by rank, then the newest without a rank.

        Of near-duplicates only the first is returned.
        """


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A section of the site: what its articles have as their primary category, and how many are public."""

    name: str
    articles: int


@dataclass(frozen=True, slots=True)
class Page:
    """The surroundings of the public article of a row. Nothing here is the article itself."""

    row: int
    related: RelatedList
    trending: RelatedList
    older: int | None  # rows
    newer: int | None

    @classmethod
    def of(
        cls,
        related: Related,
        leaderboard: TrendingOrder,
        row: int,
        query: ListQuery,
        now: datetime,
        *,
        trending_limit: int,
        dedupe: Dedupe = "all",
    ) -> "Page":
        """Return the page of the public article of a row, its related list as the query has it.

        With "all", what stands in one place, or a copy of it, stands in no later one, in this order:
        related, trending, older and newer. With "lists" that holds for the two lists; with "none" for no two
        places. What rules keep out of the article's list is nowhere on its page.
        """
        found, copies = (
            related.of_row(row, query, now, trending=leaderboard.top),
            related.snapshot.copies,
        )
        taken = {*copies.with_all([row]), *found.blocked}
        if dedupe != "none":
            taken |= {*copies.with_all(item.row for item in found.items)}
        mask = related.public(now).copy()
        mask[list(taken)] = False
        trending = trending_list(related, leaderboard, mask, trending_limit, now)
        beside = set(found.blocked)
        if dedupe == "all":
            beside = {*taken, *copies.with_all(item.row for item in trending.items)}
        older = _beside(related, row, beside, now, newer=False)
        if dedupe == "all" and older is not None:
            beside |= {*copies.with_all([older])}
        return cls(row, found, trending, older, _beside(related, row, beside, now, newer=True))


def trending_list(
    related: Related, leaderboard: TrendingOrder, mask: np.ndarray, limit: int, now: datetime
) -> RelatedList:
    """Return the first of those that the mask (n,) bool admits: what has a rank, then the newest.

    Of copies there is one, in the list and in the count of the eligible.
    """
    rows = leaderboard.first(related, mask, limit, now)
    items = (Item(row, "recent" if leaderboard.rank(row) is None else "trending") for row in rows)
    return RelatedList(
        article_id=None,
        as_of=related.timeline.as_of(now),
        requested=limit,
        eligible=related.distinct(mask),
        items=tuple(items),
    )


def category_counts(related: Related, now: datetime) -> list[CategoryCount]:
    """Return the sections that have public articles: the most first, equal numbers in the order of names."""
    column = related.articles.category
    codes = column.codes[related.public(now)]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.names)).tolist()
    found = [CategoryCount(column.names[code], count) for code, count in enumerate(counts) if count]
    return sorted(found, key=lambda category: (-category.articles, category.name))


def _beside(related: Related, row: int, taken: set[int], now: datetime, *, newer: bool) -> int | None:
    """Return the nearest public article in time, on one side, that is not taken."""
    at: int | None = row
    while at is not None:
        at = related.timeline.beside(at, now)[newer]
        if at not in taken:
            break
    return at
