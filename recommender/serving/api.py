"""The calls under `/v1`: related lists, articles, and what is similar to a text."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from flask import Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from recommender.article import InvalidArticleError, check_id
from recommender.model import NO_MOMENT, microseconds
from recommender.serving.answers import article_answer, cards, list_answer, to_bytes
from recommender.serving.categories import UnknownCategoryError
from recommender.serving.desk import Desk
from recommender.serving.lists import ListQuery
from recommender.serving.problems import Fault, Place, Problem, bad_body, bad_parameter
from recommender.serving.related import Related
from recommender.serving.schemas import (
    ID_ALLOWED,
    RELATED_SUFFIX,
    Address,
    AddressedRelatedParameters,
    AnyParameters,
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
from recommender.serving.topics import UnknownTopicError, topic_articles, topics_answer

MAX_NAMES_SHOWN = 20  # of the categories that a refusal tells
_SHARED = timedelta(seconds=60)  # how long a shared cache keeps an answer
_REVALIDATING = timedelta(seconds=30)  # and goes on with it while it asks anew
_CACHED = "public, max-age=0, s-maxage=60, stale-while-revalidate=30, stale-if-error=300"


class Api:
    """The public calls. Each view reads its parameters, asks the lists, and renders the answer."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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
        given, now = parameters(BatchParameters), self._desk.clock()
        query, results = given.query(given.unknown), []
        for article_id in given.id:
            try:
                status, found = 200, self._found("query", "id", article_id, query, now)
            except Problem as problem:
                if problem.kind not in {"unknown-article", "withdrawn"}:
                    raise
                status, found = problem.status, None
            results.append({"article_id": article_id, "status": status, "list": found})
        return self.cached({"results": results}, now)

    def article(self) -> Response:
        """Answer the facts of the article with this id or URL."""
        return self._facts("query", *parameters(Address).only())

    def by_path(self, tail: str) -> Response:
        """Answer the facts of an article, or its list, where the id is one segment of the path.

        WSGI servers decode `%2F`, so a path of several segments may mean an id that holds a slash, and
        `X/related` both a call and an id: where it might, both addresses are told, and neither answered.
        """
        wants_list = tail.endswith(RELATED_SUFFIX)
        article_id = tail.removesuffix(RELATED_SUFFIX)
        if "/" in article_id or (wants_list and self._desk.related.articles.find(tail) is not None):
            raise many_segments(tail, calls=True)
        check_segment(article_id)
        if wants_list:
            given = parameters(RelatedParameters)
            return self._list("path", "id", article_id, given.query(given.unknown))
        parameters(Parameters)
        return self._facts("path", "id", article_id)

    def newest(self) -> Response:
        """Answer the public articles page by page, the newest first, equal dates in id order."""
        given, related, now = parameters(NewestParameters), self._desk.related, self._desk.clock()
        articles = related.articles
        mask = np.ones(len(articles), dtype=bool)
        if given.category:
            with known_categories("query", ListQuery(categories=given.category)):
                mask = related.in_sections(given.category)
        if given.updated_after is not None:
            changed = np.where(articles.updated == NO_MOMENT, articles.published, articles.updated)
            mask &= changed > microseconds(given.updated_after)
        return self.cached(_page(related, mask, given, now), now)

    def topics(self) -> Response:
        """Answer all topics, the largest first."""
        parameters(Parameters)
        related, now = self._desk.related, self._desk.clock()
        return self.cached(topics_answer(related, now), now)

    def topic(self, slug: str) -> Response:
        """Answer a topic, and page by page the public articles that have it first, the newest first."""
        given, related, now = parameters(PageParameters), self._desk.related, self._desk.clock()
        try:
            topic, mask = topic_articles(related, slug, now)
        except UnknownTopicError as error:
            fault = Fault("path", "slug", slug, "a slug of /v1/topics")
            raise Problem("unknown-topic", str(error), (fault,)) from None
        return self.cached({"topic": topic} | _page(related, mask, given, now), now)

    def similar(self) -> Response:
        """Answer the list of the text in the body."""
        parameters(Parameters)
        if request.mimetype != "application/json":
            fault = Fault("header", "Content-Type", request.headers.get("Content-Type"), "application/json")
            raise Problem("unsupported-type", "send the text as application/json", (fault,))
        text = read_body(Text, self._body())
        article, related, now = text.article(), self._desk.related, self._desk.clock()
        query, rank_of = self._desk.in_trend(text.query(), now)
        with known_categories("body", query):
            found = related.like(article, query, now)
        return _json(list_answer(related, found, self._desk.standing(), rank_of))

    def _body(self) -> bytes:
        body = request.get_data(cache=False)
        if len(body) > self._desk.settings.max_body_bytes:
            raise RequestEntityTooLarge
        return body

    def _list(self, place: Place, by: Literal["id", "url"], value: str, query: ListQuery) -> Response:
        now = self._desk.clock()
        return self.cached(self._found(place, by, value, query, now), now)

    def _found(
        self, place: Place, by: Literal["id", "url"], value: str, query: ListQuery, now: datetime
    ) -> dict[str, Any]:
        """Return the list of the article with this id or URL. Raises Problem where there is none."""
        related = self._desk.related
        row = self.row(by, value, now)
        is_withdrawn = row is None and by == "id" and value in related.edition.withdrawn
        if row is None and (query.unknown == "404" or is_withdrawn):
            raise self.unknown(place, by, value)
        query, rank_of = self._desk.in_trend(query, now)
        with known_categories("query", query):
            if row is None:
                found = related.recent(query, now, value if by == "id" else None)
            else:
                found = related.of_row(row, query, now)
        return list_answer(related, found, self._desk.standing(), rank_of)

    def _facts(self, place: Place, by: Literal["id", "url"], value: str) -> Response:
        related, now = self._desk.related, self._desk.clock()
        row = self.row(by, value, now)
        if row is None:
            raise self.unknown(place, by, value)
        return self.cached(article_answer(related, row, now), now)

    def row(self, by: Literal["id", "url"], value: str, now: datetime) -> int | None:
        """Return the row of the public article with this id or URL, or None."""
        if by == "id":
            return self._desk.related.find(value, now)
        try:
            return self._desk.related.find_url(value, now)
        except ValueError:
            raise bad_parameter([Fault("query", "url", value, "the address of an article")]) from None

    def unknown(self, place: Place, by: Literal["id", "url"], value: str) -> Problem:
        """Return the problem that an article is not there: withdrawn, or never heard of."""
        related = self._desk.related
        row = related.articles.find_url(value) if by == "url" else None
        article_id = value if row is None else related.articles.ids[row]
        if article_id in related.edition.withdrawn:
            fault = Fault(place, by, value, f"the {by} of an article that was not withdrawn")
            return Problem("withdrawn", f"the article with the {by} {value[:100]!r} was withdrawn", (fault,))
        fault = Fault(place, by, value, f"the {by} of a published article")
        return Problem("unknown-article", f"no article has the {by} {value[:100]!r}", (fault,))

    def cached(self, answer: dict[str, Any], now: datetime) -> Response:
        """Answer with an ETag, or 304 to whoever has it; caches forget it at the next embargo or rule."""
        response = _json(answer)
        response.set_etag(blake2b(response.get_data(), digest_size=16).hexdigest())
        change = self._desk.related.next_change(now)
        left = None if change is None else change - now
        if left is None or left >= _SHARED + _REVALIDATING:
            response.headers["Cache-Control"] = _CACHED
        else:
            seconds = int(min(left, _SHARED).total_seconds())
            response.headers["Cache-Control"] = f"public, max-age=0, s-maxage={seconds}"
        response.make_conditional(request.environ)
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


def _json(answer: dict[str, Any]) -> Response:
    return Response(to_bytes(answer), content_type="application/json")


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
