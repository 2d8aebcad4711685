"""The call for a whole page: all that stands around an article, in one answer."""

from collections.abc import Hashable
from typing import Any, Literal

from flask import Flask, Response

from recommender.serving.http.parameters import AddressedAroundParameters, AroundParameters, many_segments
from recommender.serving.http.problems import Place
from recommender.serving.http.responses import article_facts, card, iso, list_json, topic_shares
from recommender.serving.index.categories import slug
from recommender.serving.lists.page import Page, category_counts
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.api import Api, check_segment, parameters
from recommender.serving.routes.trending import basis, degraded
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context
from recommender.trending import DEFAULT_WINDOW

PAGE_CALL = "/v1/page"


class PageRoutes:
    """The call of article pages."""

    def __init__(self, context: Context, api: Api) -> None:
        self._context, self._api = context, api

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule(PAGE_CALL, endpoint="page", view_func=self.page)
        app.add_url_rule(f"{PAGE_CALL}/<tail:article_id>", endpoint="page_by_path", view_func=self.by_path)

    def page(self) -> Response:
        """Answer the page of the article with this id or URL."""
        given = parameters(AddressedAroundParameters)
        return self._of("query", *given.only(), given)

    def by_path(self, article_id: str) -> Response:
        """Answer the page of the article whose id is one segment of the path."""
        if "/" in article_id:
            raise many_segments(article_id, PAGE_CALL)
        check_segment(article_id)
        return self._of("path", "id", article_id, parameters(AroundParameters))

    def _of(self, place: Place, by: Literal["id", "url"], value: str, given: AroundParameters) -> Response:
        view = self._context.view()
        row, leaderboards = self._api.public_row(place, by, value, view), self._context.leaderboards(view)
        key = "page", row, *_asked(given)
        return self._api.cached(view, key, lambda: _page(row, given, view, leaderboards), leaderboards)


def _asked(given: AroundParameters) -> tuple[Hashable, ...]:
    """Return what a page depends on besides its article."""
    return given.related_limit, given.trending_limit, given.dedupe, given.explain


def _page(
    row: int, given: AroundParameters, view: ConsistentView, leaderboards: Leaderboards
) -> dict[str, Any]:
    related, now, model_status = view.related, view.now, view.model_status
    leaderboard = leaderboards.leaderboard(DEFAULT_WINDOW)
    page = Page.of(
        related,
        leaderboard,
        row,
        ListQuery(limit=given.related_limit, explain=given.explain == "1"),
        now,
        trending_limit=given.trending_limit,
        dedupe=given.dedupe,
    )
    trending = list_json(related, page.trending, model_status, leaderboard.rank)
    beside: dict[str, Any] = {
        name: None if row is None else card(related, row, now)
        for name, row in (("previous", page.older), ("next", page.newer))
    }
    return {
        "article": article_facts(related, row, now),
        "related": list_json(related, page.related, model_status),
        "trending": trending
        | {
            "as_of": iso(leaderboards.as_of),
            "degraded": degraded(view, leaderboards),
            "window": DEFAULT_WINDOW,
            "basis": basis(page.trending),
        },
        **beside,
        "sections": [
            {"name": each.name, "slug": slug(each.name), "articles": each.articles}
            for each in category_counts(related, now)
        ],
        "topics": topic_shares(related, row),
    }
