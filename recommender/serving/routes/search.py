"""The call for search: what holds the words that a reader types."""

from typing import Any

from flask import Flask, Response

from recommender.serving.http.parameters import SearchParameters
from recommender.serving.http.responses import list_answer
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.api import Api, known_categories, parameters
from recommender.serving.worker.context import Desk


class Searching:
    """The call for search."""

    def __init__(self, desk: Desk, api: Api) -> None:
        self._desk, self._api = desk, api

    def add_to(self, app: Flask) -> None:
        """Add the route."""
        app.add_url_rule("/v1/search", endpoint="search", view_func=self.search)

    def search(self) -> Response:
        """Answer the articles that hold the words, the likeliest first."""
        given, present = parameters(SearchParameters), self._desk.present()
        related, sections = present.related, tuple(sorted(set(given.category)))

        def make() -> dict[str, Any]:
            with known_categories("query", ListQuery(categories=sections)):
                found = related.search(
                    given.q, given.limit, present.now, categories=sections, lang=given.lang
                )
            return list_answer(related, found, present.standing)

        return self._api.cached(present, ("search", given.q, given.limit, sections, given.lang), make)
