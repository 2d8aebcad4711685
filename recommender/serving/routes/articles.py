"""Articles: the facts of an article, and all public articles in pages."""

from typing import Any

import numpy as np
from flask import Flask, Response

from recommender.model import microseconds
from recommender.serving.cache.caching import ResponseCache
from recommender.serving.http.parameters import (
    RELATED_SUFFIX,
    ArticleAddress,
    NewestParameters,
    PaginationParameters,
    cursor_after,
    id_with_slash,
)
from recommender.serving.http.problems import Place
from recommender.serving.http.requests import check_path_id, read_parameters, refuse_parameters
from recommender.serving.http.responses import ResponseBuilder
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.lookup import IdOrUrl, known_categories, row_of
from recommender.serving.routes.related import RelatedRoutes
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context


class ArticleRoutes:
    """The routes that read articles."""

    def __init__(self, context: Context, cache: ResponseCache, related: RelatedRoutes) -> None:
        self._context, self._cache, self._related = context, cache, related

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/article", endpoint="article", view_func=self.article)
        app.add_url_rule("/v1/articles", endpoint="newest", view_func=self.newest)
        app.add_url_rule("/v1/articles/<tail:tail>", endpoint="by_path", view_func=self.by_path)

    def article(self) -> Response:
        """Respond with the facts of the article with this id or URL."""
        return self._facts("query", *read_parameters(ArticleAddress).id_or_url())

    def by_path(self, tail: str) -> Response:
        """Respond with the facts of the article whose id is in the path, or with its list.

        WSGI servers decode `%2F`, so a path with several segments may be an id that contains a slash, and
        `X/related` may be the list of `X` or the facts of the id `X/related`. If both are possible, the
        problem names both URLs.
        """
        is_list_path = tail.endswith(RELATED_SUFFIX)
        article_id = tail.removesuffix(RELATED_SUFFIX)
        if "/" in article_id or (is_list_path and self._context.related.articles.find(tail) is not None):
            raise id_with_slash(tail, check_suffix=True)
        check_path_id(article_id)
        if is_list_path:
            return self._related.by_path(article_id)
        refuse_parameters()
        return self._facts("path", "id", article_id)

    def newest(self) -> Response:
        """Respond with a page of the public articles, newest first; equal dates come in id order."""
        parameters, view = read_parameters(NewestParameters), self._context.view()
        related, articles = view.related, view.related.articles

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            filters = ListQuery(
                categories=parameters.category, exclude_categories=parameters.exclude_category
            )
            with known_categories("query", filters):
                mask = related.in_filter(filters)
            if parameters.updated_after is not None:
                # A change made under embargo is new to readers when the embargo ends.
                changed = np.maximum(articles.updated, articles.published)
                mask &= changed > microseconds(parameters.updated_after)
            return page_of(mask, parameters, view, builder, blocked=related.blocked_in(parameters.category))

        return self._cache.respond(view, parameters, build)

    def _facts(self, place: Place, by: IdOrUrl, value: str) -> Response:
        view = self._context.view()
        row = row_of(place, by, value, view)
        return self._cache.respond(view, ("facts", row), lambda builder: builder.article(row))


def page_of(
    mask: np.ndarray,
    parameters: PaginationParameters,
    view: ConsistentView,
    builder: ResponseBuilder,
    *,
    blocked: frozenset[int] = frozenset(),
) -> dict[str, Any]:
    """Return a page of the articles in the mask (n,) bool, newest first, and the cursor of the next page.

    The rows `blocked` are not named as near-duplicates.
    """
    related, articles = view.related, view.related.articles
    rows = related.timeline.page(mask, parameters.limit + 1, view.now, parameters.cursor)
    page, has_more = rows[: parameters.limit], len(rows) > parameters.limit
    cursor = cursor_after(int(articles.published[page[-1]]), articles.ids[page[-1]]) if has_more else None
    return {"items": builder.cards(page, without=blocked), "next_cursor": cursor}
