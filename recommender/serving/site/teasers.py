"""Teasers: articles as the lists of a page show them, with headline, excerpt and reasons in plain words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from markupsafe import Markup

from recommender.model import from_microseconds
from recommender.reading_time import exact_minutes
from recommender.serving.index.documents import Documents
from recommender.serving.lists.explain import Explanation
from recommender.serving.lists.highlights import Highlights, MarkedText
from recommender.serving.lists.query import Item, SearchResults
from recommender.serving.site.artwork import Artwork, artwork
from recommender.serving.site.typography import typographic
from recommender.serving.trending.rankings import Leaderboard

_MAX_HEADLINE_CHARS = 90
_MAX_EXCERPT_CHARS = 180
_MAX_CROSSHEAD_CHARS = 60
_MAX_WORDS = 5  # in the reasons
_MIN_WORD_STRENGTH = 0.25  # of the strongest word; weaker words explain little
_STEP_SECONDS, _ABOUT_A_MINUTE = 5, 55  # of reading times below a minute
_MIN_ADJUSTMENT = 0.03  # of the score; smaller adjustments are not mentioned
_NOTES = {
    "pin": "Editors\u2019 choice",
    "similar": "",
    "same_category": "Same section",
    "trending": "Trending",
    "recent": "Recent",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A term that both articles contain, and its contribution in percent of the strongest such term."""

    text: str
    strength: int


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why an article is related, in words for readers. The strongest reasons come first."""

    words: tuple[Word, ...]
    topics: tuple[str, ...]
    adjustments: tuple[str, ...]  # sentences: what else changed the score


@dataclass(frozen=True, slots=True)
class Teaser:
    """An article as a list on a page shows it."""

    id: str
    headline: str
    category: str | None
    published_at: datetime | None
    reading_time: str  # such as "40 sec" or "3 min"
    lang: str | None
    excerpt: str
    picture: Artwork
    marked_headline: Markup | None = None  # with the words that a search found
    note: str = ""  # why the list contains it, if it has no reasons
    reasons: Reasons | None = None
    rank_change: int = 0  # in trending; positive if it moved up
    is_new: bool = False  # in trending


def teaser(articles: Documents, row: int, item: Item | None = None) -> Teaser:
    """Return the teaser for an article, with the note and the reasons of its list item."""
    body, lang = articles.bodies[row], articles.langs[row]
    return Teaser(
        id=articles.ids[row],
        headline=typographic(articles.titles[row].strip() or _cut(body, _MAX_HEADLINE_CHARS), lang),
        category=articles.category[row],
        published_at=from_microseconds(int(articles.published[row])),
        reading_time=reading_time(body, int(articles.minutes[row])),
        lang=lang,
        excerpt=typographic(_cut(body, _MAX_EXCERPT_CHARS), lang),
        picture=artwork(articles.ids[row], int(articles.category.codes[row])),
        note="" if item is None else _NOTES[item.source],
        reasons=None if item is None or item.why is None else reasons(item.why),
    )


def teasers(articles: Documents, items: Iterable[Item]) -> list[Teaser]:
    """Return the teasers for the items of a list."""
    return [teaser(articles, item.row, item) for item in items]


def matching_teasers(articles: Documents, results: SearchResults, highlights: Highlights) -> list[Teaser]:
    """Return the teasers for the articles that a search found, with the found words marked."""
    return [
        replace(
            teaser(articles, item.row, item),
            marked_headline=_marked(highlights.title(item.row), articles.langs[item.row]),
            excerpt=_marked(highlights.snippet(item.row), articles.langs[item.row]),
        )
        for item in results.items
    ]


def trending_teaser(articles: Documents, item: Item, leaderboard: Leaderboard) -> Teaser:
    """Return the teaser for an item of trending, with its change in rank."""
    rank = leaderboard.article_rank(item.row, int(articles.category.codes[item.row]))
    note = _NOTES["recent"] if item.source == "recent" else ""
    return replace(teaser(articles, item.row), note=note, rank_change=rank.change or 0, is_new=rank.new)


def reasons(why: Explanation) -> Reasons:
    """Return the reasons for a score, without terms that contribute little."""
    strongest = max((part for _, part in why.terms), default=0.0)
    words = [
        Word(term, round(100 * part / strongest))
        for term, part in _distinct(why.terms)
        if part > _MIN_WORD_STRENGTH * strongest
    ]
    return Reasons(
        words=tuple(words[:_MAX_WORDS]),
        topics=tuple(topic.name for topic, part in why.topics if part > 0),
        adjustments=tuple(_adjustments(why)),
    )


def reading_time(body: str, minutes: int) -> str:
    """Return how long people read a text; a short text gets seconds, because most would have one minute."""
    seconds = 0 if minutes > 1 else _STEP_SECONDS * round(60 * exact_minutes(body) / _STEP_SECONDS)
    return (
        f"{max(seconds, _STEP_SECONDS)} sec"
        if minutes == 1 and seconds < _ABOUT_A_MINUTE
        else f"{minutes} min"
    )


def label(category: str) -> str:
    """Return the display name of a category, such as "White house" for `white_house`."""
    spaced = category.replace("_", " ")
    return spaced.capitalize() if spaced.islower() else spaced


def is_crosshead(paragraph: str) -> bool:
    """Return whether a paragraph looks like a subheading; plain text has no markup for one."""
    return len(paragraph) <= _MAX_CROSSHEAD_CHARS and paragraph[-1:].isalnum()


def day(moment: datetime) -> str:
    """Return a date in full, such as "2 January 2026"."""
    return f"{moment.day} {moment:%B %Y}"


def _marked(text: MarkedText, lang: str | None) -> Markup:
    return Markup(replace(text, text=typographic(text.text, lang)).html)  # noqa: S704 `html` escapes the text


def _distinct(terms: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Yield the terms, without those that contain an earlier term or are part of one."""
    earlier: list[set[str]] = []
    for term, part in terms:
        words = set(term.split())
        if not any(words <= other or words >= other for other in earlier):
            earlier.append(words)
            yield term, part


def _adjustments(why: Explanation) -> Iterator[str]:
    similarity = sum(part for _, part in (*why.terms, *why.topics)) + why.other_terms + why.other_topics
    similarity += why.vector
    threshold = _MIN_ADJUSTMENT * max(similarity, 0.0)
    if why.vector > similarity / 2:
        yield "Similar in meaning, even where the words differ."
    if why.feedback > threshold:
        yield "Also similar to the story that matches this one best."
    if why.expansion > threshold:
        yield "Other stories about its subject are similar, too."
    if -why.hub > threshold:
        yield "Ranked lower because it is similar to many stories."
    if -why.freshness > threshold:
        yield "Ranked lower because of its age."
    if abs(why.boost) > threshold:
        yield f"Ranked {'higher' if why.boost > 0 else 'lower'} by the editors."


def _cut(text: str, chars: int) -> str:
    """Return the start of a text, cut between words, with an ellipsis unless it ends with a sentence."""
    flat = " ".join(text[: 2 * chars].split())
    if len(flat) <= chars:
        return flat
    cut = flat[:chars].rsplit(" ", 1)[0].rstrip(",;:\u2013\u2014 ")
    return cut if cut.endswith((".", "!", "?")) else f"{cut}\u2026"
