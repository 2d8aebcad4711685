"""The page of an article: all its lists and links, in one response."""

from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, Response

from recommender.serving.cache.caching import ResponseCache
from recommender.serving.http.parameters import (
    AddressedArticlePageParameters,
    ArticlePageParameters,
    id_with_slash,
)
from recommender.serving.http.problems import Place
from recommender.serving.http.requests import check_path_id, read_parameters
from recommender.serving.http.responses import Rendered, ResponseBuilder, iso, rendered
from recommender.serving.index.categories import slug
from recommender.serving.lists.page import Page, category_counts
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.routes.lookup import IdOrUrl, known_categories, row_of
from recommender.serving.routes.trending import basis, degraded
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context
from recommender.trending import DEFAULT_WINDOW

_PATH = "/v1/page"
_REST_COST = 2  # of a page besides its related list


class PageRoutes:
    """The routes of article pages."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache
        # The sections of the lists in use, and the number of articles under embargo with which they change.
        self._sections: WeakKeyDictionary[Related, tuple[int, Rendered]] = WeakKeyDictionary()

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule(_PATH, endpoint="page", view_func=self.page)
        app.add_url_rule(f"{_PATH}/<tail:article_id>", endpoint="page_by_path", view_func=self.by_path)

    def page(self) -> Response:
        """Respond with the page of the article with this id or URL."""
        parameters = read_parameters(AddressedArticlePageParameters)
        return self._respond("query", *parameters.id_or_url(), parameters)

    def by_path(self, article_id: str) -> Response:
        """Respond with the page of the article whose id is in the path."""
        if "/" in article_id:
            raise id_with_slash(article_id, _PATH)
        check_path_id(article_id)
        return self._respond("path", "id", article_id, read_parameters(ArticlePageParameters))

    def _respond(self, place: Place, by: IdOrUrl, value: str, parameters: ArticlePageParameters) -> Response:
        view = self._context.view()
        row, leaderboards = row_of(place, by, value, view), self._context.leaderboards(view)
        limits = parameters.related_limit, parameters.trending_limit
        excluded = tuple(sorted(set(parameters.exclude_category)))
        key = "page", row, *limits, parameters.dedupe, parameters.explain, excluded
        query = ListQuery(
            limit=parameters.related_limit,
            exclude_categories=excluded,
            explain=parameters.explain == "1",
        )

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            sections = self._sections_of(view)
            return _page_json(row, query, parameters, view, leaderboards, builder, sections)

        return self._cache.respond(view, key, build, leaderboards, cost=query.cost + _REST_COST)

    def _sections_of(self, view: ConsistentView) -> Rendered:
        """Return the sections of all pages of a view, which are the same until an embargo ends."""
        embargoed = view.related.timeline.future(view.now)
        known = self._sections.get(view.related)
        if known is None or known[0] != embargoed:
            counts = category_counts(view.related, view.now)
            sections = [
                {"name": category.name, "slug": slug(category.name), "articles": category.articles}
                for category in counts
            ]
            known = self._sections[view.related] = embargoed, rendered(sections)
        return known[1]


def _page_json(
    row: int,
    query: ListQuery,
    parameters: ArticlePageParameters,
    view: ConsistentView,
    leaderboards: Leaderboards,
    builder: ResponseBuilder,
    sections: Rendered,
) -> dict[str, Any]:
    related, now = view.related, view.now
    leaderboard = leaderboards.leaderboard(DEFAULT_WINDOW)
    with known_categories("query", query):
        page = Page.of(
            related,
            leaderboard,
            row,
            query,
            now,
            trending_limit=parameters.trending_limit,
            dedupe=parameters.dedupe,
        )
    blocked = page.related.blocked
    return {
        "article": builder.facts(row),
        "related": builder.nested_list(page.related),
        "trending": builder.nested_list(
            page.trending,
            leaderboard.rank,
            {
                "as_of": iso(leaderboards.as_of),
                "degraded": degraded(view, leaderboards),
                "window": DEFAULT_WINDOW,
                "basis": basis(page.trending),
            },
        ),
        "previous": None if page.older is None else builder.card(page.older, without=blocked),
        "next": None if page.newer is None else builder.card(page.newer, without=blocked),
        "sections": sections,
        "topics": builder.topic_shares(row),
    }
