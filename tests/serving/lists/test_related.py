"""A list holds exactly what it should: the ladder, the filters, and the count."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.model import Model
from recommender.recipe import Recipe
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related, UnknownArticleError
from tests.support.laws import examples
from tests.support.newsroom import NOW, build_model, newsroom

WORDS = ["harbour", "budget", "storm", "vote", "library", "marsh"]
CATEGORIES = ["Politics", "Science & Tech", "Sport"]
AGES = [-1, 0, 1, 2, 3, 4, 6, 20, 35, 50]  # days; from the age of 14 days on an article is of its own time

Expected = list[tuple[str, str]]


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
            lang=draw(st.sampled_from(["en", "en", "de", None])),
        )
        for number in range(draw(st.integers(4, 9)))
    ]


dates = st.integers(-6, 14).map(lambda halves: NOW - timedelta(days=halves / 2))
filters = {
    "categories": st.lists(st.sampled_from(["politics", "science-tech", "SPORT"]), max_size=2).map(tuple),
    "exclude_categories": st.lists(st.sampled_from(CATEGORIES), max_size=1).map(tuple),
    "exclude": st.lists(st.sampled_from(["00", "03", "no such id"]), max_size=2).map(tuple),
    "lang": st.sampled_from(["any", "en", "de", "fr"]),
    "max_age_days": st.floats(0, 7),
    "published_before": dates,
    "published_after": dates,
    "min_similarity": st.floats(0, 1),
    "mode": st.sampled_from(["background", "follow_up"]),
    "fallback": st.sampled_from(["auto", "none"]),
}
shares = st.just(0.0) | st.sampled_from([0.1, 0.2, 0.5, 1.0])


@st.composite
def queries(draw: st.DrawFn) -> ListQuery:
    names = draw(st.lists(st.sampled_from(sorted(filters)), max_size=2, unique=True))
    selection: dict[str, Any] = {name: draw(filters[name]) for name in names}
    freshness, diversity = draw(shares), draw(shares)
    return ListQuery(limit=draw(st.integers(1, 10)), freshness=freshness, diversity=diversity, **selection)


@settings(max_examples=examples(80), deadline=None)
@given(corpora(), st.lists(queries(), min_size=6, max_size=6), st.integers(1, 9), st.floats(0.05, 0.95))
def test_a_list_equals_the_slow_and_obvious_one(
    corpus: list[Article], asked: list[ListQuery], k: int, similar_above: float
) -> None:
    model = build_model([*corpus, *_one_of_each_category()], k, similar_above)
    related = Related(model)
    articles = [model.articles.article(row) for row in range(len(model.articles))]
    public = [each for each in articles if each.published_at is None or each.published_at <= NOW]
    for source, query in product(public, asked):
        found = related.of(source.id, query, NOW)

        expected, eligible = _slow(model, articles, source, query)
        assert [(articles[item.row].id, item.source) for item in found.items] == expected
        assert found.eligible == eligible
        assert len(found.items) == min(query.limit, eligible)


def _one_of_each_category() -> list[Article]:
    """Return articles of the far future, for an unknown category is another matter."""
    return [
        Article(id=f"z{number}", title="far", category=name, published_at=NOW + timedelta(days=999))
        for number, name in enumerate(CATEGORIES)
    ]


def _slow(
    model: Model, articles: Sequence[Article], source: Article, query: ListQuery
) -> tuple[Expected, int]:
    scores = model.scores(model.query_of(model.articles.ids.index(source.id)))
    score_of = {each.id: scores[row] for row, each in enumerate(articles)}
    copies = {each.id: int(model.copies.first[row]) for row, each in enumerate(articles)}
    gone = {copies[each] for each in (source.id, *query.exclude) if each in copies}
    passing = [each for each in articles if copies[each.id] not in gone and _passes(each, source, query)]
    newest = list(
        {copies[each.id]: each for each in sorted(passing, key=_newest_first, reverse=True)}.values()
    )
    newest.sort(key=_newest_first)
    eligible = newest
    similar = [
        each
        for each in eligible
        if score_of[each.id] > model.manifest.similar_above
        and score_of[each.id] >= (query.min_similarity or 0)
    ]
    count = len(similar)
    fresh = _fresh(score_of, articles, source, query)
    similar = _diverse(
        model, sorted(similar, key=lambda each: (-fresh[each.id], each.id.encode())), fresh, query
    )
    if query.fallback == "none":
        return [(each.id, "similar") for each in similar][: query.limit], count
    others = sorted(
        (each for each in articles if each.id != source.id),
        key=lambda each: (-score_of[each.id], each.id.encode()),
    )
    near = [each for each in others[: model.neighbors.rows.shape[1]] if each in eligible]
    same = [each for each in near + newest if source.category in {each.category, *each.categories}]
    same = same if source.category else []
    ladder: dict[str, str] = {}
    for rung, step in (("similar", similar), ("same_category", same), ("recent", newest)):
        for each in step:
            ladder.setdefault(each.id, rung)
    return list(ladder.items())[: query.limit], len(eligible)


def _fresh(
    score_of: dict[str, Any], articles: Sequence[Article], source: Article, query: ListQuery
) -> dict[str, float]:
    own, hour = source.published_at, NOW.replace(minute=0, second=0)
    reference = own if own and hour - own >= timedelta(days=14) else hour
    ages = {
        each.id: abs(each.published_at - reference) / timedelta(days=1)
        for each in articles
        if each.published_at
    }
    middle = sorted(ages.values())[(len(ages) - 1) // 2]
    f, half_life = query.freshness, Recipe().freshness.half_life_days
    return {
        each.id: float(score_of[each.id]) * (1 - f + f * 2 ** (-ages.get(each.id, middle) / half_life))
        for each in articles
    }


def _diverse(model: Model, ranked: list[Article], fresh: dict[str, float], query: ListQuery) -> list[Article]:
    placed: list[Article] = []
    left = list(ranked)
    while left and len(placed) < query.limit:
        worths = [
            (1 - query.diversity) * fresh[each.id]
            - query.diversity * max((_alike(model, each, other) for other in placed), default=0)
            for each in left
        ]
        placed.append(left.pop(worths.index(max(worths))))
    return placed + left


def _alike(model: Model, a: Article, b: Article) -> float:
    one, other = (model.vectors.of(model.articles.ids.index(each.id)) for each in (a, b))
    weights = dict(zip(one.columns.tolist(), one.values.tolist(), strict=True))
    terms = zip(other.columns.tolist(), other.values.tolist(), strict=True)
    cosine = sum(weights.get(column, 0.0) * value for column, value in terms)
    near = sum(x * y for x, y in zip(one.latent.tolist(), other.latent.tolist(), strict=True))
    weight = model.latent_weight
    return float(max(0.0, (1 - weight) * cosine + weight * near))


def _newest_first(article: Article) -> tuple[bool, float, bytes]:
    date = article.published_at
    return date is None, 0 if date is None else -date.timestamp(), article.id.encode()


def _passes(article: Article, source: Article, query: ListQuery) -> bool:
    slugs = {name.lower().replace(" & ", "-") for name in (*article.categories, article.category or "")}
    lang = query.lang or source.lang
    date = article.published_at
    hour = NOW.replace(minute=0, second=0)
    return all(
        (
            date is None or date <= NOW,
            not query.categories or slugs & {name.lower() for name in query.categories},
            not slugs & {name.lower().replace(" & ", "-") for name in query.exclude_categories},
            article.id not in query.exclude,
            lang in {None, "any", article.lang},
            query.max_age_days is None or (date and hour - date <= timedelta(days=query.max_age_days)),
            query.published_before is None or (date and date < query.published_before),
            query.published_after is None or (date and date > query.published_after),
            query.mode != "background" or (date and source.published_at and date < source.published_at),
            query.mode != "follow_up" or (date and source.published_at and date > source.published_at),
        )
    )


@pytest.fixture(scope="module")
def related(model: Model) -> Related:
    return Related(model)


def _ids(related: Related, article_id: str, query: ListQuery, now: datetime = NOW) -> list[str]:
    found = related.of(article_id, query, now)
    return [related.model.articles.ids[item.row] for item in found.items]


def test_similar_articles_come_before_the_section_and_the_section_before_the_rest(related: Related) -> None:
    found = related.of("a", ListQuery(limit=14), NOW)

    sources = [item.source for item in found.items]
    assert sources == sorted(sources, key=["similar", "same_category", "recent"].index)
    assert set(sources[:3]) == {"similar"}


def test_only_similar_items_carry_a_score(related: Related) -> None:
    found = related.of("a", ListQuery(limit=14), NOW)

    assert all((item.score is None) == (item.source != "similar") for item in found.items)


def test_an_article_enters_its_lists_at_the_moment_it_is_published(related: Related) -> None:
    published = datetime.fromisoformat("2026-03-01T12:00:45Z")
    query = ListQuery(limit=50)

    assert "15" not in _ids(related, "9", query, published - timedelta(microseconds=1))
    assert "15" in _ids(related, "9", query, published)


def test_an_article_under_embargo_is_unknown(related: Related) -> None:
    with pytest.raises(UnknownArticleError):
        related.of("16", ListQuery(), NOW)


def test_the_whole_corpus_is_scored_when_filters_use_up_the_neighbours() -> None:
    whole, short = (Related(build_model(newsroom(), k=k)) for k in (50, 2))
    query = ListQuery(exclude=("10", "11"), limit=3)

    assert _ids(short, "9", query) == _ids(whole, "9", query)


def test_without_fallback_the_count_is_exact_beyond_the_neighbours() -> None:
    whole, short = (Related(build_model(newsroom(), k=k)) for k in (50, 1))
    query = ListQuery(fallback="none", limit=1)

    assert short.of("9", query, NOW) == whole.of("9", query, NOW)


def test_an_unknown_article_falls_back_to_the_newest_when_asked(related: Related) -> None:
    found = related.of("no such id", ListQuery(unknown="fallback", limit=3), NOW)

    assert found.article_id == "no such id"
    assert [related.model.articles.ids[item.row] for item in found.items] == ["14", "13", "11"]
    assert {item.source for item in found.items} == {"recent"}


def test_an_unknown_category_is_refused_even_for_an_unknown_article(related: Related) -> None:
    with pytest.raises(UnknownCategoryError):
        related.of("no such id", ListQuery(unknown="fallback", categories=("Gardening",)), NOW)


def test_an_article_found_by_url_may_be_written_in_many_ways(related: Related) -> None:
    assert related.find_url("http://courier.example/1?utm_source=x#top", NOW) == related.find("a", NOW)


def test_the_text_of_an_article_gets_the_list_of_the_article(related: Related) -> None:
    row = related.find("9", NOW)
    assert row is not None
    article = related.model.articles.article(row)

    found = related.like(replace(article, id="-"), ListQuery(exclude=("9",)), NOW)

    known = related.of("9", ListQuery(), NOW)
    assert [item.row for item in found.items] == [item.row for item in known.items]
    assert [item.score for item in found.items] == pytest.approx(
        [item.score for item in known.items], abs=1e-5
    )


def test_a_text_of_unknown_words_gets_the_newest(related: Related) -> None:
    found = related.like(Article(id="-", title="qwertz"), ListQuery(limit=2), NOW)

    assert [item.source for item in found.items] == ["recent", "recent"]


def test_a_model_of_one_article_answers_with_an_empty_list() -> None:
    related = Related(build_model([Article(id="only", title="Alone")]))

    found = related.of("only", ListQuery(), NOW)

    assert (found.eligible, found.items) == (0, ())
