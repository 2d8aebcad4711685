"""Lists of related articles: for an article, for several articles, and for a text."""

from typing import Any

from flask import Flask, Response

from recommender.serving.cache.caching import ResponseCache, no_store
from recommender.serving.http.parameters import (
    AddressedRelatedParameters,
    BatchParameters,
    RelatedParameters,
    Text,
    validate_body,
)
from recommender.serving.http.problems import Place, Problem
from recommender.serving.http.requests import json_object, read_parameters, refuse_parameters
from recommender.serving.http.responses import ResponseBuilder, to_bytes
from recommender.serving.lists.query import ListQuery, RelatedList
from recommender.serving.routes.lookup import IdOrUrl, find_row, known_categories, missing_article
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context


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

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            deadline, results = self._cache.computing.deadline(), []
            for article_id in parameters.id:
                deadline.check()
                results.append(self._batch_result(article_id, query, view, builder, leaderboards))
            return {"results": results}

        key, cost = ("batch", parameters.id, query.canonical), query.cost * len(parameters.id)
        response = self._cache.respond(view, key, build, leaderboards, cost=cost)
        is_complete = all(find_row("id", article_id, view) is not None for article_id in parameters.id)
        return response if is_complete else no_store(response)

    def similar(self) -> Response:
        """Respond with the list of the text in the body."""
        refuse_parameters()
        text = validate_body(Text, json_object("the text", self._context.settings.max_body_bytes))
        query, view = text.query(), self._context.view()
        trending, rank_of = view.trends(self._leaderboards(query, view))
        with self._cache.computing.turn(text.cost):
            article = text.article()
            with known_categories("body", query):
                related_list = view.related.of_text(article, query, view.now, trending=trending)
            body = to_bytes(view.builder().whole_list(related_list, rank_of))
        return Response(body, content_type="application/json")

    def _respond(self, place: Place, by: IdOrUrl, value: str, query: ListQuery) -> Response:
        view = self._context.view()
        row = find_row(by, value, view)
        self._check_known(row, place, by, value, query, view)
        article_id = None if row is not None or by == "url" else value
        leaderboards = self._leaderboards(query, view)
        key = "list", row, article_id, query.canonical

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            related_list, rank_of = self._list(row, article_id, query, view, leaderboards)
            return builder.whole_list(related_list, rank_of)

        response = self._cache.respond(view, key, build, leaderboards, row=row, cost=query.cost)
        return no_store(response) if row is None else response

    def _batch_result(
        self,
        article_id: str,
        query: ListQuery,
        view: ConsistentView,
        builder: ResponseBuilder,
        leaderboards: Leaderboards | None,
    ) -> dict[str, Any]:
        """Return the result for an article of a batch: its list, or the status of the error."""
        row, status, nested_list = find_row("id", article_id, view), 200, None
        try:
            self._check_known(row, "query", "id", article_id, query, view)
        except Problem as problem:
            status = problem.status
        else:
            nested_list = builder.nested_list(*self._list(row, article_id, query, view, leaderboards))
        return {"article_id": builder.subject(article_id), "status": status, "list": nested_list}

    def _check_known(
        self, row: int | None, place: Place, by: IdOrUrl, value: str, query: ListQuery, view: ConsistentView
    ) -> None:
        """Raise Problem if the article is missing, unless the query asks for a fallback list."""
        if row is not None:
            return
        is_withdrawn = by == "id" and value in view.related.snapshot.withdrawn
        if query.unknown == "404" or is_withdrawn:
            raise missing_article(place, by, value, view)

    def _list(
        self,
        row: int | None,
        article_id: str | None,
        query: ListQuery,
        view: ConsistentView,
        leaderboards: Leaderboards | None,
    ) -> tuple[RelatedList, Any]:
        """Return the list for a row (the newest articles if it is None), and the ranks to show."""
        related, now = view.related, view.now
        trending, rank_of = view.trends(leaderboards)
        with known_categories("query", query):
            if row is None:
                return related.recent(query, now, article_id, trending=trending), rank_of
            return related.of_row(row, query, now, trending=trending), rank_of

    def _leaderboards(self, query: ListQuery, view: ConsistentView) -> Leaderboards | None:
        """Return the leaderboards if the list shows trending ranks."""
        return self._context.leaderboards(view) if query.include_trending else None
