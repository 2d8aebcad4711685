"""The demo: a news site made of the model's own articles, to see the lists where readers would."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from flask import Flask, Response, render_template, request

from recommender.model import from_microseconds
from recommender.serving.categories import UnknownCategoryError
from recommender.serving.desk import Desk
from recommender.serving.lists import ANY, Item, ListQuery
from recommender.serving.problems import Problem
from recommender.serving.related import Related
from recommender.serving.schemas import cursor_behind, read_cursor
from recommender.serving.shelf import Shelf

RELATED = 9
LATEST = 8
PER_PAGE = 18
MAX_SECTIONS = 8  # in the navigation
MAX_QUERY_CHARS = 200
_MAX_HEADLINE_CHARS = 90
_MAX_EXCERPT_CHARS = 180
_MAX_CROSSHEAD_CHARS = 60
_MAX_STEPS = 50  # from an article to the next one that the page does not show yet
_BLANK_LINES = re.compile(r"\n\s*\n")

_MAX_REASONS = 3  # terms of an item
_NOTES = {
    "pin": "Editors' choice",
    "similar": "",
    "same_category": "Same section",
    "trending": "Trending",
    "recent": "Recent",
}


@dataclass(frozen=True, slots=True)
class Teaser:
    """An article as it stands in a list on a page."""

    id: str
    headline: str
    section: str | None
    published_at: datetime | None
    minutes: int
    lang: str | None
    excerpt: str
    note: str = ""  # why it is there


class Demo:
    """The pages below `/demo/`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def add_to(self, app: Flask) -> None:
        """Add the routes and the filters of their templates."""
        app.add_url_rule("/demo", endpoint="demo_bare", view_func=self.home)
        app.add_url_rule("/demo/", endpoint="demo", view_func=self.home)
        app.add_url_rule("/demo/article", endpoint="demo_article", view_func=self.article)
        app.add_url_rule("/demo/section", endpoint="demo_section", view_func=self.section)
        app.add_url_rule("/demo/search", endpoint="demo_search", view_func=self.search)
        app.jinja_env.filters["day"] = _day
        app.jinja_env.filters["label"] = _label
        app.jinja_env.tests["crosshead"] = _is_crosshead
        app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    def home(self) -> Response:
        """Show the newest article in the language that most articles are in."""
        related, now = self._desk.related, self._desk.clock()
        codes = related.articles.langs.codes
        most = int(np.bincount(codes + 1).argmax())
        rows = related.timeline.page(codes + 1 == most, 1, now)
        if not rows:
            raise Problem("unknown-article", "no article is published yet")
        return self._article_page(rows[0], now)

    def article(self) -> Response:
        """Show one article with the lists around it."""
        article_id, now = request.args.get("id", ""), self._desk.clock()
        row = self._desk.related.find(article_id, now)
        if row is None:
            raise Problem("unknown-article", f"No article has the id {article_id[:100]!r}.")
        return self._article_page(row, now)

    def section(self) -> Response:
        """Show the articles of a section, the newest first."""
        related, name = self._desk.related, request.args.get("name", "")
        try:
            mask = related.in_sections([name]) & related.public(self._desk.clock())
        except UnknownCategoryError:
            raise Problem("not-found", f"There is no section called {name[:100]!r}.") from None
        exact = related.categories.named(name)[0]
        rows = related.timeline.page(mask, PER_PAGE + 1, self._desk.clock(), _cursor())
        articles = related.articles
        last = rows[:PER_PAGE][-1] if len(rows) > PER_PAGE else None
        older = None if last is None else cursor_behind(int(articles.published[last]), articles.ids[last])
        teasers = [_teaser(articles, row) for row in rows[:PER_PAGE]]
        return self._page("section.html", section=exact, teasers=teasers, older=older, count=int(mask.sum()))

    def search(self) -> Response:
        """Show the articles that hold the words of the reader."""
        related, words = self._desk.related, request.args.get("q", "").strip()[:MAX_QUERY_CHARS]
        teasers: list[Teaser] = []
        if words:
            found = related.search(words, PER_PAGE, self._desk.clock()).items
            teasers = _teasers(related.articles, found)
        return self._page("search.html", words=words, teasers=teasers)

    def problem_page(self, problem: Problem) -> Response:
        """Show that something is not there, or is wrong."""
        response = self._page("problem.html", problem=problem)
        response.status_code = problem.status
        response.headers.extend(dict(problem.headers))
        return response

    def _article_page(self, row: int, now: datetime) -> Response:
        related = self._desk.related
        articles = related.articles
        found = related.of_row(row, ListQuery(limit=RELATED, explain=True), now)
        shown = {row, *(item.row for item in found.items)}
        older, newer = self._beside(row, shown, now)
        shown |= {beside for beside in (older, newer) if beside is not None}
        return self._page(
            "article.html",
            article=articles.article(row),
            teaser=_teaser(articles, row),
            paragraphs=_BLANK_LINES.split(articles.bodies[row].strip()),
            related=_teasers(articles, found.items),
            latest=_latest(related, row, shown, now),
            older=None if older is None else _teaser(articles, older),
            newer=None if newer is None else _teaser(articles, newer),
            topics=[
                topic.name for topic, _ in related.model.topics_of(related.edition.vectors.of(row).latent)
            ],
        )

    def _beside(self, row: int, shown: set[int], now: datetime) -> tuple[int | None, int | None]:
        """Return the nearest older and newer articles that the page does not show yet."""
        timeline = self._desk.related.timeline
        found: list[int | None] = []
        for side in (0, 1):
            at: int | None = row
            for _ in range(_MAX_STEPS):
                at = None if at is None else timeline.beside(at, now)[side]
                if at not in shown:
                    break
            found.append(at)
        return found[0], found[1]

    def _page(self, template: str, **values: Any) -> Response:
        settings, today = self._desk.settings, self._desk.clock()
        sections = self._desk.related.categories.by_size[:MAX_SECTIONS] if self._desk.is_open else []
        page = render_template(template, site=settings.site_name, sections=sections, today=today, **values)
        return Response(page, headers={"Cache-Control": "no-cache"})


def _latest(related: Related, row: int, shown: set[int], now: datetime) -> list[Teaser]:
    """Return the newest articles in the language of this one, but for those shown and their namesakes."""
    articles = related.articles
    lang = articles.langs[row] or ANY
    titles = {articles.titles[each] for each in shown}
    exclude = tuple(articles.ids[each] for each in shown)
    teasers: list[Teaser] = []
    for item in related.recent(ListQuery(limit=5 * LATEST, lang=lang, exclude=exclude), now).items:
        title = articles.titles[item.row]
        if title not in titles:
            titles.add(title)
            teasers.append(_teaser(articles, item.row))
    return teasers[:LATEST]


def _teasers(articles: Shelf, items: Iterable[Item]) -> list[Teaser]:
    return [_teaser(articles, item.row, _note(item)) for item in items]


def _note(item: Item) -> str:
    """Return why an item is there: its source, or the terms that count most, none within another."""
    if item.why is None:
        return _NOTES[item.source]
    told: list[str] = []
    for term, _ in item.why.terms:
        words = set(term.split())
        if not any(words <= set(other.split()) or words >= set(other.split()) for other in told):
            told.append(term)
    return f"Because: {', '.join(told[:_MAX_REASONS])}" if told else ""


def _teaser(articles: Shelf, row: int, note: str = "") -> Teaser:
    body = articles.bodies[row]
    return Teaser(
        id=articles.ids[row],
        headline=articles.titles[row].strip() or _cut(body, _MAX_HEADLINE_CHARS),
        section=articles.category[row],
        published_at=from_microseconds(int(articles.published[row])),
        minutes=int(articles.minutes[row]),
        lang=articles.langs[row],
        excerpt=_cut(body, _MAX_EXCERPT_CHARS),
        note=note,
    )


def _cut(text: str, chars: int) -> str:
    """Return the beginning of a text, cut between words, with an ellipsis unless a sentence ends there."""
    flat = " ".join(text[: 2 * chars].split())
    if len(flat) <= chars:
        return flat
    cut = flat[:chars].rsplit(" ", 1)[0].rstrip(",;:\u2013\u2014 ")
    return cut if cut.endswith((".", "!", "?")) else f"{cut}\u2026"


def _label(category: str) -> str:
    """Return a category's name as readers expect it, where the export holds `white_house`."""
    spaced = category.replace("_", " ")
    return spaced.capitalize() if spaced.islower() else spaced


def _is_crosshead(paragraph: str) -> bool:
    """Tell whether a paragraph looks like a heading within the text; plain text no longer says so."""
    return len(paragraph) <= _MAX_CROSSHEAD_CHARS and paragraph[-1:].isalnum()


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _cursor() -> tuple[int, str] | None:
    try:
        return read_cursor(request.args["cursor"]) if "cursor" in request.args else None
    except ValueError:
        return None
