"""The calls of trending: the list of what is read most, and where one article stands in it."""

from typing import Any, Literal

from flask import Flask, Response

from recommender.model import microseconds
from recommender.serving.http.parameters import (
    TRENDING_SUFFIX,
    AddressedTrendParameters,
    TrendingParameters,
    TrendParameters,
    many_segments,
)
from recommender.serving.http.problems import Place
from recommender.serving.http.responses import SCORE_DECIMALS, iso, item_json
from recommender.serving.lists.page import trending_list
from recommender.serving.lists.query import ListQuery, RelatedList
from recommender.serving.lists.related import Related
from recommender.serving.routes.api import Api, check_segment, known_categories, parameters
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context


class TrendingRoutes:
    """The public calls of trending."""

    def __init__(self, context: Context, api: Api) -> None:
        self._context, self._api = context, api

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/trending", endpoint="trending", view_func=self.trending)
        app.add_url_rule("/v1/trending/rank", endpoint="rank", view_func=self.rank)
        app.add_url_rule(
            f"/v1/articles/<article_id>{TRENDING_SUFFIX}",
            endpoint="rank_by_path",
            view_func=self.rank_by_path,
        )

    def trending(self) -> Response:
        """Answer what is read most, or, where nothing is known of that, what is newest."""
        given, view = parameters(TrendingParameters), self._context.view()
        leaderboards = self._context.leaderboards(view)
        return self._api.cached(view, given, lambda: self._trending(given, view, leaderboards), leaderboards)

    def _trending(
        self, given: TrendingParameters, view: ConsistentView, leaderboards: Leaderboards
    ) -> dict[str, Any]:
        related, leaderboard = view.related, leaderboards.leaderboard(given.window)
        mask = related.public(view.now).copy()
        if given.category:
            with known_categories("query", ListQuery(categories=given.category)):
                mask &= related.in_categories(given.category)
        if given.published_after is not None:
            mask &= related.articles.published > microseconds(given.published_after)
        found = trending_list(related, leaderboard, mask, given.limit, view.now)
        return {
            "as_of": iso(leaderboards.as_of),
            "window": given.window,
            "basis": basis(found),
            "degraded": degraded(view, leaderboards),
            "items": [item_json(related, item, found, leaderboard.rank) for item in found.items],
        }

    def rank(self) -> Response:
        """Answer where the article with this id or URL stands."""
        given = parameters(AddressedTrendParameters)
        by, value = given.only()
        return self._of("query", by, value, given.window)

    def rank_by_path(self, article_id: str) -> Response:
        """Answer where the article stands whose id is one segment of the path.

        Where another id ends like the path, both addresses are told, and neither is answered.
        """
        whole = article_id + TRENDING_SUFFIX
        if self._context.related.articles.find(whole) is not None:
            raise many_segments(whole, calls=True)
        check_segment(article_id)
        return self._of("path", "id", article_id, parameters(TrendParameters).window)

    def _of(self, place: Place, by: Literal["id", "url"], value: str, window: str) -> Response:
        view = self._context.view()
        row, leaderboards = self._api.public_row(place, by, value, view), self._context.leaderboards(view)

        def make() -> dict[str, Any]:
            return _rank(view.related, leaderboards, row, window)

        return self._api.cached(view, ("rank", row, window), make, leaderboards)


def _rank(related: Related, leaderboards: Leaderboards, row: int, window: str) -> dict[str, Any]:
    stands = leaderboards.leaderboard(window).article_rank(row, int(related.articles.category.codes[row]))
    return {
        "article_id": related.articles.ids[row],
        "as_of": iso(leaderboards.as_of),
        "window": window,
        "rank": stands.rank,
        "of": stands.of,
        "category_rank": stands.category_rank,
        "category_of": stands.category_of,
        "score": round(stands.score, SCORE_DECIMALS),
        "change": stands.change,
        "new": stands.new,
    }


def basis(found: RelatedList) -> Literal["views", "recent"]:
    """Return what a list of trending rests on: counts, or dates alone."""
    return "views" if any(item.source == "trending" for item in found.items) else "recent"


def degraded(view: ConsistentView, leaderboards: Leaderboards) -> list[str]:
    """Return what is missing, of what the service knows and of the counts."""
    return sorted({*view.model_status.degraded, *(("store",) if leaderboards.is_old else ())})
