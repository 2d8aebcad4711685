"""Hypothesis strategies for lists: small newsrooms, queries and editorial rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from recommender.article import Article
from recommender.serving.lists.query import ListQuery
from recommender.serving.rules.schema import Rule, read_rule
from tests.support.newsroom import NOW

WORDS = ["harbour", "budget", "storm", "vote", "library", "marsh"]
CATEGORIES = ["Politics", "Science & Tech", "Sport"]
AUTHORS = ["Jane Doe", "John Roe", "Ann Poe"]
AGES = [-1, 0, 1, 2, 3, 4, 6, 20, 35, 50]  # days; from 14 days on, ages count from the article's own date
SPELLINGS = ["politics", "Science & Tech", "science-tech", "SPORT", "Gardening"]  # of categories in rules


@st.composite
def corpora(draw: st.DrawFn) -> list[Article]:
    return [
        Article(
            id=f"{number:02}",
            title=draw(st.sampled_from(WORDS)),
            body=" ".join(draw(st.lists(st.sampled_from(WORDS), max_size=4))),
            category=draw(st.none() | st.sampled_from(CATEGORIES)),
            categories=tuple(draw(st.sets(st.sampled_from(CATEGORIES), max_size=2))),
            published_at=draw(st.none() | st.sampled_from(AGES).map(lambda days: NOW - timedelta(days=days))),
            lang=draw(st.sampled_from(["en", "en", "de", "zh", "zh-Hans", "zh-Hant", None])),
        )
        for number in range(draw(st.integers(4, 9)))
    ]


def future_articles() -> list[Article]:
    """Return an article of every category that is never public, so that all categories are known."""
    return [
        Article(id=f"z{number}", title="far", category=name, published_at=NOW + timedelta(days=999))
        for number, name in enumerate(CATEGORIES)
    ]


_authors = st.lists(st.sampled_from(AUTHORS), max_size=2, unique=True).map(tuple)


@st.composite
def signed_corpora(draw: st.DrawFn) -> list[Article]:
    """Draw articles with authors."""
    return [replace(article, authors=draw(_authors)) for article in draw(corpora())]


_dates = st.integers(-6, 14).map(lambda halves: NOW - timedelta(days=halves / 2))
_filters = {
    "categories": st.lists(st.sampled_from(["politics", "science-tech", "SPORT"]), max_size=2).map(tuple),
    "exclude_categories": st.lists(st.sampled_from(CATEGORIES), max_size=1).map(tuple),
    "exclude": st.lists(st.sampled_from(["00", "03", "no such id"]), max_size=2).map(tuple),
    "lang": st.sampled_from(["any", "en", "de", "fr", "zh", "zh-Hant"]),
    "max_age_days": st.floats(0, 7),
    "published_before": _dates,
    "published_after": _dates,
    "min_similarity": st.floats(0, 1),
    "mode": st.sampled_from(["background", "follow_up"]),
    "fallback": st.sampled_from(["auto", "none"]),
}
_shares = st.just(0.0) | st.sampled_from([0.1, 0.2, 0.5, 1.0])


@st.composite
def queries(draw: st.DrawFn) -> ListQuery:
    names = draw(st.lists(st.sampled_from(sorted(_filters)), max_size=2, unique=True))
    filters: dict[str, Any] = {name: draw(_filters[name]) for name in names}
    freshness, diversity = draw(_shares), draw(_shares)
    return ListQuery(limit=draw(st.integers(1, 10)), freshness=freshness, diversity=diversity, **filters)


def signed_rule(kind: str, rule_id: str = "x", **fields: Any) -> Rule:
    """Return a rule with a reason and an author."""
    return read_rule({"id": rule_id, "kind": kind, "reason": "so", "author": "A. Reyes"} | fields, rule_id)


_ids = st.lists(
    st.sampled_from([f"{n:02}" for n in range(9)] + ["no such id"]), min_size=1, max_size=3, unique=True
)
_places: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries({}) | st.sampled_from(
    [{"for_article": f"{n:02}"} for n in range(4)] + [{"for_category": spelling} for spelling in SPELLINGS]
)
_targets = (
    st.builds(lambda ids: {"articles": ids}, _ids)
    | st.builds(lambda spelling: {"in_category": spelling}, st.sampled_from(SPELLINGS))
    | st.builds(lambda author: {"by_author": author}, st.sampled_from(["jane doe", "John Roe"]))
)
_pins = st.builds(lambda ids, place: signed_rule("pin", articles=ids, **place), _ids, _places)
_blocks = st.builds(lambda target, place: signed_rule("block", **target, **place), _targets, _places)
_sensitive = st.builds(lambda target: signed_rule("sensitive", **target), _targets)
_boosts = st.builds(
    lambda target, factor: signed_rule("boost", factor=factor, **target),
    _targets,
    st.sampled_from([0.1, 0.5, 2.0, 10.0]),
)
_caps = st.builds(
    lambda per, at_most: signed_rule("cap", per=per, at_most=at_most),
    st.sampled_from(["category", "section", "author"]),
    st.integers(1, 2),
)


@st.composite
def rule_lists(draw: st.DrawFn) -> list[Rule]:
    kinds = [(_pins, 2), (_blocks, 1), (_sensitive, 1), (_boosts, 2), (_caps, 2)]
    rules = [rule for kind, most in kinds for rule in draw(st.lists(kind, max_size=most))]
    return draw(st.permutations(rules))
