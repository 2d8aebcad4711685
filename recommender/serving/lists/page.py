"""What stands around an article on its page: two lists, the story before and the one after, nothing twice."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from recommender.serving.lists.query import Dedupe, Item, ListQuery, RelatedList
from recommender.serving.lists.related import Related
from recommender.serving.trending.rankings import Board


@dataclass(frozen=True, slots=True)
class Section:
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
        board: Board,
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
        found, copies = related.of_row(row, replace(query, trending=board.top), now), related.edition.copies
        taken = {*copies.with_all([row]), *found.blocked}
        if dedupe != "none":
            taken |= {*copies.with_all(item.row for item in found.items)}
        mask = related.public(now).copy()
        mask[list(taken)] = False
        trending = trending_list(related, board, mask, trending_limit, now)
        beside = set(found.blocked)
        if dedupe == "all":
            beside = {*taken, *copies.with_all(item.row for item in trending.items)}
        older = _beside(related, row, beside, now, newer=False)
        if dedupe == "all" and older is not None:
            beside |= {*copies.with_all([older])}
        return cls(row, found, trending, older, _beside(related, row, beside, now, newer=True))


def trending_list(related: Related, board: Board, mask: np.ndarray, limit: int, now: datetime) -> RelatedList:
    """Return the first of those that the mask (n,) bool admits: what has a rank, then the newest.

    Of copies there is one, in the list and in the count of the eligible.
    """
    rows = board.first(related, mask, limit, now)
    items = (Item(row, "recent" if board.rank(row) is None else "trending") for row in rows)
    return RelatedList(
        article_id=None,
        as_of=related.timeline.as_of(now),
        requested=limit,
        eligible=related.distinct(mask),
        items=tuple(items),
    )


def sections(related: Related, now: datetime) -> list[Section]:
    """Return the sections that have public articles: the most first, equal numbers in the order of names."""
    column = related.articles.category
    codes = column.codes[related.public(now)]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.names)).tolist()
    found = [Section(column.names[code], count) for code, count in enumerate(counts) if count]
    return sorted(found, key=lambda section: (-section.articles, section.name))


def _beside(related: Related, row: int, taken: set[int], now: datetime, *, newer: bool) -> int | None:
    """Return the nearest public article in time, on one side, that is not taken."""
    at: int | None = row
    while at is not None:
        at = related.timeline.beside(at, now)[newer]
        if at not in taken:
            break
    return at
