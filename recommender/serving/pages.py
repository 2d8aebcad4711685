"""The call for a whole page: all that stands around an article, in one answer."""

from typing import Any, Literal

from flask import Flask, Response

from recommender.serving.answers import article_facts, card, iso, list_answer, topics_answer
from recommender.serving.api import Api, check_segment, parameters
from recommender.serving.categories import slug
from recommender.serving.desk import Desk
from recommender.serving.lists import ListQuery
from recommender.serving.page import Page, sections
from recommender.serving.problems import Place
from recommender.serving.schemas import AddressedAroundParameters, AroundParameters, many_segments
from recommender.serving.trends import basis, degraded
from recommender.trending import DEFAULT_WINDOW

PAGE_CALL = "/v1/page"


class Pages:
    """The call of article pages."""

    def __init__(self, desk: Desk, api: Api) -> None:
        self._desk, self._api = desk, api

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
        related, now = self._desk.related, self._desk.clock()
        row = self._api.row(by, value, now)
        if row is None:
            raise self._api.unknown(place, by, value)
        boards = self._desk.popular.boards(related, now)
        board = boards.board(DEFAULT_WINDOW)
        page = Page.of(
            related,
            board,
            row,
            ListQuery(limit=given.related_limit, explain=given.explain == "1"),
            now,
            trending_limit=given.trending_limit,
            dedupe=given.dedupe,
        )
        standing = self._desk.standing()
        trending = list_answer(related, page.trending, standing, board.rank)
        beside: dict[str, Any] = {
            name: None if row is None else card(related, row, now)
            for name, row in (("previous", page.older), ("next", page.newer))
        }
        answer = {
            "article": article_facts(related, row, now),
            "related": list_answer(related, page.related, standing),
            "trending": trending
            | {
                "as_of": iso(boards.as_of),
                "degraded": degraded(self._desk, boards),
                "window": DEFAULT_WINDOW,
                "basis": basis(page.trending),
            },
            **beside,
            "sections": [
                {"name": each.name, "slug": slug(each.name), "articles": each.articles}
                for each in sections(related, now)
            ],
            "topics": topics_answer(related, row),
        }
        return self._api.cached(answer, now)
