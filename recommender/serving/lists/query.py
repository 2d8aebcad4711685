"""The query of a list, and the list itself."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from recommender.serving.lists.explain import Explanation

ANY = "any"
FRESHNESS = 0.2  # chosen by judgement: a very old article needs a score a quarter higher for the same rank
# Off: on labelled stories among news, 0.05 costs .006 nDCG and 0.1 costs .011, while the items of a list
# hardly become more diverse: the mean similarity of two of them falls from .284 to .282 and .280.
DIVERSITY = 0.0

Mode = Literal["related", "background", "follow_up"]
# Which articles appear only once on a page: "all", those of the two "lists", or "none".
Dedupe = Literal["all", "lists", "none"]
Source = Literal["pin", "similar", "same_category", "trending", "recent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """The parameters of a list. Categories are names or slugs; unknown ids in `exclude` are ignored.

    >>> recommender.ListQuery(limit=3, freshness=0.5).fallback
    'auto'
    """

    limit: int = 9
    categories: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    lang: str | None = None  # None: the language of the article itself; "any": all
    max_age_days: float | None = None
    published_before: datetime | None = None
    published_after: datetime | None = None
    mode: Mode = "related"  # "background": older than the article; "follow_up": newer
    freshness: float = FRESHNESS  # 0 to 1: the greatest share of its score that an old article loses
    diversity: float = DIVERSITY  # 0 to 1: how strongly similarity to items above counts against an item
    min_similarity: float | None = None  # in addition to the model's own threshold for `similar`
    fallback: Literal["auto", "none"] = "auto"
    explain: bool = False  # whether items get an explanation
    unknown: Literal["404", "fallback"] = "404"
    include_trending: bool = False  # whether items get their trending rank

    @property
    def cost(self) -> int:
        """About how much computing the list costs, as a multiple of a list with the default parameters.

        Measured on 37,854 articles, where a plain list takes 1.2 ms. Scoring the whole corpus is not
        included; it is limited separately.
        """
        names = len(self.categories) + len(self.exclude_categories) + len(self.exclude)
        cost = 1 + self.limit // 16 + names // 50
        if self.diversity:
            cost += 1 + self.limit // 5
        if self.explain:
            cost += self.limit // 10
        return cost

    @property
    def canonical(self) -> "ListQuery":
        """The same query with sorted and unique names; queries for the same list have the same one."""
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
    """One item of a list: a row, the source it comes from, and its score if it is `similar`."""

    row: int
    source: Source
    score: float | None = None
    why: Explanation | None = None  # of a `similar` item, if the query asks for explanations


@dataclass(frozen=True, slots=True)
class ListDependencies:
    """What the items of a list depend on besides themselves and the article of the list."""

    pinned_ids: frozenset[str] = frozenset()  # by rules, also ids that are unknown or fail the filters
    on_newest: bool = False  # the newest or trending articles fill it up, or it is not full
    is_diverse: bool = False  # candidates that are not in the list may decide which ones are
    is_scored: bool = False  # articles that are not among the known neighbours were scored for it
    undated_factor: float | None = None  # of age on the scores of undated candidates; None: there are none


@dataclass(frozen=True, slots=True)
class RelatedList:
    """A list. It contains min(requested, eligible) items, and no row twice."""

    article_id: str | None  # as requested; None for a text
    as_of: datetime
    requested: int
    eligible: int
    items: tuple[Item, ...]
    explained: bool = False  # whether its items have explanations
    blocked: frozenset[int] = frozenset()  # rows that rules keep out, also as near-duplicates of others
    depends_on: ListDependencies = field(default=ListDependencies(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResults(RelatedList):
    """A list of the articles that match what a reader typed."""

    words: tuple[str, ...]  # that were searched for, folded; the last may be the beginning of a word
    is_corrected: bool  # whether no article has a typed word, and another spelling was searched for

    @property
    def corrected_query(self) -> str | None:
        """The words that were searched for, if they are not those that were typed."""
        return " ".join(self.words) if self.is_corrected else None
