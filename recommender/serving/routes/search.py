"""The call for search: what holds the words that a reader types."""

from typing import Any

from flask import Flask, Response

from recommender.serving.http.parameters import SearchParameters
from recommender.serving.http.responses import list_json
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.api import Api, known_categories, parameters
from recommender.serving.worker.context import Context


class SearchRoutes:
    """The call for search."""

    def __init__(self, context: Context, api: Api) -> None:
        self._context, self._api = context, api

    def add_to(self, app: Flask) -> None:
        """Add the route."""
        app.add_url_rule("/v1/search", endpoint="search", view_func=self.search)

    def search(self) -> Response:
        """Answer the articles that hold the words, the likeliest first."""
        given, view = parameters(SearchParameters), self._context.view()
        related, categories = view.related, tuple(sorted(set(given.category)))

        def make() -> dict[str, Any]:
            with known_categories("query", ListQuery(categories=categories)):
                found = related.search(given.q, given.limit, view.now, categories=categories, lang=given.lang)
            return list_json(related, found, view.model_status)

        return self._api.cached(view, ("search", given.q, given.limit, categories, given.lang), make)
