"""Articles as they stand in the lists of a page: headline, excerpt, and why they are there, for people."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from recommender.model import from_microseconds
from recommender.serving.index.documents import Documents
from recommender.serving.lists.explain import Explanation
from recommender.serving.lists.query import Item
from recommender.serving.trending.rankings import Leaderboard

_MAX_HEADLINE_CHARS = 90
_MAX_EXCERPT_CHARS = 180
_MAX_CROSSHEAD_CHARS = 60
_MAX_WORDS = 5  # of the reasons
_LEAST_WORD = 0.25  # of the strongest: what is weaker tells a reader nothing
_TOLD_FROM = 0.03  # of a score: what changes it by less is not told
_NOTES = {
    "pin": "Editors\u2019 choice",
    "similar": "",
    "same_category": "Same section",
    "trending": "Trending",
    "recent": "Recent",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word that two articles have in common, and what it counts beside the strongest of these: 1 to 100."""

    text: str
    strength: int


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why an article is related, as a reader may want to know it. The strongest come first."""

    words: tuple[Word, ...]
    topics: tuple[str, ...]
    adjustments: tuple[str, ...]  # sentences: what set it higher or lower beside that


@dataclass(frozen=True, slots=True)
class Teaser:
    """An article as it stands in a list on a page."""

    id: str
    headline: str
    category: str | None
    published_at: datetime | None
    minutes: int
    lang: str | None
    excerpt: str
    note: str = ""  # why it is there, where that is not said by reasons
    reasons: Reasons | None = None
    climbed: int = 0  # places in trending; below 0: fallen
    is_new: bool = False  # in trending


def teaser(articles: Documents, row: int, item: Item | None = None) -> Teaser:
    """Return the article of a row as it stands in a list, in the place of the item."""
    body = articles.bodies[row]
    return Teaser(
        id=articles.ids[row],
        headline=articles.titles[row].strip() or _cut(body, _MAX_HEADLINE_CHARS),
        category=articles.category[row],
        published_at=from_microseconds(int(articles.published[row])),
        minutes=int(articles.minutes[row]),
        lang=articles.langs[row],
        excerpt=_cut(body, _MAX_EXCERPT_CHARS),
        note="" if item is None else _NOTES[item.source],
        reasons=None if item is None or item.why is None else reasons(item.why),
    )


def teasers(articles: Documents, items: Iterable[Item]) -> list[Teaser]:
    """Return the items of a list as they stand on a page."""
    return [teaser(articles, item.row, item) for item in items]


def trending_teaser(articles: Documents, item: Item, leaderboard: Leaderboard) -> Teaser:
    """Return an item of trending as it stands on a page, with how far it came, or that it has no rank."""
    stands = leaderboard.article_rank(item.row, int(articles.category.codes[item.row]))
    note = _NOTES["recent"] if item.source == "recent" else ""
    plain = teaser(articles, item.row)
    return replace(plain, note=note, climbed=stands.change or 0, is_new=stands.new)


def reasons(why: Explanation) -> Reasons:
    """Return what a reader may want to know of a score; words that count little tell nothing."""
    most = max((part for _, part in why.terms), default=0.0)
    words = [
        Word(term, round(100 * part / most))
        for term, part in _told_once(why.terms)
        if part > _LEAST_WORD * most
    ]
    return Reasons(
        words=tuple(words[:_MAX_WORDS]),
        topics=tuple(topic.name for topic, part in why.topics if part > 0),
        adjustments=tuple(_adjustments(why)),
    )


def label(category: str) -> str:
    """Return a category's name as readers expect it, where the export holds `white_house`."""
    spaced = category.replace("_", " ")
    return spaced.capitalize() if spaced.islower() else spaced


def is_crosshead(paragraph: str) -> bool:
    """Tell whether a paragraph looks like a heading within the text; plain text no longer says so."""
    return len(paragraph) <= _MAX_CROSSHEAD_CHARS and paragraph[-1:].isalnum()


def day(moment: datetime) -> str:
    """Return a date as it is written in full."""
    return f"{moment.day} {moment:%B %Y}"


def _told_once(terms: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Yield the terms of which none told before holds, or is held by, all the words."""
    told: list[set[str]] = []
    for term, part in terms:
        words = set(term.split())
        if not any(words <= other or words >= other for other in told):
            told.append(words)
            yield term, part


def _adjustments(why: Explanation) -> Iterator[str]:
    likeness = sum(part for _, part in (*why.terms, *why.topics)) + why.other_terms + why.other_topics
    least = _TOLD_FROM * max(likeness, 0.0)
    if why.feedback > least:
        yield "Close to the story that is closest to this one, too."
    if -why.hub > least:
        yield "Close to many other stories, which sets it lower."
    if -why.freshness > least:
        yield "Its age sets it lower."
    if abs(why.boost) > least:
        yield f"The editors set it {'higher' if why.boost > 0 else 'lower'}."


def _cut(text: str, chars: int) -> str:
    """Return the beginning of a text, cut between words, with an ellipsis unless a sentence ends there."""
    flat = " ".join(text[: 2 * chars].split())
    if len(flat) <= chars:
        return flat
    cut = flat[:chars].rsplit(" ", 1)[0].rstrip(",;:\u2013\u2014 ")
    return cut if cut.endswith((".", "!", "?")) else f"{cut}\u2026"
