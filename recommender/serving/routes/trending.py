"""Trending: the articles that are read most now, and the rank of an article."""

from typing import Any, Literal

from flask import Flask, Response

from recommender.model import microseconds
from recommender.serving.cache.caching import ResponseCache
from recommender.serving.http.parameters import (
    TRENDING_SUFFIX,
    AddressedRankParameters,
    RankParameters,
    TrendingParameters,
    id_with_slash,
)
from recommender.serving.http.problems import Place
from recommender.serving.http.requests import check_path_id, read_parameters
from recommender.serving.http.responses import SCORE_DECIMALS, ResponseBuilder, iso
from recommender.serving.lists.page import trending_list
from recommender.serving.lists.query import ListQuery, RelatedList
from recommender.serving.lists.related import Related
from recommender.serving.routes.lookup import IdOrUrl, known_categories, row_of
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context


class TrendingRoutes:
    """The routes of trending."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache

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
        """Respond with the articles that are read most; without events, with the newest articles."""
        parameters, view = read_parameters(TrendingParameters), self._context.view()
        leaderboards = self._context.leaderboards(view)

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            return _trending_json(parameters, view, leaderboards, builder)

        return self._cache.respond(view, parameters, build, leaderboards)

    def rank(self) -> Response:
        """Respond with the rank of the article with this id or URL."""
        parameters = read_parameters(AddressedRankParameters)
        by, value = parameters.id_or_url()
        return self._respond_with_rank("query", by, value, parameters.window)

    def rank_by_path(self, article_id: str) -> Response:
        """Respond with the rank of the article whose id is in the path.

        If an article has the id `<article_id>/trending`, the problem names both URLs.
        """
        whole_id = article_id + TRENDING_SUFFIX
        if self._context.related.articles.find(whole_id) is not None:
            raise id_with_slash(whole_id, check_suffix=True)
        check_path_id(article_id)
        return self._respond_with_rank("path", "id", article_id, read_parameters(RankParameters).window)

    def _respond_with_rank(self, place: Place, by: IdOrUrl, value: str, window: str) -> Response:
        view = self._context.view()
        row, leaderboards = row_of(place, by, value, view), self._context.leaderboards(view)

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            builder.subject(view.related.articles.ids[row])
            return _rank_json(view.related, leaderboards, row, window)

        return self._cache.respond(view, ("rank", row, window), build, leaderboards)


def _trending_json(
    parameters: TrendingParameters, view: ConsistentView, leaderboards: Leaderboards, builder: ResponseBuilder
) -> dict[str, Any]:
    related, leaderboard = view.related, leaderboards.leaderboard(parameters.window)
    mask = related.public(view.now).copy()
    filters = ListQuery(categories=parameters.category, exclude_categories=parameters.exclude_category)
    with known_categories("query", filters):
        mask &= related.in_filter(filters)
    if parameters.published_after is not None:
        mask &= related.articles.published > microseconds(parameters.published_after)
    trending = trending_list(
        related,
        leaderboard,
        mask,
        parameters.limit,
        view.now,
        blocked=related.blocked_in(parameters.category),
    )
    return {
        "as_of": iso(leaderboards.as_of),
        "window": parameters.window,
        "basis": basis(trending),
        "degraded": degraded(view, leaderboards),
        "items": [builder.item(item, trending, leaderboard.rank) for item in trending.items],
    }


def _rank_json(related: Related, leaderboards: Leaderboards, row: int, window: str) -> dict[str, Any]:
    rank = leaderboards.leaderboard(window).article_rank(row, int(related.articles.category.codes[row]))
    return {
        "article_id": related.articles.ids[row],
        "as_of": iso(leaderboards.as_of),
        "window": window,
        "rank": rank.rank,
        "of": rank.of,
        "category_rank": rank.category_rank,
        "category_of": rank.category_of,
        "score": round(rank.score, SCORE_DECIMALS),
        "change": rank.change,
        "new": rank.new,
    }


def basis(trending: RelatedList) -> Literal["views", "recent"]:
    """Return what a trending list is based on: events, or publication dates alone."""
    return "views" if any(item.source == "trending" for item in trending.items) else "recent"


def degraded(view: ConsistentView, leaderboards: Leaderboards) -> list[str]:
    """Return the degraded parts, "store" included if the counts are not up to date."""
    return sorted({*view.model_status.degraded, *(("store",) if leaderboards.is_old else ())})
