"""Lists of related articles: for an article, for several articles, and for a text."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, request

from recommender.serving.cache.caching import CachedResponse, ResponseCache, no_store
from recommender.serving.http.concurrency import Deadline
from recommender.serving.http.parameters import (
    AddressedRelatedParameters,
    BatchParameters,
    RelatedParameters,
    Text,
    validate_body,
)
from recommender.serving.http.problems import Place, Problem
from recommender.serving.http.requests import json_object, read_parameters, refuse_parameters
from recommender.serving.http.responses import Rendered, ResponseBuilder, renewed_list, to_bytes
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.lookup import IdOrUrl, find_row, known_categories, missing_article
from recommender.serving.telemetry.answers import SOURCES
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context

_log = logging.getLogger(__name__)

# Problems of missing articles, and problems of the whole batch: wrong parameters, and too many requests.
_MISSING, _OF_BATCH = {"unknown-article", "withdrawn"}, {"bad-parameter", "rate-limited"}


@dataclass(frozen=True, slots=True)
class ListRenewal:
    """Renews the list of an article; see `caching.Renewal`."""

    article_id: str
    query: ListQuery

    def __call__(self, body: bytes, view: ConsistentView, undated_factor: float | None) -> bytes | None:
        """Return the list as it would be built now; None if it has to be built again."""
        related, now = view.related, view.now
        row = related.find(self.article_id, now)
        try:
            renewed = None if row is None else related.renewed(row, self.query, now, undated_factor)
        except UnknownCategoryError:
            return None
        return None if renewed is None else renewed_list(body, *renewed)


@dataclass(frozen=True, slots=True)
class ListBuild:
    """Builds the list of a row, or of the newest articles if it is None; the same for all routes.

    `article_id` is the id in a list of the newest articles. Raises UnknownCategoryError when it is called.
    """

    view: ConsistentView
    row: int | None
    article_id: str | None
    query: ListQuery
    leaderboards: Leaderboards | None  # if the list shows ranks

    @property
    def key(self) -> tuple[object, ...]:
        """The key of the list in the response cache."""
        own_id = None if self.row is None else self.view.related.articles.ids[self.row]
        return "list", own_id, self.article_id, self.query.canonical

    @property
    def renewal(self) -> ListRenewal | None:
        """How the cached list is renewed; lists of the newest articles are built again."""
        if self.row is None:
            return None
        return ListRenewal(self.view.related.articles.ids[self.row], self.query)

    def __call__(self, builder: ResponseBuilder) -> Rendered:
        """Return the JSON of the list."""
        related, now = self.view.related, self.view.now
        trending, rank_of = self.view.trends(self.leaderboards)
        if self.row is None:
            related_list = related.recent(self.query, now, self.article_id, trending=trending)
        else:
            related_list = related.of_row(self.row, self.query, now, trending=trending)
        return builder.whole_list(related_list, rank_of)


class RelatedRoutes:
    """The routes of related articles."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/related", endpoint="related", view_func=self.related)
        app.add_url_rule("/v1/related/batch", endpoint="batch", view_func=self.batch)
        app.add_url_rule("/v1/similar", endpoint="similar", view_func=self.similar, methods=["POST"])

    def related(self) -> Response:
        """Respond with the list of the article with this id or URL."""
        parameters = read_parameters(AddressedRelatedParameters)
        return self._respond("query", *parameters.id_or_url(), parameters.query(parameters.unknown))

    def by_path(self, article_id: str) -> Response:
        """Respond with the list of the article whose id is in the path."""
        parameters = read_parameters(RelatedParameters)
        return self._respond("path", "id", article_id, parameters.query(parameters.unknown))

    def batch(self) -> Response:
        """Respond with the lists of several articles in the order of the request; null if one is missing."""
        parameters, view = read_parameters(BatchParameters), self._context.view()
        query = parameters.query(parameters.unknown)
        leaderboards = self._leaderboards(query, view)
        batch = _Batch(self._cache, view, parameters.id, query, leaderboards)
        key = "batch", parameters.id, query.canonical
        try:
            # Building takes its own turn, and only for the lists that are not cached.
            response = self._cache.respond(view, key, batch, leaderboards, cost=None)
        except _IncompleteError as error:
            return no_store(Response(error.body, content_type="application/json"))
        is_complete = all(find_row("id", article_id, view) is not None for article_id in parameters.id)
        return response if is_complete else no_store(response)

    def similar(self) -> Response:
        """Respond with the list of the text in the body."""
        refuse_parameters()
        text = validate_body(Text, json_object("the text", self._context.settings.max_body_bytes))
        query, view = text.query(), self._context.view()
        trending, rank_of = view.trends(self._leaderboards(query, view))
        with self._cache.computing.turn(text.cost):
            article = text.article(view.related.model.manifest.adapted.vector_length)
            with known_categories("body", query):
                related_list = view.related.of_text(article, query, view.now, trending=trending)
            builder = view.builder()
            body = to_bytes(builder.whole_list(related_list, rank_of))
        request.environ[SOURCES] = tuple(builder.dependencies.sources.items())
        return Response(body, content_type="application/json")

    def _respond(self, place: Place, by: IdOrUrl, value: str, query: ListQuery) -> Response:
        view = self._context.view()
        row = find_row(by, value, view)
        _check_known(row, place, by, value, query, view)
        article_id = None if row is not None or by == "url" else value
        leaderboards = self._leaderboards(query, view)
        build = ListBuild(view, row, article_id, query, leaderboards)
        with known_categories("query", query):
            response = self._cache.respond(view, build.key, build, leaderboards, row=row, cost=query.cost)
        return no_store(response) if row is None else response

    def _leaderboards(self, query: ListQuery, view: ConsistentView) -> Leaderboards | None:
        """Return the leaderboards if the list shows trending ranks."""
        return self._context.leaderboards(view) if query.include_trending else None


class _IncompleteError(Exception):
    """A batch in which a list could not be computed; other callers must not get it."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


@dataclass(frozen=True, slots=True)
class _Batch:
    """Builds a batch from the lists in the response cache; those that are missing are computed in one turn.

    Raises Problem if the whole batch is wrong or no list can be computed, _IncompleteError if some cannot.
    """

    cache: ResponseCache
    view: ConsistentView
    article_ids: Sequence[str]
    query: ListQuery
    leaderboards: Leaderboards | None

    def __call__(self, builder: ResponseBuilder) -> Rendered:
        """Return the JSON of the batch."""
        results = self._results()
        lists = [result for result in results.values() if isinstance(result, CachedResponse)]
        problems = (result for result in results.values() if isinstance(result, Problem))
        failures = [problem for problem in problems if problem.kind not in _MISSING]
        for failure in failures:
            if not lists or failure.kind in _OF_BATCH:
                raise failure
        entries = (_batch_entry(article_id, results[article_id]) for article_id in self.article_ids)
        body = b'{"results":[%b]}' % b",".join(entries)
        if failures:
            raise _IncompleteError(body)
        for article_id in results:
            builder.subject(article_id)
        for cached in lists:
            builder.dependencies.keys.update(cached.keys.split())
            builder.dependencies.on_trends |= cached.trending is not None
            builder.dependencies.sources.update(dict(cached.sources))
        return Rendered(body)

    def _results(self) -> dict[str, CachedResponse | Problem]:
        """Return the list of each article, or why there is none."""
        results: dict[str, CachedResponse | Problem] = {}
        missing: dict[str, ListBuild] = {}
        for article_id in self.article_ids:
            row = find_row("id", article_id, self.view)
            own_id = article_id if row is None else None
            build = ListBuild(self.view, row, own_id, self.query, self.leaderboards)
            try:
                _check_known(row, "query", "id", article_id, self.query, self.view)
            except Problem as problem:
                results[article_id] = problem
            else:
                if self.cache.has(self.view, build.key, self.leaderboards):
                    results[article_id] = self._list(build)
                else:
                    missing[article_id] = build
        return results | self._computed(missing) if missing else results

    def _computed(self, missing: dict[str, ListBuild]) -> dict[str, CachedResponse | Problem]:
        """Return the lists that are not cached; one that fails does not fail the others."""
        computing = self.cache.computing
        try:
            with computing.turn(self.query.cost * len(missing)):
                deadline = computing.deadline()
                return {article_id: self._list(build, deadline) for article_id, build in missing.items()}
        except Problem as problem:  # the caller may not compute now
            return dict.fromkeys(missing, problem)

    def _list(self, build: ListBuild, deadline: Deadline | None = None) -> CachedResponse | Problem:
        try:
            if deadline is not None:
                deadline.check()
            with known_categories("query", self.query):
                return self.cache.get(self.view, build.key, build, self.leaderboards, cost=None)
        except Problem as problem:
            return problem
        except Exception:  # noqa: BLE001 whatever is wrong with it, the others must be computed
            _log.exception("cannot compute a list of a batch")
            return Problem("internal-error", "a list of the batch could not be computed")


def _batch_entry(article_id: str, result: CachedResponse | Problem) -> bytes:
    """Return the JSON of one result of a batch."""
    status, body = (result.status, b"null") if isinstance(result, Problem) else (HTTPStatus.OK, result.body)
    return b'{"article_id":%b,"status":%d,"list":%b}' % (to_bytes(article_id), status, body)


def _check_known(
    row: int | None, place: Place, by: IdOrUrl, value: str, query: ListQuery, view: ConsistentView
) -> None:
    """Raise Problem if the article is missing, unless the query asks for a fallback list."""
    if row is not None:
        return
    is_withdrawn = by == "id" and value in view.related.snapshot.withdrawn
    if query.unknown == "404" or is_withdrawn:
        raise missing_article(place, by, value, view)
