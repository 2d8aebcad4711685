"""The demo: a news site built from the articles of the model, which shows the lists as readers see them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from flask import Flask, Response, render_template, request

from recommender.serving.http.concurrency import ComputingLimit
from recommender.serving.http.parameters import MAX_QUERY_CHARS, cursor_after, read_cursor
from recommender.serving.http.problems import Problem
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.highlights import Highlights
from recommender.serving.lists.page import Page, trending_list
from recommender.serving.lists.query import ListQuery, RelatedList
from recommender.serving.lists.related import Related
from recommender.serving.lists.topics import UnknownTopicError, all_topics, topic_articles
from recommender.serving.routes.trending import basis
from recommender.serving.site.teasers import (
    Teaser,
    day,
    is_crosshead,
    label,
    matching_teasers,
    teaser,
    teasers,
    trending_teaser,
)
from recommender.serving.site.typography import typographic
from recommender.serving.trending.rankings import Leaderboard, Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context
from recommender.trending import DEFAULT_WINDOW

RELATED = 9
TRENDING = 8
PER_PAGE = 18
FRONT = 7  # newest articles on the front page, the first of them large
MAX_BLOCKS, PER_BLOCK = 4, 3  # sections on the front page
MAX_SECTIONS = 8  # in the navigation
_COPIES_PER_STORY = 4  # that may be among the newest articles
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


class _Front:
    """The articles of the front page, in the most frequent language, none of them or its copies twice."""

    def __init__(self, view: ConsistentView) -> None:
        self._related, self._now = view.related, view.now
        codes = self._related.articles.langs.codes
        self._mask = self._related.public(view.now) & (codes + 1 == int(np.bincount(codes + 1).argmax()))
        self.shown: list[int] = []

    def take(self, count: int, category: str | None = None) -> list[int]:
        """Return the newest articles that are not on the page yet, of one category or of all."""
        mask = self._mask if category is None else self._mask & self._related.in_categories([category])
        rows: list[int] = []
        for row in self._related.timeline.page(mask, _COPIES_PER_STORY * count, self._now):
            if self._mask[row] and len(rows) < count:
                rows.append(row)
                self._mask[[row, *self._related.snapshot.copies.of(row)]] = False
        self.shown += rows
        return rows


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
            ("/demo/topic", "demo_topic", self.topic),
            ("/demo/search", "demo_search", self.search),
        ):
            app.add_url_rule(path, endpoint, self._in_turn(view))
        app.jinja_env.filters |= {"day": day, "label": label, "typographic": typographic}
        app.jinja_env.tests["crosshead"] = is_crosshead
        app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    def home(self) -> Response:
        """Show the newest articles in the most frequent language, and those of the largest sections."""
        view = self._context.view()
        front = _Front(view)
        newest = front.take(FRONT)
        if not newest:
            raise Problem("unknown-article", "No article has been published yet.")
        blocks = [
            (name, front.take(PER_BLOCK, name)) for name in view.related.categories.by_size[:MAX_BLOCKS]
        ]
        articles = view.related.articles
        return self._page(
            "home.html",
            lead=teaser(articles, newest[0]),
            newest=[teaser(articles, row) for row in newest[1:]],
            blocks=[(name, [teaser(articles, row) for row in rows]) for name, rows in blocks if rows],
            trend=self._other_trending(front.shown, view),
        )

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
        related = view.related
        try:
            mask = related.in_categories([name]) & related.public(view.now)
        except UnknownCategoryError:
            raise Problem("not-found", f"There is no section called {name[:100]!r}.") from None
        category = related.categories.named(name)[0]
        return self._listing(view, mask, {"name": category}, section=category)

    def topic(self) -> Response:
        """Show the articles of a topic, newest first, and other trending articles."""
        view, slug = self._context.view(), request.args.get("slug", "")
        try:
            topic, mask = topic_articles(view.related, slug, view.now)
        except UnknownTopicError as error:
            raise Problem("unknown-topic", str(error)) from None
        return self._listing(view, mask, {"slug": slug}, topic=topic)

    def _listing(
        self, view: ConsistentView, mask: np.ndarray, address: Mapping[str, str], **values: Any
    ) -> Response:
        """Return a page of the articles in a mask, newest first. `address` are its query parameters."""
        related, now = view.related, view.now
        rows = related.timeline.page(mask, PER_PAGE + 1, now, _cursor())
        articles, shown = related.articles, rows[:PER_PAGE]
        last = shown[-1] if len(rows) > PER_PAGE else None
        older = None if last is None else cursor_after(int(articles.published[last]), articles.ids[last])
        return self._page(
            "section.html",
            address=address,
            teasers=[teaser(articles, row) for row in shown],
            trend=self._other_trending(shown, view),
            older=older,
            count=int(mask.sum()),
            **values,
        )

    def search(self) -> Response:
        """Show the articles that match a search."""
        view, words = self._context.view(), request.args.get("q", "").strip()[:MAX_QUERY_CHARS]
        if not words:
            return self._page("search.html", words=words, teasers=(), eligible=0)
        results, related = view.related.search(words, PER_PAGE, view.now), view.related
        return self._page(
            "search.html",
            words=words,
            corrected=results.corrected_query,
            teasers=matching_teasers(related.articles, results, Highlights(related.snapshot, results.words)),
            eligible=results.eligible,
        )

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
        public_slugs = {topic["slug"] for topic in all_topics(related, now)["topics"]}
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
            topics=[topic for topic, _ in topics if topic.slug in public_slugs],
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
