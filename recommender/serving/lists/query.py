"""A list: what it is asked to hold, and what it holds."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from recommender.serving.lists.explain import Explanation

ANY = "any"
FRESHNESS = 0.2  # a judgement: what is long past needs a quarter more nearness to stand as high
# Off: on labelled stories among news 0.05 costs .006 nDCG, and 0.1 .011, for lists hardly less alike: the
# mean likeness of two of their items falls from .284 to .282 and .280.
DIVERSITY = 0.0

Mode = Literal["related", "background", "follow_up"]
# What may be on a page once only: any article, one of its two lists, or one of each list.
Dedupe = Literal["all", "lists", "none"]
Source = Literal["pin", "similar", "same_category", "trending", "recent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a list may hold. Categories are names or slugs; unknown ids in `exclude` are ignored."""

    limit: int = 9
    categories: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    lang: str | None = None  # None: the language of the article itself; "any": all
    max_age_days: float | None = None
    published_before: datetime | None = None
    published_after: datetime | None = None
    mode: Mode = "related"  # "background": older than the article; "follow_up": newer
    freshness: float = FRESHNESS  # 0 to 1: how much an old article falls behind
    diversity: float = DIVERSITY  # 0 to 1: how much one falls behind that is like those above it
    min_similarity: float | None = None  # raises the bar for `similar`
    fallback: Literal["auto", "none"] = "auto"
    explain: bool = False  # whether items say why
    unknown: Literal["404", "fallback"] = "404"
    include_trending: bool = False  # whether items say their rank in trending

    @property
    def canonical(self) -> "ListQuery":
        """The one of all queries that ask for the same list."""
        if not (self.categories or self.exclude_categories or self.exclude):
            return self
        return replace(
            self,
            categories=tuple(sorted(set(self.categories))),
            exclude_categories=tuple(sorted(set(self.exclude_categories))),
            exclude=tuple(sorted(set(self.exclude))),
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One place of a list: a row of the model, why it is there, and its score where it is `similar`."""

    row: int
    source: Source
    score: float | None = None
    why: Explanation | None = None  # where the query asks for it, of a `similar` item


@dataclass(frozen=True, slots=True)
class RelatedList:
    """An answer. It holds min(requested, eligible) items, and no row twice."""

    article_id: str | None  # as asked for; None for a text
    as_of: datetime
    requested: int
    eligible: int
    items: tuple[Item, ...]
    explained: bool = False  # whether its items say why
    blocked: frozenset[int] = frozenset()  # rows that rules keep out of it, also as copies of others
