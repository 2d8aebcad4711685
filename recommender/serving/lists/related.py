"""Lists of articles: related to an article or a text, the newest ones, or those found by a search."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np

from recommender.article import Article, unique
from recommender.model import Model, Query, microseconds
from recommender.neighbors import top_k
from recommender.serving.index.categories import Categories
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.candidates import SimilarCandidates
from recommender.serving.lists.explain import Explainer
from recommender.serving.lists.fill_order import FillOrder
from recommender.serving.lists.filters import EligibilityFilter, EligibleRows
from recommender.serving.lists.query import ANY, ListDependencies, ListQuery, RelatedList, SearchResults
from recommender.serving.lists.ranking import CandidateRanker, RankedCandidates, TopCandidates
from recommender.serving.lists.search import Search
from recommender.serving.rules.active import NO_RULES, ActiveRules
from recommender.serving.rules.applied import AppliedRules

# Returns a context for scoring the whole corpus; entering it may wait, or raise if the server is busy.
ScoringSlot = Callable[[], AbstractContextManager[None]]


class UnknownArticleError(LookupError):
    """The model contains no public article with this id, or with this URL."""

    def __init__(self, address: str) -> None:
        super().__init__(f"no article {address[:100]!r}")
        self.address = address


class WithdrawnArticleError(UnknownArticleError):
    """The article with this id was withdrawn."""

    def __str__(self) -> str:
        """Return the message with the id."""
        return f"the article {self.address[:100]!r} was withdrawn"


class Related:
    """Lists of articles from one snapshot, or one model, under the active editorial rules.

    A list is filled in this order: the articles that editors pinned to it; `similar` articles, ordered by
    freshness, boosts and diversity; articles of the same primary category, first the k nearest neighbours (k
    as trained), then the newest; the rows of `trending`, best first; all others, newest first. Whether an
    article is `similar` depends on the model's score alone, not on its age.

    A list never contains an article under embargo, the article itself or a near-duplicate of it. Of other
    near-duplicates it contains the newest that passes the filters. Articles that rules hide appear only where
    they are requested by id or URL. Caps skip an article if its category or its author already has as many
    articles in the list as allowed; pins are never skipped, but count.

    >>> from datetime import UTC, datetime
    >>> lists = recommender.Related(model)
    >>> len(lists.of("1001", recommender.ListQuery(limit=3), datetime(2027, 1, 1, tzinfo=UTC)).items)
    3
    """

    def __init__(
        self,
        source: Model | Snapshot,
        active: ActiveRules = NO_RULES,
        scoring_slot: ScoringSlot = nullcontext,
    ) -> None:
        self.snapshot = source if isinstance(source, Snapshot) else Snapshot.of(source)
        self.model = self.snapshot.model
        self.articles = self.snapshot.articles
        self.categories = Categories(self.articles)
        self.rules = AppliedRules(self.snapshot, self.categories, active)
        self.timeline = Timeline(self.articles, self.rules.newest)
        self._filter = EligibilityFilter(self.snapshot, self.timeline, self.categories)
        self._candidates = SimilarCandidates(self.snapshot)
        self._fill_order = FillOrder(self.timeline, self.categories, self.rules)
        self._scoring_slot = scoring_slot

    def find(self, article_id: str, now: datetime) -> int | None:
        """Return the row of a public article; None if the id is unknown, withdrawn or under embargo."""
        return self._if_public(self.articles.find(article_id), now)

    def find_url(self, url: str, now: datetime) -> int | None:
        """Return the row of the public article with this URL. Raises ValueError if it is not a URL."""
        return self._if_public(self.articles.find_url(url), now)

    def of(
        self, article_id: str, query: ListQuery, now: datetime, *, trending: Sequence[int] = ()
    ) -> RelatedList:
        """Return the list of an article.

        For an unknown id, return the newest articles if the query has `unknown="fallback"`; otherwise raise
        UnknownArticleError. A withdrawn id always raises WithdrawnArticleError. Raises UnknownCategoryError
        for a filter with an unknown category.
        """
        row = self.find(article_id, now)
        if row is None and article_id in self.snapshot.withdrawn:
            raise WithdrawnArticleError(article_id)
        if row is None:
            if query.unknown == "404":
                raise UnknownArticleError(article_id)
            return self.recent(query, now, article_id, trending=trending)
        return self.of_row(row, query, now, trending=trending)

    def of_row(
        self, row: int, query: ListQuery, now: datetime, *, trending: Sequence[int] = ()
    ) -> RelatedList:
        """Return the list of the public article of a row. Raises UnknownCategoryError as `of` does."""
        own_id, category = self.articles.ids[row], self.articles.category[row]
        eligible = self._eligible(row, query, now)
        ranker = self._ranker(query, int(self.articles.published[row]), now)
        ranked = self._candidates.from_neighbors(row, query, eligible.mask, ranker)
        if ranked is None:
            with self._scoring_slot():
                scores = self._candidates.scores(row, self.snapshot.query_of(row))
            nearest = partial(self._candidates.nearest, row)
            ranked = self._candidates.from_scores(scores, nearest, query, eligible.mask, ranker)
        related = self._list(
            eligible,
            ranked,
            query,
            now,
            article_id=own_id,
            category=category,
            trending=trending,
            undated_factor=ranker.undated_factor,
        )
        return self._explained(related, ranked.top, lambda: self.snapshot.query_of(row), query)

    def renewed(
        self, row: int, query: ListQuery, now: datetime, undated_factor: float | None
    ) -> tuple[datetime, int] | None:
        """Return what is new in a list from an earlier snapshot: `as_of` and the number of eligible articles.

        The caller knows that no change since then concerns an item. Return None if the list must be computed
        again nevertheless. `undated_factor` is that of the list. Raises UnknownCategoryError as `of` does.
        """
        if query.max_age_days is not None or query.fallback == "none" or self.rules.caps:
            return None
        if undated_factor is not None:
            ranker = self._ranker(query, int(self.articles.published[row]), now)
            if ranker.factor_of_median_age != undated_factor:
                return None
        return self.timeline.as_of(now), len(self._eligible(row, query, now))

    def of_text(
        self, article: Article, query: ListQuery, now: datetime, *, trending: Sequence[int] = ()
    ) -> RelatedList:
        """Return the list of a text that need not be in the model; its id excludes nothing.

        Without a category it gets that of the article most similar to it, excluded or not. So the text of an
        article, with that article excluded, gets the article's own list, except for rules for its id. Without
        a date it counts as published now.
        """
        date = microseconds(article.published_at or now)
        excluded = self._filter.rows(query.exclude)
        hidden = self.snapshot.copies.with_all(excluded)
        with self._scoring_slot():
            text_query = self.snapshot.query(article, hidden)
            scores = self.snapshot.scores(text_query)

        def nearest() -> np.ndarray:
            others = np.delete(np.arange(len(scores)), excluded)
            return top_k(scores, self.model.neighbors.rows.shape[1], others)

        category = article.category or self._category_of_nearest(scores)
        list_rules = self.rules.list_rules(None, unique((category or "", *article.categories)))
        eligible = self._filter.passing(
            query, now, own_lang=article.lang, own_date=date, list_rules=list_rules
        )
        ranker = self._ranker(query, date, now)
        ranked = self._candidates.from_scores(scores, nearest, query, eligible.mask, ranker)
        related = self._list(eligible, ranked, query, now, category=category, trending=trending)
        return self._explained(related, ranked.top, lambda: text_query, query)

    def search(
        self,
        text: str,
        limit: int,
        now: datetime,
        *,
        categories: Sequence[str] = (),
        exclude_categories: Sequence[str] = (),
        lang: str = ANY,
    ) -> SearchResults:
        """Return the public articles that match what a reader types. Raises UnknownCategoryError."""
        query = ListQuery(
            limit=limit,
            categories=tuple(categories),
            exclude_categories=tuple(exclude_categories),
            lang=lang,
        )
        with self._scoring_slot():
            search = Search(self.snapshot, self.timeline, self.categories, self.rules, self._filter)
            return search.of(text, query, now)

    def recent(
        self,
        query: ListQuery,
        now: datetime,
        article_id: str | None = None,
        *,
        trending: Sequence[int] = (),
    ) -> RelatedList:
        """Return the pins and the newest articles that pass the filters; only pins with `fallback="none"`.

        Without an article there is no date to compare with, so any `mode` but "related" admits no article.
        """
        eligible = self._filter.passing(query, now, list_rules=self.rules.list_rules(article_id))
        newest = self._list(
            eligible, RankedCandidates.none(), query, now, article_id=article_id, trending=trending
        )
        return replace(newest, explained=query.explain)

    def copies(self, row: int, now: datetime) -> list[int]:
        """Return the other public near-duplicates of an article that no rule hides, in row order."""
        hidden = self.rules.hidden
        copies = self.snapshot.copies.of(row)
        return [copy for copy in copies if not hidden[copy] and self.timeline.is_public(copy, now)]

    def public(self, now: datetime) -> np.ndarray:
        """Return a mask over the rows, (n,) bool: published and not hidden. Do not change it."""
        return self._filter.public(now)

    def distinct(self, mask: np.ndarray) -> int:
        """Return how many articles a mask (n,) bool admits; near-duplicates count as one article."""
        return self._filter.distinct(mask)

    def in_categories(self, names: Iterable[str]) -> np.ndarray:
        """Return a new mask over the rows, (n,) bool: articles in any of these categories, by name or slug.

        Articles that rules block in the lists of one of them are left out. Raises UnknownCategoryError.
        """
        names = tuple(names)
        mask = self.categories.rows(names)
        mask[list(self.blocked_in(names))] = False
        return mask

    def blocked_in(self, names: Iterable[str]) -> frozenset[int]:
        """Return the rows that rules block in the lists of any of these categories, by name or slug.

        Raises UnknownCategoryError.
        """
        exact = [category for name in names for category in self.categories.named(name)]
        return frozenset(self.rules.list_rules(None, exact).blocked)

    def in_filter(self, query: ListQuery) -> np.ndarray:
        """Return a new mask over the rows, (n,) bool: the articles that pass the category filters of a query.

        For the categories that it names, see `in_categories`. Raises UnknownCategoryError.
        """
        names = query.categories
        mask = self.in_categories(names) if names else np.ones(len(self.articles), dtype=bool)
        mask &= ~self.categories.rows(query.exclude_categories)
        return mask

    def next_change(self, now: datetime) -> datetime | None:
        """Return when time alone next changes lists: an embargo ends, or a rule begins or ends."""
        moments = (self.timeline.next_publication(now), self.rules.active.boundary)
        return min((moment for moment in moments if moment is not None), default=None)

    def _eligible(self, row: int, query: ListQuery, now: datetime) -> EligibleRows:
        """Return the rows that the list of the article of a row may contain."""
        articles = self.articles
        category = articles.category[row] or ""
        list_rules = self.rules.list_rules(articles.ids[row], unique((category, *articles.categories[row])))
        return self._filter.passing(
            query,
            now,
            own=row,
            own_lang=articles.langs[row],
            own_date=int(articles.published[row]),
            list_rules=list_rules,
        )

    def _if_public(self, row: int | None, now: datetime) -> int | None:
        return row if row is not None and self.timeline.is_public(row, now) else None

    def _ranker(self, query: ListQuery, date: int, now: datetime) -> CandidateRanker:
        """Return the ranker of a list. Under caps it ranks all similar articles, as any may be skipped."""
        boosts, limit = self.rules.boosts, len(self.articles) if self.rules.caps else None
        return CandidateRanker(self.snapshot, self.timeline, query, date, now, boosts=boosts, limit=limit)

    def _category_of_nearest(self, scores: np.ndarray) -> str | None:
        nearest = int(np.argmax(scores))
        is_similar = scores[nearest] > self.model.manifest.similar_above
        return self.articles.category[nearest] if is_similar else None

    def _list(
        self,
        eligible: EligibleRows,
        ranked: RankedCandidates,
        query: ListQuery,
        now: datetime,
        *,
        article_id: str | None = None,
        category: str | None = None,
        trending: Sequence[int] = (),
        undated_factor: float | None = None,
    ) -> RelatedList:
        filled = self._fill_order.fill(eligible, ranked, query, now, category=category, trending=trending)
        return RelatedList(
            article_id=article_id,
            as_of=self.timeline.as_of(now),
            requested=query.limit,
            eligible=filled.eligible,
            items=filled.items,
            blocked=eligible.blocked,
            depends_on=ListDependencies(
                eligible.pinned_ids, filled.on_newest, query.diversity > 0, ranked.is_scored, undated_factor
            ),
        )

    def _explained(
        self, related: RelatedList, top: TopCandidates, source_of: Callable[[], Query], query: ListQuery
    ) -> RelatedList:
        """Return the list; if the query asks for it, with explanations of its `similar` items."""
        if not query.explain:
            return related
        places = {row: place for place, row in enumerate(top.rows.tolist())}
        similar = [item for item in related.items if item.source == "similar"]
        at = np.array([places[item.row] for item in similar], dtype=np.int64)
        columns = (top.rows[at], top.model_scores[at], top.fresh_scores[at], top.scores[at])
        whys = dict(zip(similar, Explainer(self.snapshot, source_of()).of(*columns), strict=True))
        items = tuple(replace(item, why=whys.get(item)) for item in related.items)
        return replace(related, items=items, explained=True)
