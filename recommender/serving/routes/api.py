"""The calls under `/v1`: related lists, articles, and what is similar to a text."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import numpy as np
from flask import Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from recommender.article import InvalidArticleError, check_id
from recommender.model import from_microseconds, microseconds
from recommender.serving.cache.caching import lasting_seconds, respond
from recommender.serving.http.parameters import (
    ID_ALLOWED,
    RELATED_SUFFIX,
    AddressedRelatedParameters,
    AnyParameters,
    ArticleAddress,
    BatchParameters,
    NewestParameters,
    PageParameters,
    Parameters,
    RelatedParameters,
    Text,
    cursor_behind,
    many_segments,
    read_body,
    read_query,
)
from recommender.serving.http.problems import Fault, Place, Problem, bad_body, bad_parameter
from recommender.serving.http.responses import article_json, cards, list_json, to_bytes
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.lists.topics import UnknownTopicError, all_topics, topic_articles
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context

MAX_NAMES_SHOWN = 20  # of the categories that a refusal tells


class Api:
    """The public calls. Each view reads its parameters, asks the lists, and renders the answer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/related", endpoint="related", view_func=self.related)
        app.add_url_rule("/v1/related/batch", endpoint="batch", view_func=self.batch)
        app.add_url_rule("/v1/article", endpoint="article", view_func=self.article)
        app.add_url_rule("/v1/articles", endpoint="newest", view_func=self.newest)
        app.add_url_rule("/v1/articles/<tail:tail>", endpoint="by_path", view_func=self.by_path)
        app.add_url_rule("/v1/topics", endpoint="topics", view_func=self.topics)
        app.add_url_rule("/v1/topics/<slug>", endpoint="topic", view_func=self.topic)
        app.add_url_rule("/v1/similar", endpoint="similar", view_func=self.similar, methods=["POST"])

    def related(self) -> Response:
        """Answer the list of the article with this id or URL."""
        given = parameters(AddressedRelatedParameters)
        return self._list("query", *given.only(), given.query(given.unknown))

    def batch(self) -> Response:
        """Answer the lists of several articles, in the order of the request; null for what is not there."""
        given, view = parameters(BatchParameters), self._context.view()
        query = given.query(given.unknown)
        leaderboards = self._leaderboards(query, view)

        def make() -> dict[str, Any]:
            return {"results": [self._result(each, query, view, leaderboards) for each in given.id]}

        response = self.cached(view, ("batch", given.id, query.canonical), make, leaderboards)
        all_there = all(self.row("id", each, view) is not None for each in given.id)
        return response if all_there else _unkept(response)

    def article(self) -> Response:
        """Answer the facts of the article with this id or URL."""
        return self._facts("query", *parameters(ArticleAddress).only())

    def by_path(self, tail: str) -> Response:
        """Answer the facts of an article, or its list, where the id is one segment of the path.

        WSGI servers decode `%2F`, so a path of several segments may mean an id that holds a slash, and
        `X/related` both a call and an id: where it might, both addresses are told, and neither answered.
        """
        wants_list = tail.endswith(RELATED_SUFFIX)
        article_id = tail.removesuffix(RELATED_SUFFIX)
        if "/" in article_id or (wants_list and self._context.related.articles.find(tail) is not None):
            raise many_segments(tail, calls=True)
        check_segment(article_id)
        if wants_list:
            given = parameters(RelatedParameters)
            return self._list("path", "id", article_id, given.query(given.unknown))
        parameters(Parameters)
        return self._facts("path", "id", article_id)

    def newest(self) -> Response:
        """Answer the public articles page by page, the newest first, equal dates in id order."""
        given, view = parameters(NewestParameters), self._context.view()
        related, articles = view.related, view.related.articles

        def make() -> dict[str, Any]:
            mask = np.ones(len(articles), dtype=bool)
            if given.category:
                with known_categories("query", ListQuery(categories=given.category)):
                    mask = related.in_categories(given.category)
            if given.updated_after is not None:
                # What was changed under embargo is new to readers when that ends.
                changed = np.maximum(articles.updated, articles.published)
                mask &= changed > microseconds(given.updated_after)
            return _page(related, mask, given, view.now)

        return self.cached(view, given, make)

    def topics(self) -> Response:
        """Answer all topics, the largest first."""
        parameters(Parameters)
        view = self._context.view()
        return self.cached(view, "topics", lambda: all_topics(view.related, view.now))

    def topic(self, slug: str) -> Response:
        """Answer a topic, and page by page the public articles that have it first, the newest first."""
        given, view = parameters(PageParameters), self._context.view()
        related, now = view.related, view.now

        def make() -> dict[str, Any]:
            topic, mask = topic_articles(related, slug, now)
            return {"topic": topic} | _page(related, mask, given, now)

        try:
            return self.cached(view, ("topic", slug, given), make)
        except UnknownTopicError as error:
            fault = Fault("path", "slug", slug, "a slug of /v1/topics")
            raise Problem("unknown-topic", str(error), (fault,)) from None

    def similar(self) -> Response:
        """Answer the list of the text in the body."""
        parameters(Parameters)
        if request.mimetype != "application/json":
            fault = Fault("header", "Content-Type", request.headers.get("Content-Type"), "application/json")
            raise Problem("unsupported-type", "send the text as application/json", (fault,))
        text = read_body(Text, self._body())
        article, query, view = text.article(), text.query(), self._context.view()
        trending, rank_of = self._context.in_trend(view, self._leaderboards(query, view))
        with known_categories("body", query):
            found = view.related.like(article, query, view.now, trending=trending)
        answer = list_json(view.related, found, view.model_status, rank_of)
        return Response(to_bytes(answer), content_type="application/json")

    def _body(self) -> bytes:
        body = request.get_data(cache=False)
        if len(body) > self._context.settings.max_body_bytes:
            raise RequestEntityTooLarge
        return body

    def _list(self, place: Place, by: Literal["id", "url"], value: str, query: ListQuery) -> Response:
        view = self._context.view()
        row = self.row(by, value, view)
        self._check_known(row, place, by, value, query, view)
        name = None if row is not None or by == "url" else value
        leaderboards = self._leaderboards(query, view)
        key = "list", row, name, query.canonical
        kept = self._context.cache.kept(
            view, key, lambda: self._found(row, name, query, view, leaderboards), leaderboards
        )
        if row is None:
            return _unkept(respond(kept, view))
        rests_on_trends = leaderboards is not None or kept.trending is not None
        if rests_on_trends or not self._may_last(view):
            return respond(kept, view)
        published = from_microseconds(int(view.related.articles.published[row]))
        return respond(kept, view, lasting_seconds(published, view.now))

    def _may_last(self, view: ConsistentView) -> bool:
        """Tell whether shared caches are told all that changes, and the answer misses nothing."""
        purger = self._context.purger
        return purger is not None and purger.is_trusted and not view.model_status.degraded

    def _result(
        self, article_id: str, query: ListQuery, view: ConsistentView, leaderboards: Leaderboards | None
    ) -> dict[str, Any]:
        """Return the list of one article of several, or why there is none."""
        row, found = self.row("id", article_id, view), None
        try:
            self._check_known(row, "query", "id", article_id, query, view)
        except Problem as problem:
            status = problem.status
        else:
            status, found = 200, self._found(row, article_id, query, view, leaderboards)
        return {"article_id": article_id, "status": status, "list": found}

    def _check_known(
        self,
        row: int | None,
        place: Place,
        by: Literal["id", "url"],
        value: str,
        query: ListQuery,
        view: ConsistentView,
    ) -> None:
        """Raise Problem for an article that is not there, unless another list stands in for its own."""
        if row is not None:
            return
        is_withdrawn = by == "id" and value in view.related.snapshot.withdrawn
        if query.unknown == "404" or is_withdrawn:
            raise self.unknown(place, by, value, view)

    def _found(
        self,
        row: int | None,
        article_id: str | None,
        query: ListQuery,
        view: ConsistentView,
        leaderboards: Leaderboards | None,
    ) -> dict[str, Any]:
        """Return the list of the article of a row, or for want of one the newest articles."""
        related, now = view.related, view.now
        trending, rank_of = self._context.in_trend(view, leaderboards)
        with known_categories("query", query):
            if row is None:
                found = related.recent(query, now, article_id, trending=trending)
            else:
                found = related.of_row(row, query, now, trending=trending)
        return list_json(related, found, view.model_status, rank_of)

    def _leaderboards(self, query: ListQuery, view: ConsistentView) -> Leaderboards | None:
        """Return the ranks, where the list is to tell them."""
        return self._context.leaderboards(view) if query.include_trending else None

    def _facts(self, place: Place, by: Literal["id", "url"], value: str) -> Response:
        view = self._context.view()
        row = self.public_row(place, by, value, view)
        return self.cached(view, ("facts", row), lambda: article_json(view.related, row, view.now))

    def public_row(self, place: Place, by: Literal["id", "url"], value: str, view: ConsistentView) -> int:
        """Return the row of the public article with this id or URL. Raises Problem where there is none."""
        row = self.row(by, value, view)
        if row is None:
            raise self.unknown(place, by, value, view)
        return row

    def row(self, by: Literal["id", "url"], value: str, view: ConsistentView) -> int | None:
        """Return the row of the public article with this id or URL, or None."""
        if by == "id":
            return view.related.find(value, view.now)
        try:
            return view.related.find_url(value, view.now)
        except ValueError:
            raise bad_parameter([Fault("query", "url", value, "the address of an article")]) from None

    def unknown(self, place: Place, by: Literal["id", "url"], value: str, view: ConsistentView) -> Problem:
        """Return the problem that an article is not there: withdrawn, or never heard of."""
        related = view.related
        row = related.articles.find_url(value) if by == "url" else None
        article_id = value if row is None else related.articles.ids[row]
        if article_id in related.snapshot.withdrawn:
            fault = Fault(place, by, value, f"the {by} of an article that was not withdrawn")
            return Problem("withdrawn", f"the article with the {by} {value[:100]!r} was withdrawn", (fault,))
        fault = Fault(place, by, value, f"the {by} of a published article")
        return Problem("unknown-article", f"no article has the {by} {value[:100]!r}", (fault,))

    def cached(
        self,
        view: ConsistentView,
        key: Hashable,
        make: Callable[[], dict[str, Any]],
        leaderboards: Leaderboards | None = None,
    ) -> Response:
        """Answer what is kept under a key, or what `make` returns; `boards` are the ranks that it shows."""
        return respond(self._context.cache.kept(view, key, make, leaderboards), view)


def _unkept(response: Response) -> Response:
    """Return an answer on what is not there as one that no cache keeps, for the next moment it may be."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(related: Related, mask: np.ndarray, given: PageParameters, now: datetime) -> dict[str, Any]:
    """Return a page of the articles that the mask admits, newest first, and where the next one begins."""
    articles = related.articles
    rows = related.timeline.page(mask, given.limit + 1, now, given.cursor)
    shown = rows[: given.limit]
    more = len(rows) > len(shown)
    cursor = cursor_behind(int(articles.published[shown[-1]]), articles.ids[shown[-1]]) if more else None
    return {"items": cards(related, shown, now), "next_cursor": cursor}


def parameters(schema: type[AnyParameters]) -> AnyParameters:
    """Return the parameters of the query string. Raises Problem for wrong ones."""
    return read_query(schema, request.environ.get("QUERY_STRING", ""))


def check_segment(article_id: str) -> None:
    """Raise Problem for a segment of a path that can be no id."""
    try:
        check_id(article_id)
    except InvalidArticleError:
        raise bad_parameter([Fault("path", "id", article_id, ID_ALLOWED)]) from None


@contextmanager
def known_categories(place: Place, query: ListQuery) -> Iterator[None]:
    """Turn an unknown category into the problem that names the parameter, and some that there are."""
    try:
        yield
    except UnknownCategoryError as error:
        name = "category" if error.name in query.categories else "exclude_category"
        shown = ", ".join(error.known[:MAX_NAMES_SHOWN])
        rest = len(error.known) - MAX_NAMES_SHOWN
        allowed = f"{shown} and {rest} more" if rest > 0 else shown or "none; no article has a category"
        refused = bad_body if place == "body" else bad_parameter
        raise refused([Fault(place, name, error.name, allowed)]) from None
