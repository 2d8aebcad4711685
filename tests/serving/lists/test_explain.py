"""Explanations add up to the score, and name terms and topics of both articles."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recommender.serving.lists.explain import MAX_TERMS, MAX_TOPICS, Explainer, Explanation
from recommender.serving.lists.query import Item, ListQuery
from recommender.serving.lists.related import Related
from recommender.training.train import Trained
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.snapshots import snapshot_with

LATER = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def related(trained: Trained) -> Related:
    return Related(trained.model)


def _sum(why: Explanation) -> float:
    named = sum(part for _, part in (*why.terms, *why.topics))
    corrections = why.vector + why.feedback + why.expansion + why.hub
    return named + why.other_terms + why.other_topics + corrections + why.freshness + why.boost


def _similar(related: Related, row: int, query: ListQuery) -> list[Item]:
    return [item for item in related.of_row(row, query, LATER).items if item.source == "similar"]


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_the_parts_of_every_score_in_the_sample_add_up(related: Related, step: int) -> None:
    for row in range(0, len(related.model.articles), step):
        for item in _similar(related, row, ListQuery(explain=True, freshness=0.5)):
            assert item.why is not None
            assert item.score == pytest.approx(_sum(item.why), abs=5e-7)


def test_a_score_is_explained_alone_as_among_others(related: Related) -> None:
    for row in range(0, len(related.model.articles), 40):
        query, list_query = related.snapshot.query_of(row), ListQuery(explain=True)
        rows = np.array([item.row for item in _similar(related, row, list_query)], dtype=np.int64)
        scores = np.linspace(0.9, 0.5, len(rows))
        explainer = Explainer(related.snapshot, query)
        together = explainer.of(rows, scores, scores, scores)
        for number, why in enumerate(together):
            place = slice(number, number + 1)
            (alone,) = Explainer(related.snapshot, query).of(rows[place], *(scores[place],) * 3)
            assert alone.terms == why.terms
            assert alone.topics == why.topics
            for part in ("other_terms", "other_topics", "vector", "feedback", "expansion", "hub"):
                assert getattr(alone, part) == pytest.approx(getattr(why, part), abs=1e-12)
    assert len(rows) > 1
    assert not explainer.of(rows[:0], scores[:0], scores[:0], scores[:0])


@pytest.mark.slow
def test_the_parts_of_the_score_of_a_live_article_add_up(trained: Trained) -> None:
    trained_article = trained.model.articles.article(17)
    article = replace(trained_article, id="live", url=None, body=trained_article.body[:400])
    snapshot = snapshot_with(trained.model, [article])
    similar = [
        item
        for row in range(0, len(trained.model.articles), 3)
        for item in _similar(Related(snapshot), row, ListQuery(explain=True, limit=50))
        if item.row == len(trained.model.articles)
    ]

    assert similar
    for item in similar:
        assert item.why is not None
        assert item.why.expansion
        assert item.score == pytest.approx(_sum(item.why), abs=5e-7)


def test_named_parts_are_few_and_come_largest_first(related: Related) -> None:
    for row in range(0, len(related.model.articles), 5):
        for item in _similar(related, row, ListQuery(explain=True)):
            assert item.why is not None
            for named, most in ((item.why.terms, MAX_TERMS), (item.why.topics, MAX_TOPICS)):
                parts = [part for _, part in named]
                assert parts == sorted(parts, reverse=True)
                assert len(parts) <= most


def test_a_named_term_is_in_both_articles(related: Related) -> None:
    model = related.model

    def spelt_terms(row: int) -> set[str]:
        return {model.vocabulary.spelt(model.vocabulary.terms[at]) for at in model.vectors.of(row).columns}

    own = spelt_terms(7)
    for item in _similar(related, 7, ListQuery(explain=True)):
        shared = own & spelt_terms(item.row)
        for term, part in item.why.terms if item.why else ():
            assert term in shared
            assert part > 0


def test_word_pieces_are_never_named(related: Related) -> None:
    assert "…ferr…" in set(related.model.vocabulary.terms)
    for row in range(0, len(related.model.articles), 5):
        for item in _similar(related, row, ListQuery(explain=True)):
            assert item.why is not None
            assert not any("…" in term for term, _ in item.why.terms)


def test_a_named_topic_is_one_of_both_articles(related: Related) -> None:
    model = related.model
    n_topics = 0
    for item in _similar(related, 7, ListQuery(explain=True)):
        own, theirs = (
            {t.slug for t, _ in model.topics_of(model.vectors.latent[row])} for row in (7, item.row)
        )
        n_topics += len(item.why.topics) if item.why else 0
        assert {topic.slug for topic, _ in (item.why.topics if item.why else ())} <= own & theirs
    assert n_topics


def test_freshness_only_lowers_a_score() -> None:
    related = Related(build_model(newsroom()))

    whys = [item.why for item in related.of("a", ListQuery(explain=True), NOW).items if item.why]

    assert len(whys) > 2
    assert all(why.freshness < 0 for why in whys)


def test_items_that_are_not_similar_have_no_explanation() -> None:
    related = Related(build_model(newsroom()))

    related_list = related.of("a", ListQuery(explain=True, limit=14), NOW)

    assert all((item.why is None) == (item.source != "similar") for item in related_list.items)
    assert related_list.explained
    assert all(item.why is None for item in related.of("a", ListQuery(), NOW).items)
