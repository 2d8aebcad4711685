"""Related lists contain exactly the articles that they should, in the right order, and count them right."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related, UnknownArticleError
from tests.support.laws import examples
from tests.support.list_cases import corpora, future_articles, queries
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.slow_lists import slow_list


@settings(max_examples=examples(80), deadline=None)
@given(corpora(), st.lists(queries(), min_size=6, max_size=6), st.integers(1, 9), st.floats(0.05, 0.95))
def test_a_list_equals_the_slow_and_obvious_one(
    corpus: list[Article], queries: list[ListQuery], k: int, similar_above: float
) -> None:
    model = build_model([*corpus, *future_articles()], k, similar_above)
    related = Related(model)
    articles = [model.articles.article(row) for row in range(len(model.articles))]
    public = [article for article in articles if article.published_at is None or article.published_at <= NOW]
    for source, query in product(public, queries):
        related_list = related.of(source.id, query, NOW)

        expected, eligible = slow_list(model, articles, source, query)
        assert [(articles[item.row].id, item.source) for item in related_list.items] == expected
        assert related_list.eligible == eligible
        assert len(related_list.items) == min(query.limit, eligible)


@pytest.fixture(scope="module")
def related(model: Model) -> Related:
    return Related(model)


def _ids(related: Related, article_id: str, query: ListQuery, now: datetime = NOW) -> list[str]:
    related_list = related.of(article_id, query, now)
    return [related.model.articles.ids[item.row] for item in related_list.items]


def test_similar_articles_come_before_the_category_and_the_category_before_the_rest(related: Related) -> None:
    related_list = related.of("a", ListQuery(limit=14), NOW)

    sources = [item.source for item in related_list.items]
    assert sources == sorted(sources, key=["similar", "same_category", "recent"].index)
    assert set(sources[:3]) == {"similar"}


def test_only_similar_items_have_a_score(related: Related) -> None:
    related_list = related.of("a", ListQuery(limit=14), NOW)

    assert all((item.score is None) == (item.source != "similar") for item in related_list.items)


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


def test_an_unknown_article_falls_back_to_the_newest_if_requested(related: Related) -> None:
    related_list = related.of("no such id", ListQuery(unknown="fallback", limit=3), NOW)

    assert related_list.article_id == "no such id"
    assert [related.model.articles.ids[item.row] for item in related_list.items] == ["14", "13", "11"]
    assert {item.source for item in related_list.items} == {"recent"}


def test_an_unknown_category_is_rejected_even_for_an_unknown_article(related: Related) -> None:
    with pytest.raises(UnknownCategoryError):
        related.of("no such id", ListQuery(unknown="fallback", categories=("Gardening",)), NOW)


def test_the_url_of_an_article_may_be_written_in_many_ways(related: Related) -> None:
    assert related.find_url("http://courier.example/1?utm_source=x#top", NOW) == related.find("a", NOW)


def test_the_text_of_an_article_gets_the_list_of_the_article(related: Related) -> None:
    row = related.find("9", NOW)
    assert row is not None
    article = related.model.articles.article(row)

    related_list = related.of_text(replace(article, id="-"), ListQuery(exclude=("9",)), NOW)

    known = related.of("9", ListQuery(), NOW)
    assert [item.row for item in related_list.items] == [item.row for item in known.items]
    assert [item.score for item in related_list.items] == pytest.approx(
        [item.score for item in known.items], abs=1e-5
    )


def test_rows_that_trend_come_between_the_category_and_the_newest(related: Related) -> None:
    a, eight = (related.find(article_id, NOW) for article_id in ("a", "8"))
    assert a is not None
    assert eight is not None
    text, query = Article(id="-", title="qwertz"), ListQuery(limit=3)

    lists = (
        related.of_text(text, query, NOW, trending=(a, eight)),
        related.of("no such id", ListQuery(limit=3, unknown="fallback"), NOW, trending=(a, eight)),
    )

    for trending in lists:
        assert [item.source for item in trending.items] == ["trending", "trending", "recent"]
        assert [item.row for item in trending.items[:2]] == [a, eight]


def test_a_text_of_unknown_words_gets_the_newest(related: Related) -> None:
    related_list = related.of_text(Article(id="-", title="qwertz"), ListQuery(limit=2), NOW)

    assert [item.source for item in related_list.items] == ["recent", "recent"]


def test_a_model_of_one_article_answers_with_an_empty_list() -> None:
    related = Related(build_model([Article(id="only", title="Alone")]))

    related_list = related.of("only", ListQuery(), NOW)

    assert (related_list.eligible, related_list.items) == (0, ())
