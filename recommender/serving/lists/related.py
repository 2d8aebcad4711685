"""Related articles: which articles of a model stand beside one article or text, and in what order."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime

import numpy as np

from recommender.article import Article, unique
from recommender.model import Model, Query, microseconds
from recommender.neighbors import top_k
from recommender.serving.http.concurrency import Slot
from recommender.serving.index.categories import Categories
from recommender.serving.index.similarity import SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.explain import why
from recommender.serving.lists.filters import EligibilityFilter, EligibleRows
from recommender.serving.lists.query import ANY, Item, ListQuery, RelatedList, Source
from recommender.serving.lists.ranking import RankedCandidates, Ranker, Selection
from recommender.serving.lists.search import Search
from recommender.serving.rules.active import NO_RULES, ActiveRules
from recommender.serving.rules.applied import AppliedRules
from recommender.serving.rules.caps import CapCounter, fill

MAX_RIVALS = 400  # scored one by one; where there are more, the whole corpus is
# Scores of training and of serving may differ by float32 rounding, on another CPU by 1e-5.
TOLERANCE = 1e-5


class UnknownArticleError(LookupError):
    """The model holds no public article with this id, or with this URL."""

    def __init__(self, address: str) -> None:
        super().__init__(f"no article {address[:100]!r}")
        self.address = address


class WithdrawnArticleError(UnknownArticleError):
    """The article with this id was withdrawn."""

    def __str__(self) -> str:
        """Return what became of it."""
        return f"the article {self.address[:100]!r} was withdrawn"


class Related:
    """Related lists out of one edition, or one model, under the editorial rules that act.

    A list is a ladder: the articles that editors pinned to it; then `similar` ones, as freshness, boosts and
    diversity order them; then those of the article's primary category, its k nearest neighbours first (k as
    trained), then the newest; then what trends, as the query names it; then all others, newest first. What
    is `similar` is for the model's score alone to say, blind to time. An article under embargo is nowhere,
    nor is the article itself or a copy of it; of the copies of another the newest that passes the filters
    stands for all. What the rules hide is nowhere but where it is asked for itself. Caps go down the ladder,
    and leave out what they have no room for; a pin stands in spite of them, and counts.
    """

    def __init__(
        self, source: Model | Snapshot, active: ActiveRules = NO_RULES, slot: Slot = nullcontext
    ) -> None:
        self.snapshot = source if isinstance(source, Snapshot) else Snapshot.of(source)
        self.model = self.snapshot.model
        self.articles = self.snapshot.articles
        self.categories = Categories(self.articles)
        self.rules = AppliedRules(self.snapshot, self.categories, active)
        self.timeline = Timeline(self.articles, self.rules.newest)
        self._eligible = EligibilityFilter(self.snapshot, self.timeline, self.categories)
        self._slot = slot  # at scoring the whole corpus

    def find(self, article_id: str, now: datetime) -> int | None:
        """Return the row of a public article, None where the id is unknown, withdrawn or under embargo."""
        return self._if_public(self.articles.find(article_id), now)

    def find_url(self, url: str, now: datetime) -> int | None:
        """Return the row of the public article with this URL. Raises ValueError when it is no URL."""
        return self._if_public(self.articles.find_url(url), now)

    def of(self, article_id: str, query: ListQuery, now: datetime) -> RelatedList:
        """Return the list of an article that the model knows.

        For an unknown id the newest articles, if the query says `unknown="fallback"`; otherwise raises
        UnknownArticleError, and always for one that was withdrawn. Raises UnknownCategoryError for a filter
        that names no category.
        """
        row = self.find(article_id, now)
        if row is None and article_id in self.snapshot.withdrawn:
            raise WithdrawnArticleError(article_id)
        if row is None:
            if query.unknown == "404":
                raise UnknownArticleError(article_id)
            return self.recent(query, now, article_id)
        return self.of_row(row, query, now)

    def of_row(self, row: int, query: ListQuery, now: datetime) -> RelatedList:
        """Return the list of the public article of a row. Raises UnknownCategoryError as `of` does."""
        articles = self.articles
        own_id, category, date = articles.ids[row], articles.category[row], int(articles.published[row])
        list_rules = self.rules.list_rules(own_id, unique((category or "", *articles.categories[row])))
        field = self._eligible.passing(
            query, now, own=row, own_lang=articles.langs[row], own_date=date, list_rules=list_rules
        )
        order = self._order(query, date, now)
        asked = self.snapshot.query_of(row)
        ranked = self._precomputed(row, query, field.mask, order)
        if ranked is None:
            with self._slot():
                scores = self._scores(row, asked)
            ranked = self._scored(scores, self._near(row), query, field.mask, order)
        found = self._fill(field, ranked, query, now, article_id=own_id, category=category)
        return self._explained(found, ranked.selection, asked, query)

    def like(self, article: Article, query: ListQuery, now: datetime) -> RelatedList:
        """Return the list of a text that need not be in the model; its id excludes nothing.

        Without a category it takes that of the article most similar to it, excluded or not. So the text of an
        article, with that article excluded, gets the article's own list, but for rules for its id. Without a
        date it is of now.
        """
        date = microseconds(article.published_at or now)
        excluded = self._eligible.rows(query.exclude)
        hidden = self.snapshot.copies.with_all(excluded)
        with self._slot():
            asked = self.snapshot.query(article, hidden)
            scores = self.snapshot.scores(asked)
        others = np.ones(len(scores), dtype=bool)
        others[excluded] = False
        near = top_k(scores, self.model.neighbors.rows.shape[1], np.flatnonzero(others))
        category = article.category or self._category_of_nearest(scores)
        list_rules = self.rules.list_rules(None, unique((category or "", *article.categories)))
        field = self._eligible.passing(
            query, now, own_lang=article.lang, own_date=date, list_rules=list_rules
        )
        ranked = self._scored(scores, near, query, field.mask, self._order(query, date, now))
        found = self._fill(field, ranked, query, now, category=category)
        return self._explained(found, ranked.selection, asked, query)

    def search(
        self, text: str, limit: int, now: datetime, *, categories: Sequence[str] = (), lang: str = ANY
    ) -> RelatedList:
        """Return the public articles that hold what a reader types. Raises UnknownCategoryError."""
        with self._slot():
            search = Search(self.snapshot, self.timeline, self.categories, self.rules, self._eligible)
            return search.of(text, limit, now, categories=categories, lang=lang)

    def recent(self, query: ListQuery, now: datetime, article_id: str | None = None) -> RelatedList:
        """Return the newest articles that pass the filters, behind the pins; none with `fallback="none"`.

        Without an article there is no date to be older or newer than: such a `mode` admits none.
        """
        none = np.empty(0, dtype=np.int64)
        nothing = RankedCandidates(Selection(none, np.empty(0), np.empty(0), np.empty(0), 0.0), 0, none)
        field = self._eligible.passing(query, now, list_rules=self.rules.list_rules(article_id))
        found = self._fill(field, nothing, query, now, article_id=article_id)
        return replace(found, explained=query.explain)

    def copies(self, row: int, now: datetime) -> list[int]:
        """Return the public copies of an article that no rule hides, in row order, without itself."""
        hidden = self.rules.hidden
        copies = self.snapshot.copies.of(row)
        return [copy for copy in copies if not hidden[copy] and self.timeline.is_public(copy, now)]

    def public(self, now: datetime) -> np.ndarray:
        """Return a mask over the rows, (n,) bool: what is published and not hidden; do not change it."""
        return self._eligible.public(now)

    def distinct(self, mask: np.ndarray) -> int:
        """Return how many articles a mask (n,) bool admits, counting copies of one another as one."""
        return self._eligible.distinct(mask)

    def in_categories(self, names: Iterable[str]) -> np.ndarray:
        """Return a new mask over the rows, (n,) bool: what is in any of these sections, by name or slug.

        What rules keep out of the lists of one of them is not. Raises UnknownCategoryError.
        """
        exact = [each for name in names for each in self.categories.named(name)]
        mask = self.categories.rows(exact).copy()
        mask[list(self.rules.list_rules(None, exact).blocked)] = False
        return mask

    def next_change(self, now: datetime) -> datetime | None:
        """Return when lists next change by themselves: an embargo ends, or a rule begins or ends."""
        moments = (self.timeline.next_publication(now), self.rules.active.boundary)
        return min((moment for moment in moments if moment is not None), default=None)

    def _if_public(self, row: int | None, now: datetime) -> int | None:
        return row if row is not None and self.timeline.is_public(row, now) else None

    def _order(self, query: ListQuery, date: int, now: datetime) -> Ranker:
        """Return the order of a list; under caps of all that is similar, for they leave some of it out."""
        boosts, limit = self.rules.boosts, len(self.articles) if self.rules.caps else None
        return Ranker(self.snapshot, self.timeline, query, date, now, boosts=boosts, limit=limit)

    def _precomputed(
        self, row: int, query: ListQuery, mask: np.ndarray, order: Ranker
    ) -> RankedCandidates | None:
        """Rank by the neighbours computed at training; None where these do not reach far enough."""
        near, scores = self.snapshot.neighbors(row)
        live, live_scores = self.snapshot.live_similar(row)
        rows, known = np.concatenate([near, live]), np.concatenate([scores, live_scores])
        rows, known = _by_row(rows, known, self._is_similar(known, query) & mask[rows])
        selection = order.choose(rows, known)
        if self._is_complete(row, scores, query):
            return RankedCandidates(selection, len(rows), self._near(row))
        if query.fallback == "none" or len(rows) < query.limit or self.rules.caps:
            return None
        highest = float(scores[-1]) + TOLERANCE  # no other article of the model has more
        if not order.is_settled(selection, highest * order.greatest_factor):
            others = mask[: len(self.model.articles)].copy()
            others[near] = False
            beyond = np.flatnonzero(others)
            bounds = highest * order.factors(beyond)
            rivals = beyond[bounds >= selection.floor]
            if len(rivals) > MAX_RIVALS:
                return None
            rivals, found = self._similar_to(row, rivals, query)
            highest = float(bounds[bounds < selection.floor].max(initial=0.0))
            selection = order.choose(*_by_row(np.concatenate([rows, rivals]), np.concatenate([known, found])))
            if not order.is_settled(selection, highest):
                return None
        return RankedCandidates(selection, len(rows), self._near(row))

    def _near(self, row: int) -> np.ndarray:
        """Return the rows nearest to the article of a row, nearest first: of the model, and live ones."""
        near, scores = self.snapshot.neighbors(row)
        live, live_scores = self.snapshot.live_similar(row)
        both = np.concatenate([near, live])
        rows: np.ndarray = both[np.argsort(-np.concatenate([scores, live_scores]), kind="stable")]
        return rows

    def _scores(self, row: int, asked: Query) -> np.ndarray:
        """Return the score of every article for the article of a row; the same whichever way it was found.

        No other article of the model is as near as its neighbours, and no other live one is similar.
        """
        near, known = self.snapshot.neighbors(row)
        live, live_known = self.snapshot.live_similar(row)
        scores = self.snapshot.scores(asked)
        n = len(self.model.articles)
        if len(known):
            scores[:n] = np.minimum(scores[:n], known[-1])
        scores[n:] = np.minimum(scores[n:], self.model.manifest.similar_above)
        scores[near], scores[live] = known, live_known
        return scores

    def _similar_to(self, row: int, others: np.ndarray, query: ListQuery) -> tuple[np.ndarray, np.ndarray]:
        """Return those of the others that are similar to the article of a row, and their scores.

        The others are of the model and none of its neighbours, so they score no more than the last of these.
        """
        last = self.snapshot.neighbors(row)[1][-1]
        found = SimilarityScorer(self.snapshot).of(self.snapshot.query_of(row).moved, others)
        scores = np.minimum((found - self.snapshot.hubs[others]).astype(np.float32), last)
        similar = self._is_similar(scores, query)
        return others[similar], scores[similar]

    def _is_complete(self, row: int, scores: np.ndarray, query: ListQuery) -> bool:
        """Tell whether no article of the model is similar but those whose scores are given, best first."""
        if len(scores) >= self.snapshot.count_others(row):
            return True
        return not self._is_similar(scores[-1:] + TOLERANCE, query)[0]

    def _scored(
        self, scores: np.ndarray, near: np.ndarray, query: ListQuery, mask: np.ndarray, order: Ranker
    ) -> RankedCandidates:
        """Rank by the scores of the whole corpus."""
        similar = np.flatnonzero(mask & self._is_similar(scores, query))
        return RankedCandidates(order.choose(similar, scores[similar]), len(similar), near)

    def _category_of_nearest(self, scores: np.ndarray) -> str | None:
        nearest = int(np.argmax(scores))
        is_similar = scores[nearest] > self.model.manifest.similar_above
        return self.articles.category[nearest] if is_similar else None

    def _is_similar(self, scores: np.ndarray, query: ListQuery) -> np.ndarray:
        similar: np.ndarray = scores > self.model.manifest.similar_above
        return similar if query.min_similarity is None else similar & (scores >= query.min_similarity)

    def _fill(
        self,
        field: EligibleRows,
        ranked: RankedCandidates,
        query: ListQuery,
        now: datetime,
        *,
        article_id: str | None = None,
        category: str | None = None,
    ) -> RelatedList:
        """Go down the ladder until the list is full. Takes the chosen rows out of the mask."""
        mask, selection = field.mask, ranked.selection
        items = [Item(row, "pin") for row in field.pins[: query.limit]]
        left = query.limit - len(items)
        if self.rules.caps:
            found, count = self._capped(field, ranked, query, left, now, category)
        else:
            count = ranked.count if query.fallback == "none" else int(np.count_nonzero(mask))
            pairs = zip(selection.rows[:left].tolist(), selection.scores[:left].tolist(), strict=True)
            found = [Item(row, "similar", score) for row, score in pairs]
            if query.fallback == "auto" and len(found) < left:
                mask[selection.rows] = False
                found += self._others(mask, ranked.near, query, left - len(found), now, category)
        return RelatedList(
            article_id=article_id,
            as_of=self.timeline.as_of(now),
            requested=query.limit,
            eligible=len(field.pins) + count,
            items=(*items, *found),
            blocked=field.blocked,
        )

    def _capped(
        self,
        field: EligibleRows,
        ranked: RankedCandidates,
        query: ListQuery,
        limit: int,
        now: datetime,
        category: str | None,
    ) -> tuple[list[Item], int]:
        """Go down the ladder under caps; returns up to `limit` items, and the most that there could be."""
        similar, mask = ranked.selection.rows, field.mask
        if query.fallback == "none":
            mask = np.zeros_like(mask)
            mask[similar] = True
        room = CapCounter(mask, self.rules.caps)
        for pin in field.pins:
            room.take(pin)
        in_category = self._in_category(category)

        def first(open_: np.ndarray) -> tuple[int, Source] | None:
            steps: list[tuple[Source, np.ndarray, np.ndarray]] = [
                ("similar", similar, open_),
                ("same_category", ranked.near, open_ & in_category),
            ]
            for source, rows, admitted in steps:
                if len(hits := rows[admitted[rows]]):
                    return int(hits[0]), source
            for row in self.timeline.page(open_ & in_category, 1, now):
                return row, "same_category"
            for row in query.trending:
                if open_[row]:
                    return row, "trending"
            for row in self.timeline.page(open_, 1, now):
                return row, "recent"
            return None

        most = room.most()
        score_of = dict(zip(similar.tolist(), ranked.selection.scores.tolist(), strict=True))
        taken = fill(first, room, min(limit, most))
        return [Item(row, source, score_of.get(row)) for row, source in taken], most

    def _in_category(self, category: str | None) -> np.ndarray:
        if category is None or category not in self.categories.names:
            return np.zeros(len(self.articles), dtype=bool)
        return self.categories.rows([category])

    def _others(
        self,
        mask: np.ndarray,
        near: np.ndarray,
        query: ListQuery,
        limit: int,
        now: datetime,
        category: str | None,
    ) -> list[Item]:
        in_category = mask & self._in_category(category)
        same = near[in_category[near]][:limit].tolist()
        in_category[same] = False
        same += self.timeline.page(in_category, limit - len(same), now)
        mask[same] = False
        trending = [row for row in query.trending if mask[row]][: limit - len(same)]
        mask[trending] = False
        rest = self.timeline.page(mask, limit - len(same) - len(trending), now)
        sources: list[tuple[Source, list[int]]] = [
            ("same_category", same),
            ("trending", trending),
            ("recent", rest),
        ]
        return [Item(row, source) for source, rows in sources for row in rows]

    def _explained(
        self, found: RelatedList, selection: Selection, asked: Query, query: ListQuery
    ) -> RelatedList:
        """Return the list, if the query wants it with the reasons of its `similar` items."""
        if not query.explain:
            return found
        scores = zip(
            selection.blind.tolist(), selection.fresh.tolist(), selection.scores.tolist(), strict=True
        )
        scores_of = dict(zip(selection.rows.tolist(), scores, strict=True))
        items = (
            replace(item, why=why(self.snapshot, asked, item.row, *scores_of[item.row]))
            if item.source == "similar"
            else item
            for item in found.items
        )
        return replace(found, items=tuple(items), explained=True)


def _by_row(
    rows: np.ndarray, scores: np.ndarray, admitted: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return those admitted, all by default, in row order."""
    if admitted is not None:
        rows, scores = rows[admitted], scores[admitted]
    order = np.argsort(rows)
    return rows[order], scores[order]
