"""The lists and links of an article page: related, trending, and the stories before and after it."""

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
    """A category, and how many public articles have it as their primary category."""

    name: str
    articles: int


@dataclass(frozen=True, slots=True)
class Page:
    """The lists and links on the page of an article. None of them contains the article itself."""

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
        """Return the page of the public article of a row; the query applies to its related list.

        Articles in the categories that the query excludes appear nowhere on the page.
        With "all", an article or a near-duplicate of it appears only in the first of related, trending, older
        and newer that could contain it. With "lists" this applies to the two lists only, and with "none" to
        nothing. Articles that rules keep out of the article's list appear nowhere on its page.
        """
        copies = related.snapshot.copies
        related_list = related.of_row(row, query, now, trending=leaderboard.top)
        mask = related.public(now) & ~related.categories.rows(query.exclude_categories)
        mask[list(related_list.blocked)] = False
        beside = mask.copy()  # the articles that may be older and newer
        mask[copies.with_all([row])] = False
        if dedupe != "none":
            mask[copies.with_all(item.row for item in related_list.items)] = False
        trending = trending_list(
            related, leaderboard, mask, trending_limit, now, blocked=related_list.blocked
        )
        if dedupe == "all":
            beside = mask
            beside[copies.with_all(item.row for item in trending.items)] = False
        older, _ = related.timeline.older_and_newer(row, now, beside)
        if dedupe == "all" and older is not None:
            beside[copies.with_all([older])] = False
        _, newer = related.timeline.older_and_newer(row, now, beside)
        return cls(row, related_list, trending, older, newer)


def trending_list(
    related: Related,
    leaderboard: TrendingOrder,
    mask: np.ndarray,
    limit: int,
    now: datetime,
    *,
    blocked: frozenset[int] = frozenset(),
) -> RelatedList:
    """Return the first articles that the mask (n,) bool admits: those with a rank, then the newest.

    Near-duplicates appear once, and count once. The rows `blocked` are not named as near-duplicates either.
    """
    rows = leaderboard.first(related, mask, limit, now)
    items = (Item(row, "recent" if leaderboard.rank(row) is None else "trending") for row in rows)
    return RelatedList(
        article_id=None,
        as_of=related.timeline.as_of(now),
        requested=limit,
        eligible=related.distinct(mask),
        items=tuple(items),
        blocked=blocked,
    )


def category_counts(related: Related, now: datetime) -> list[CategoryCount]:
    """Return the categories with public articles: those with the most first, ties by name."""
    column = related.articles.category
    codes = column.codes[related.public(now)]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.names)).tolist()
    categories = [CategoryCount(column.names[code], count) for code, count in enumerate(counts) if count]
    return sorted(categories, key=lambda category: (-category.articles, category.name))
