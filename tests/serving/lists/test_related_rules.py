"""Lists under editorial rules equal slow and obvious ones, with any filters."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import Rules
from recommender.serving.rules.schema import Block, Rule
from tests.support.laws import examples
from tests.support.list_cases import future_articles, queries, rule_lists, signed_corpora
from tests.support.newsroom import NOW, build_model
from tests.support.slow_lists import slow_list

cases = given(
    signed_corpora(),
    rule_lists(),
    st.lists(queries(), min_size=2, max_size=2),
    st.integers(1, 9),
    st.floats(0.05, 0.95),
)


@settings(max_examples=examples(40), deadline=None)
@cases
def test_a_list_under_rules_equals_the_slow_and_obvious_one(
    corpus: list[Article], rules: list[Rule], queries: list[ListQuery], k: int, similar_above: float
) -> None:
    check(corpus, rules, queries, k, similar_above)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@cases
def test_many_lists_under_rules_equal_the_slow_and_obvious_ones(
    corpus: list[Article], rules: list[Rule], queries: list[ListQuery], k: int, similar_above: float
) -> None:
    check(corpus, rules, queries, k, similar_above)


def test_the_older_near_duplicate_replaces_a_blocked_newer_one() -> None:
    text = "The storm surge flooded the marsh."
    corpus = [
        Article(id="own", title="Storm", body="The storm passed.", published_at=NOW),
        Article(id="older", title="Flood", body=text, published_at=NOW - timedelta(days=2)),
        Article(id="newer", title="Flood", body=text, published_at=NOW - timedelta(days=1)),
    ]
    rule = Block(id="x", kind="block", articles=("newer",), for_article="own", reason="so", author="A. Reyes")
    model = build_model(corpus)

    related_list = Related(model, Rules((rule,)).active(NOW)).of("own", ListQuery(), NOW)

    assert [model.articles.ids[item.row] for item in related_list.items] == ["older"]
    assert related_list.eligible == 1


def check(
    corpus: list[Article], rules: list[Rule], queries: list[ListQuery], k: int, similar_above: float
) -> None:
    model = build_model([*corpus, *future_articles()], k, similar_above)
    related = Related(model, Rules(tuple(rules)).active(NOW))
    articles = [model.articles.article(row) for row in range(len(model.articles))]
    public = [article for article in articles if article.published_at is None or article.published_at <= NOW]
    for source, query in product(public, queries):
        related_list = related.of(source.id, replace(query, explain=True), NOW)

        expected, eligible = slow_list(model, articles, source, query, rules)
        assert [(articles[item.row].id, item.source) for item in related_list.items] == expected
        assert related_list.eligible == eligible
        assert len(related_list.items) == min(query.limit, eligible)
        assert all(
            item.score == pytest.approx(_sum(item.why), abs=1e-6) for item in related_list.items if item.why
        )


def _sum(why: Any) -> float:
    named = sum(part for _, part in (*why.terms, *why.topics))
    return float(
        named
        + why.other_terms
        + why.other_topics
        + why.vector
        + why.feedback
        + why.expansion
        + why.hub
        + why.freshness
        + why.boost
    )
