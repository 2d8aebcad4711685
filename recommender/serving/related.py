"""Related articles: which articles of a model stand beside one article or text, and in what order."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

import numpy as np

from recommender.article import Article
from recommender.model import NO_MOMENT, Model, microseconds
from recommender.neighbors import top_k
from recommender.serving.categories import Categories
from recommender.serving.timeline import Timeline

ANY = "any"
_CACHED_MASKS = 16

Source = Literal["similar", "same_category", "recent"]


class UnknownArticleError(LookupError):
    """The model holds no public article with this id, or with this URL."""

    def __init__(self, address: str) -> None:
        super().__init__(f"no article {address[:100]!r}")
        self.address = address


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
    min_similarity: float | None = None  # raises the bar for `similar`
    fallback: Literal["auto", "none"] = "auto"
    unknown: Literal["404", "fallback"] = "404"


@dataclass(frozen=True, slots=True)
class Item:
    """One place of a list: a row of the model, why it is there, and its score where it is `similar`."""

    row: int
    source: Source
    score: float | None = None


@dataclass(frozen=True, slots=True)
class RelatedList:
    """An answer. It holds min(requested, eligible) items, and no row twice."""

    article_id: str | None  # as asked for; None for a text
    as_of: datetime
    requested: int
    eligible: int
    items: tuple[Item, ...]


class Related:
    """Related lists out of one model.

    A list is a ladder: `similar` articles, best first, equal scores in id order; then those of the article's
    primary category, its k nearest neighbours first (k as trained), then the newest; then all others, newest
    first. An article under embargo is nowhere, nor is the article itself or a copy of it; of the copies of
    another the newest that passes the filters stands for all.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        copied = np.isin(model.articles.newest, model.copies.grouped)
        self._copied = model.articles.newest[copied]  # the rows that have copies, newest first
        self._groups = model.copies.first[self._copied]
        self.timeline = Timeline(model.articles)
        self.categories = Categories(model.articles)
        self._public = lru_cache(maxsize=_CACHED_MASKS)(self._find_public)

    def find(self, article_id: str, now: datetime) -> int | None:
        """Return the row of a public article, None where the id is unknown or under embargo."""
        return self._if_public(self.model.articles.ids.find(article_id), now)

    def find_url(self, url: str, now: datetime) -> int | None:
        """Return the row of the public article with this URL. Raises ValueError when it is no URL."""
        return self._if_public(self.model.articles.find_url(url), now)

    def of(self, article_id: str, query: ListQuery, now: datetime) -> RelatedList:
        """Return the list of an article that the model knows.

        For an unknown id the newest articles, if the query says `unknown="fallback"`; otherwise raises
        UnknownArticleError. Raises UnknownCategoryError for a filter that names no category.
        """
        row = self.find(article_id, now)
        if row is None:
            if query.unknown == "404":
                raise UnknownArticleError(article_id)
            return self.recent(query, now, article_id)
        return self.of_row(row, query, now)

    def of_row(self, row: int, query: ListQuery, now: datetime) -> RelatedList:
        """Return the list of the public article of a row. Raises UnknownCategoryError as `of` does."""
        articles = self.model.articles
        mask = self._eligible(query, articles.langs[row], now, row)
        ranked = self._precomputed(row, query, mask)
        if ranked is None:
            scores = self.model.scores(self.model.vectors.of(row))
            ranked = self._scored(scores, self.model.neighbors.of(row)[0], query, mask)
        own_id, category = articles.ids[row], articles.category[row]
        return self._fill(mask, ranked, query, now, article_id=own_id, category=category)

    def like(self, article: Article, query: ListQuery, now: datetime) -> RelatedList:
        """Return the list of a text that need not be in the model; its id excludes nothing.

        Without a category it takes that of the article most similar to it, excluded or not. So the text of an
        article, with that article excluded, gets the article's own list.
        """
        mask = self._eligible(query, article.lang, now)
        scores = self.model.scores(self.model.embed(article))
        others = np.ones(len(mask), dtype=bool)
        others[self._rows(query.exclude)] = False
        near = top_k(scores, self.model.neighbors.rows.shape[1], np.flatnonzero(others))
        category = article.category or self._category_of_nearest(scores)
        return self._fill(mask, self._scored(scores, near, query, mask), query, now, category=category)

    def search(self, words: str, limit: int, now: datetime) -> tuple[Item, ...]:
        """Return the public articles that share a term with the words, the highest cosine of terms first."""
        embedding = self.model.embed(Article(id="-", title=words))
        scores = self.model.vectors.scores(embedding, weight=0)
        found = np.flatnonzero(self.public(now) & (scores > 0))
        return tuple(Item(int(row), "similar", float(scores[row])) for row in top_k(scores, limit, found))

    def recent(self, query: ListQuery, now: datetime, article_id: str | None = None) -> RelatedList:
        """Return the newest articles that pass the filters; none with `fallback="none"`."""
        none = np.empty(0, dtype=np.int32)
        nothing = _Ranked(none, np.empty(0, dtype=np.float32), 0, none)
        return self._fill(self._eligible(query, None, now), nothing, query, now, article_id=article_id)

    def copies(self, row: int, now: datetime) -> list[int]:
        """Return the public copies of an article, in row order, without itself."""
        return [copy for copy in self.model.copies.of(row) if self.timeline.is_public(copy, now)]

    def public(self, now: datetime) -> np.ndarray:
        """Return a mask over the rows, (n,) bool: the articles that are published; do not change it."""
        return self._public(self.timeline.future(now), None)

    def _if_public(self, row: int | None, now: datetime) -> int | None:
        return row if row is not None and self.timeline.is_public(row, now) else None

    def _eligible(
        self, query: ListQuery, own_lang: str | None, now: datetime, own: int | None = None
    ) -> np.ndarray:
        """Return a new mask over the rows, (n,) bool: the public articles that pass, one of all copies."""
        lang = own_lang if query.lang is None else None if query.lang == ANY else query.lang
        mask = self._public(self.timeline.future(now), lang).copy()
        if query.categories:
            mask &= self.categories.rows(query.categories)
        if query.exclude_categories:
            mask &= ~self.categories.rows(query.exclude_categories)
        self._cut_dates(mask, query, now)
        for row in self._rows(query.exclude) if own is None else [own, *self._rows(query.exclude)]:
            mask[[row, *self.model.copies.of(row)]] = False
        self._keep_one_copy(mask)
        return mask

    def _keep_one_copy(self, mask: np.ndarray) -> None:
        """Leave of each group of copies only the newest that the mask admits."""
        admitted = mask[self._copied]
        candidates = self._copied[admitted]
        _, newest = np.unique(self._groups[admitted], return_index=True)
        mask[candidates] = False
        mask[candidates[newest]] = True

    def _rows(self, article_ids: Iterable[str]) -> list[int]:
        found = (self.model.articles.ids.find(article_id) for article_id in article_ids)
        return [row for row in found if row is not None]

    def _find_public(self, future: int, lang: str | None) -> np.ndarray:
        """Return a mask of all articles but the `future` newest; of one language where one is named."""
        articles = self.model.articles
        mask = np.ones(len(articles), dtype=bool)
        mask[articles.newest[:future]] = False
        if lang is not None:
            code = articles.langs.names.find(lang)
            mask &= articles.langs.codes == code if code is not None else False
        return mask

    def _cut_dates(self, mask: np.ndarray, query: ListQuery, now: datetime) -> None:
        """Take out what breaks a date filter, and with any date filter what has no date."""
        published = self.model.articles.published
        if query.max_age_days is not None:
            oldest = self.timeline.as_of(now) - timedelta(days=query.max_age_days)
            mask &= published >= microseconds(oldest)
        if query.published_after is not None:
            mask &= published > microseconds(query.published_after)
        if query.published_before is not None:
            mask &= (published < microseconds(query.published_before)) & (published != NO_MOMENT)

    def _precomputed(self, row: int, query: ListQuery, mask: np.ndarray) -> "_Ranked | None":
        """Rank by the neighbours computed at training; None where these do not reach far enough."""
        rows, scores = self.model.neighbors.of(row)
        similar = self._is_similar(scores, query)
        admitted = similar & mask[rows]
        count = int(np.count_nonzero(admitted))
        # Where even the last neighbour is similar, more may follow that training did not keep.
        complete = len(rows) >= len(mask) - 1 or not similar[-1]
        if complete or (count >= query.limit and query.fallback == "auto"):
            return _Ranked(rows[admitted], scores[admitted], count, rows)
        return None

    def _scored(self, scores: np.ndarray, near: np.ndarray, query: ListQuery, mask: np.ndarray) -> "_Ranked":
        """Rank by the scores of the whole corpus."""
        similar = np.flatnonzero(mask & self._is_similar(scores, query))
        best = top_k(scores, query.limit, similar)
        return _Ranked(best, scores[best], len(similar), near)

    def _category_of_nearest(self, scores: np.ndarray) -> str | None:
        nearest = int(np.argmax(scores))
        is_similar = scores[nearest] > self.model.manifest.similar_above
        return self.model.articles.category[nearest] if is_similar else None

    def _is_similar(self, scores: np.ndarray, query: ListQuery) -> np.ndarray:
        similar: np.ndarray = scores > self.model.manifest.similar_above
        return similar if query.min_similarity is None else similar & (scores >= query.min_similarity)

    def _fill(
        self,
        mask: np.ndarray,
        ranked: "_Ranked",
        query: ListQuery,
        now: datetime,
        *,
        article_id: str | None = None,
        category: str | None = None,
    ) -> RelatedList:
        """Go down the ladder until the list is full. Takes the chosen rows out of the mask."""
        eligible = ranked.count if query.fallback == "none" else int(np.count_nonzero(mask))
        rows, scores = ranked.rows[: query.limit], ranked.scores[: query.limit]
        pairs = zip(rows.tolist(), scores.tolist(), strict=True)
        items = [Item(row, "similar", score) for row, score in pairs]
        if query.fallback == "auto" and len(items) < query.limit:
            mask[rows] = False
            items += self._others(mask, ranked.near, query.limit - len(items), now, category)
        return RelatedList(article_id, self.timeline.as_of(now), query.limit, eligible, tuple(items))

    def _others(
        self, mask: np.ndarray, near: np.ndarray, limit: int, now: datetime, category: str | None
    ) -> list[Item]:
        same: list[int] = []
        if category is not None and category in self.categories.names:
            in_category = mask & self.categories.rows([category])
            same = near[in_category[near]][:limit].tolist()
            in_category[same] = False
            same += self.timeline.page(in_category, limit - len(same), now)
            mask[same] = False
        rest = self.timeline.page(mask, limit - len(same), now)
        return [Item(row, "same_category") for row in same] + [Item(row, "recent") for row in rest]


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The similar articles among the eligible ones, best first, and the nearest articles of all."""

    rows: np.ndarray  # (m,) int32 or int64
    scores: np.ndarray  # (m,) float32
    count: int  # of all that are similar and eligible, at least m
    near: np.ndarray  # (k,) rows, nearest first, eligible or not
