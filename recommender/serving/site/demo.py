"""The demo: a news site built from the articles of the model, which shows the lists as readers see them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from flask import Flask, Response, render_template, request

from recommender.serving.http.concurrency import ComputingLimit
from recommender.serving.http.parameters import MAX_QUERY_CHARS, cursor_after, read_cursor
from recommender.serving.http.problems import Problem
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.page import Page, trending_list
from recommender.serving.lists.query import ListQuery, RelatedList
from recommender.serving.lists.related import Related
from recommender.serving.routes.trending import basis
from recommender.serving.site.teasers import (
    Teaser,
    day,
    is_crosshead,
    label,
    teaser,
    teasers,
    trending_teaser,
)
from recommender.serving.trending.rankings import Leaderboard, Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context
from recommender.trending import DEFAULT_WINDOW

RELATED = 9
TRENDING = 8
PER_PAGE = 18
MAX_SECTIONS = 8  # in the navigation
_PAGE_COST = 6  # see `ListQuery.cost`
_BLANK_LINES = re.compile(r"\n\s*\n")
_TICK = timedelta(minutes=1)
_FIRST_RANKING_SECONDS = 60  # the wait while there is no ranking yet
# No inline scripts or styles, and nothing from other hosts.
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Trend:
    """The trending list of a page."""

    teasers: list[Teaser]
    basis: str  # "views", or "recent" if there are no events
    as_of: datetime | None
    next_seconds: int  # until the next update of the ranking


class DemoRoutes:
    """The pages under `/demo/`."""

    def __init__(self, context: Context, computing: ComputingLimit) -> None:
        self._context, self._computing = context, computing

    def add_to(self, app: Flask) -> None:
        """Add the routes and the template filters."""
        for path, endpoint, view in (
            ("/demo", "demo_bare", self.home),
            ("/demo/", "demo", self.home),
            ("/demo/article", "demo_article", self.article),
            ("/demo/section", "demo_section", self.section),
            ("/demo/search", "demo_search", self.search),
        ):
            app.add_url_rule(path, endpoint, self._in_turn(view))
        app.jinja_env.filters |= {"day": day, "label": label}
        app.jinja_env.tests["crosshead"] = is_crosshead
        app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    def home(self) -> Response:
        """Show the newest article in the most frequent language."""
        view = self._context.view()
        related = view.related
        codes = related.articles.langs.codes
        main_language = int(np.bincount(codes + 1).argmax())
        rows = related.timeline.page(codes + 1 == main_language, 1, view.now)
        if not rows:
            raise Problem("unknown-article", "No article has been published yet.")
        return self._article_page(rows[0], view)

    def article(self) -> Response:
        """Show an article and its lists."""
        article_id, view = request.args.get("id", ""), self._context.view()
        row = view.related.find(article_id, view.now)
        if row is None:
            raise Problem("unknown-article", f"No article has the id {article_id[:100]!r}.")
        return self._article_page(row, view)

    def section(self) -> Response:
        """Show the articles of a category, newest first, and other trending articles."""
        view, name = self._context.view(), request.args.get("name", "")
        related, now = view.related, view.now
        try:
            mask = related.in_categories([name]) & related.public(now)
        except UnknownCategoryError:
            raise Problem("not-found", f"There is no section called {name[:100]!r}.") from None
        category = related.categories.named(name)[0]
        rows = related.timeline.page(mask, PER_PAGE + 1, now, _cursor())
        articles, shown = related.articles, rows[:PER_PAGE]
        last = shown[-1] if len(rows) > PER_PAGE else None
        older = None if last is None else cursor_after(int(articles.published[last]), articles.ids[last])
        return self._page(
            "section.html",
            section=category,
            teasers=[teaser(articles, row) for row in shown],
            trend=self._other_trending(shown, view),
            older=older,
            count=int(mask.sum()),
        )

    def search(self) -> Response:
        """Show the articles that match a search."""
        view, words = self._context.view(), request.args.get("q", "").strip()[:MAX_QUERY_CHARS]
        if not words:
            return self._page("search.html", words=words, teasers=(), eligible=0)
        matches = view.related.search(words, PER_PAGE, view.now)
        shown = teasers(view.related.articles, matches.items)
        return self._page("search.html", words=words, teasers=shown, eligible=matches.eligible)

    def _in_turn(self, view: Callable[[], Response]) -> Callable[[], Response]:
        """Return a view that waits for its turn, because pages are not cached."""

        def in_turn() -> Response:
            with self._computing.turn(_PAGE_COST):
                return view()

        return in_turn

    def problem_page(self, problem: Problem) -> Response:
        """Show an error page."""
        response = self._page("problem.html", problem=problem)
        response.status_code = problem.status
        response.headers.extend(dict(problem.headers))
        return response

    def _article_page(self, row: int, view: ConsistentView) -> Response:
        related, now, leaderboards = view.related, view.now, self._context.leaderboards(view)
        articles, leaderboard = related.articles, leaderboards.leaderboard(DEFAULT_WINDOW)
        query = ListQuery(limit=RELATED, explain=True)
        page = Page.of(related, leaderboard, row, query, now, trending_limit=TRENDING)
        topics = related.model.topics_of(related.snapshot.vectors.of(row).latent)
        return self._page(
            "article.html",
            article=articles.article(row),
            teaser=teaser(articles, row),
            paragraphs=_BLANK_LINES.split(articles.bodies[row].strip()),
            related=teasers(articles, page.related.items),
            trend=_trend(related, leaderboards, leaderboard, page.trending, now),
            older=None if page.older is None else teaser(articles, page.older),
            newer=None if page.newer is None else teaser(articles, page.newer),
            topics=[topic.name for topic, _ in topics],
            model_version=related.model.manifest.version,
        )

    def _other_trending(self, shown: Iterable[int], view: ConsistentView) -> Trend:
        """Return the trending articles that are neither on the page nor near-duplicates of articles on it."""
        related, now, leaderboards = view.related, view.now, self._context.leaderboards(view)
        leaderboard = leaderboards.leaderboard(DEFAULT_WINDOW)
        mask = related.public(now).copy()
        mask[related.snapshot.copies.with_all(shown)] = False
        return _trend(
            related, leaderboards, leaderboard, trending_list(related, leaderboard, mask, TRENDING, now), now
        )

    def _page(self, template: str, **values: Any) -> Response:
        settings, today = self._context.settings, self._context.now
        category_counts = (
            self._context.related.categories.by_size[:MAX_SECTIONS] if self._context.is_open else []
        )
        page = render_template(
            template, site=settings.site_name, sections=category_counts, today=today, **values
        )
        return Response(page, headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY})


def _trend(
    related: Related,
    leaderboards: Leaderboards,
    leaderboard: Leaderboard,
    trending: RelatedList,
    now: datetime,
) -> Trend:
    next_seconds = _FIRST_RANKING_SECONDS
    if leaderboards.as_of is not None:
        next_seconds = max(1, int((leaderboards.as_of + _TICK - now).total_seconds()) + 1)
    items = [trending_teaser(related.articles, item, leaderboard) for item in trending.items]
    return Trend(items, basis(trending), leaderboards.as_of, next_seconds)


def _cursor() -> tuple[int, str] | None:
    try:
        return read_cursor(request.args["cursor"]) if "cursor" in request.args else None
    except ValueError:
        return None
