"""Editorial rules in lists: as slow and obvious code would have it, whatever the filters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.model import Model
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import Rules
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, Sensitive, read_rule
from tests.serving.lists.test_related import (
    Expected,
    _diverse,
    _fresh,
    _newest_first,
    _one_of_each_category,
    _passes,
    corpora,
    queries,
)
from tests.support.laws import examples
from tests.support.newsroom import NOW, build_model

AUTHORS = ["Jane Doe", "John Roe", "Ann Poe"]
SECTIONS = ["politics", "Science & Tech", "science-tech", "SPORT", "Gardening"]


def rule(kind: str, **fields: Any) -> Rule:
    return read_rule({"id": "x", "kind": kind, "reason": "so", "author": "A. Reyes"} | fields, "")


ids = st.lists(
    st.sampled_from([f"{n:02}" for n in range(9)] + ["no such id"]), min_size=1, max_size=3, unique=True
)
places: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries({}) | st.sampled_from(
    [{"for_article": f"{n:02}"} for n in range(4)] + [{"for_section": each} for each in SECTIONS]
)
targets = (
    st.builds(lambda each: {"articles": each}, ids)
    | st.builds(lambda each: {"in_section": each}, st.sampled_from(SECTIONS))
    | st.builds(lambda each: {"by_author": each}, st.sampled_from(["jane doe", "John Roe"]))
)
pins = st.builds(lambda each, place: rule("pin", articles=each, **place), ids, places)
blocks = st.builds(lambda each, place: rule("block", articles=each, **place), ids, places)
sensitive = st.builds(lambda each: rule("sensitive", articles=each), ids)
boosts = st.builds(
    lambda to, n: rule("boost", factor=n, **to), targets, st.sampled_from([0.1, 0.5, 2.0, 10.0])
)
caps = st.builds(
    lambda per, n: rule("cap", per=per, at_most=n), st.sampled_from(["section", "author"]), st.integers(1, 2)
)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    kinds = [(pins, 2), (blocks, 1), (sensitive, 1), (boosts, 2), (caps, 2)]
    drawn = [one for kind, most in kinds for one in draw(st.lists(kind, max_size=most))]
    return draw(st.permutations(drawn))


names = st.lists(st.sampled_from(AUTHORS), max_size=2, unique=True).map(tuple)


@st.composite
def signed(draw: st.DrawFn) -> list[Article]:
    return [replace(article, authors=draw(names)) for article in draw(corpora())]


cases = given(
    signed(), rules(), st.lists(queries(), min_size=2, max_size=2), st.integers(1, 9), st.floats(0.05, 0.95)
)


@settings(max_examples=examples(40), deadline=None)
@cases
def test_a_list_under_rules_equals_the_slow_and_obvious_one(
    corpus: list[Article], written: list[Rule], asked: list[ListQuery], k: int, similar_above: float
) -> None:
    check(corpus, written, asked, k, similar_above)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@cases
def test_many_lists_under_rules_equal_the_slow_and_obvious_ones(
    corpus: list[Article], written: list[Rule], asked: list[ListQuery], k: int, similar_above: float
) -> None:
    check(corpus, written, asked, k, similar_above)


def check(
    corpus: list[Article], written: list[Rule], asked: list[ListQuery], k: int, similar_above: float
) -> None:
    model = build_model([*corpus, *_one_of_each_category()], k, similar_above)
    related = Related(model, Rules(tuple(written)).active(NOW))
    articles = [model.articles.article(row) for row in range(len(model.articles))]
    public = [each for each in articles if each.published_at is None or each.published_at <= NOW]
    for source, query in product(public, asked):
        found = related.of(source.id, replace(query, explain=True), NOW)

        expected, eligible = slow(model, articles, source, query, written)
        assert [(articles[item.row].id, item.source) for item in found.items] == expected
        assert found.eligible == eligible
        assert len(found.items) == min(query.limit, eligible)
        assert all(item.score == pytest.approx(_sum(item.why), abs=1e-6) for item in found.items if item.why)


def _sum(why: Any) -> float:
    named = sum(part for _, part in (*why.terms, *why.topics))
    return float(
        named + why.other_terms + why.other_topics + why.feedback + why.hub + why.freshness + why.boost
    )


def slow(
    model: Model, articles: Sequence[Article], source: Article, query: ListQuery, written: Sequence[Rule]
) -> tuple[Expected, int]:
    scores = model.scores(model.query_of(model.articles.ids.index(source.id)))
    score_of = {each.id: scores[row] for row, each in enumerate(articles)}
    copies = {each.id: int(model.copies.first[row]) for row, each in enumerate(articles)}
    gone = {copies[each] for each in (source.id, *query.exclude) if each in copies}
    blocked = {each for one in written if _blocks(one, source) for each in _articles(one)}
    free = [each for each in articles if copies[each.id] not in gone and each.id not in blocked]
    pins: dict[int, Article] = {}
    for pinned in _pinned(written, source):
        for each in free:
            if each.id == pinned and _passes(each, replace(source, lang=None), query):
                pins.setdefault(copies[each.id], each)
    passing = [each for each in free if copies[each.id] not in pins and _passes(each, source, query)]
    newest = {copies[each.id]: each for each in sorted(passing, key=_newest_first, reverse=True)}
    eligible = sorted(newest.values(), key=_newest_first)
    similar = [
        each
        for each in eligible
        if score_of[each.id] > model.manifest.similar_above
        and score_of[each.id] >= (query.min_similarity or 0)
    ]
    hidden = _hidden(written)
    shown = [each for each in articles if each.id not in hidden]
    worth = _fresh(score_of, shown, source, query) | dict.fromkeys(hidden, 0.0)
    worth = {each.id: worth[each.id] * _boost(each, written) for each in articles}
    similar.sort(key=lambda each: (-worth[each.id], each.id.encode()))
    similar = _diverse(model, similar, worth, replace(query, limit=50))
    ladder = [(each, "similar") for each in similar]
    if query.fallback == "auto":
        others = sorted(
            (each for each in articles if each.id != source.id),
            key=lambda each: (-score_of[each.id], each.id.encode()),
        )
        near = [each for each in others[: model.neighbors.rows.shape[1]] if each in eligible]
        same = [each for each in near + eligible if source.category in {each.category, *each.categories}]
        ladder += [(each, "same_category") for each in (same if source.category else [])]
        ladder += [(each, "recent") for each in eligible]
    rungs = {each.id: (each, rung) for each, rung in reversed(ladder)}
    in_order = [rungs[each] for each in dict.fromkeys(each.id for each, _ in ladder)]
    return _under_caps(list(pins.values()), in_order, query.limit, written)


def _under_caps(
    pins: list[Article], ladder: list[tuple[Article, str]], limit: int, written: Sequence[Rule]
) -> tuple[Expected, int]:
    caps = [(one.per, one.at_most) for one in written if isinstance(one, Cap)]
    taken = sum((_groups(pin) for pin in pins), Counter())

    def room(each: Article, taken: Counter[tuple[str, str]]) -> bool:
        return all(
            taken[group] < at_most for per, at_most in caps for group in _groups(each) if group[0] == per
        )

    def longest(rest: list[tuple[Article, str]], taken: Counter[tuple[str, str]]) -> int:
        rest = [each for each in rest if room(each[0], taken)]
        if not caps or not rest:
            return len(rest)
        with_first = 1 + longest(rest[1:], taken + _groups(rest[0][0]))
        return with_first if with_first == len(rest) else max(with_first, longest(rest[1:], taken))

    most = longest(ladder, taken)
    found: Expected = [(pin.id, "pin") for pin in pins][:limit]
    size = min(limit, len(found) + most)
    for at, (each, rung) in enumerate(ladder):
        if len(found) < size and room(each, taken):
            after = taken + _groups(each)
            if len(found) + 1 + longest(ladder[at + 1 :], after) >= size:
                found.append((each.id, rung))
                taken = after
    return found, len(pins) + most


def _groups(article: Article) -> Counter[tuple[str, str]]:
    category = [("section", article.category)] if article.category else []
    return Counter(category + [("author", name) for name in article.authors[:1]])


def _names(article: Article) -> set[str]:
    names = {*article.categories, article.category or ""} - {""}
    return {form for name in names for form in (name.lower(), name.lower().replace(" & ", "-"))}


def _is_for(one: Pin | Block, source: Article) -> bool:
    if one.for_article or one.for_section:
        return one.for_article == source.id or (one.for_section or "").lower() in _names(source)
    return True


def _blocks(one: Rule, source: Article) -> bool:
    return isinstance(one, Sensitive) or (isinstance(one, Block) and _is_for(one, source))


def _hidden(written: Sequence[Rule]) -> set[str]:
    nowhere = Article(id="-", title="-")
    return {each for one in written if _blocks(one, nowhere) for each in _articles(one)}


def _articles(one: Rule) -> tuple[str, ...]:
    return () if isinstance(one, Cap) else one.articles or ()


def _pinned(written: Sequence[Rule], source: Article) -> list[str]:
    pins = [one for one in written if isinstance(one, Pin) and _is_for(one, source)]
    pins.sort(key=lambda one: (not one.for_article, not one.for_section))
    return [each for one in pins for each in one.articles]


def _boost(article: Article, written: Sequence[Rule]) -> float:
    boosts = [one for one in written if isinstance(one, Boost)]
    return min(10.0, max(0.1, prod(one.factor for one in boosts if _is_boosted(article, one))))


def _is_boosted(article: Article, one: Boost) -> bool:
    if one.by_author:
        return one.by_author.lower() in {name.lower() for name in article.authors}
    return article.id in (one.articles or ()) or (one.in_section or "").lower() in _names(article)
