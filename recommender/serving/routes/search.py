"""Search: the articles that match a reader's words."""

from flask import Flask, Response

from recommender.serving.cache.caching import ResponseCache
from recommender.serving.http.parameters import SearchParameters
from recommender.serving.http.requests import read_parameters
from recommender.serving.http.responses import Rendered, ResponseBuilder
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.lookup import known_categories
from recommender.serving.worker.context import Context


class SearchRoutes:
    """The route of search."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache

    def add_to(self, app: Flask) -> None:
        """Add the route."""
        app.add_url_rule("/v1/search", endpoint="search", view_func=self.search)

    def search(self) -> Response:
        """Respond with the articles that match the words, best match first."""
        parameters, view = read_parameters(SearchParameters), self._context.view()
        filters = ListQuery(
            categories=parameters.category, exclude_categories=parameters.exclude_category
        ).canonical
        limit, lang = parameters.limit, parameters.lang
        with_snippets = self._context.settings.has_search_snippets

        def build(builder: ResponseBuilder) -> Rendered:
            with known_categories("query", filters):
                matches = view.related.search(
                    parameters.q,
                    limit,
                    view.now,
                    categories=filters.categories,
                    exclude_categories=filters.exclude_categories,
                    lang=lang,
                )
            return builder.search_results(matches, with_snippets=with_snippets)

        key = "search", parameters.q, limit, filters, lang
        return self._cache.respond(view, key, build, cost=None)  # a search waits for a slot for scoring
