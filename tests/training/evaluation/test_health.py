"""Health of lists on a tiny model with manually calculated values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recommender.article import Article
from recommender.displayed import displayed_lists, occurrences
from recommender.model import Articles, Model, Vectors
from recommender.neighbors import NO_ROW, NearDuplicates, Neighbors
from recommender.training.evaluation.health import category_agreement, health
from recommender.training.train import Trained

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
NONE = NO_ROW
# Lists: a → b, c · b → a · c → b · d → (empty) · e → b, a
LISTS = np.array([[1, 2], [0, NONE], [1, NONE], [NONE, NONE], [1, 0]], dtype=np.int32)
CATEGORIES = ["news", "news", "sport", "sport", None]
DAYS = [0, 1, 4, 9, None]
# Unit rows over three terms: a and b have the same text, c shares a term with both, d is empty, e is alone.
ROWS = [[(0, 0.6), (1, 0.8)], [(0, 0.6), (1, 0.8)], [(1, 1.0)], [], [(2, 1.0)]]


@pytest.fixture
def model(trained: Trained) -> Model:
    """Five articles a … e; manifest and vocabulary are the sample's."""
    articles = Articles.of(
        [
            Article(
                id=letter,
                title=letter,
                category=category,
                published_at=None if day is None else DAY_0 + timedelta(days=day),
            )
            for letter, category, day in zip("abcde", CATEGORIES, DAYS, strict=True)
        ]
    )
    entries = [(row, column, value) for row, line in enumerate(ROWS) for column, value in line]
    by_term = sorted(entries, key=lambda entry: (entry[1], entry[0]))
    vectors = Vectors(
        offsets=np.cumsum([0, *map(len, ROWS)]),
        columns=np.array([column for _, column, _ in entries], dtype=np.int32),
        values=np.array([value for *_, value in entries], dtype=np.float32),
        latent=np.ones((5, 2), dtype=np.float32),
        term_offsets=np.array([0, 2, 5, 6]),
        term_rows=np.array([row for row, *_ in by_term], dtype=np.int32),
        term_values=np.array([value for *_, value in by_term], dtype=np.float32),
    )
    manifest = trained.model.manifest.model_copy(update={"similar_above": 0.5})
    return replace(trained.model, manifest=manifest, articles=articles, vectors=vectors)


def test_occurrences_count_the_lists_that_contain_an_article() -> None:
    assert occurrences(LISTS).tolist() == [2, 3, 1, 0, 0]


def test_coverage_is_the_share_of_articles_in_a_list(model: Model) -> None:
    measures = health(LISTS, model, threads=1)

    assert measures.coverage == pytest.approx(3 / 5)
    assert measures.never_recommended == 2


def test_hub_skew_is_the_third_standardised_moment(model: Model) -> None:
    measures = health(LISTS, model, threads=1)

    # Occurrences 2 3 1 0 0: mean 1.2, second central moment 1.36, third 0.576.
    assert measures.hub_skew == pytest.approx(0.576 / 1.36**1.5)
    assert measures.top_1_percent_places == pytest.approx(3 / 6)
    assert measures.occurrences.counts[:4] == [2, 1, 2, 0]


def test_lists_that_contain_all_articles_equally_often_have_no_skew(model: Model) -> None:
    ring = np.array([[1], [2], [3], [4], [0]], dtype=np.int32)

    measures = health(ring, model, threads=1)

    assert (measures.coverage, measures.hub_skew) == (1, 0)


def test_category_agreement_leaves_out_articles_without_category_or_list(model: Model) -> None:
    # a: b agrees, c does not; b: a agrees; c: b does not; d has no list, e no category.
    assert health(LISTS, model, threads=1).category_agreement == pytest.approx((0.5 + 1 + 0) / 3)


def test_without_categories_there_is_no_agreement() -> None:
    assert category_agreement(LISTS, np.full(5, -1)) is None


def test_near_duplicates_are_counted_by_list_and_by_pair(model: Model) -> None:
    measures = health(LISTS, model, threads=2)

    # Near-duplicates: a-b in a's list, b-a in b's, and b-a among e's items. Pairs: 3 + 1 + 1 + 0 + 3.
    assert measures.near_duplicate_lists == pytest.approx(3 / 5)
    assert measures.near_duplicate_pairs == pytest.approx(3 / 8)


def test_intra_list_similarity_compares_only_terms_of_items(model: Model) -> None:
    # a's items b and c: 0.8; e's items b and a: 1. No other list has two.
    assert health(LISTS, model, threads=1).intra_list_similarity == pytest.approx(0.9)


def test_the_age_gap_is_a_median_over_items_with_dates(model: Model) -> None:
    measures = health(LISTS, model, threads=1)

    # a-b 1, a-c 4, b-a 1, c-b 3; e has no date.
    assert measures.median_age_gap_days == pytest.approx(2)
    assert dict(zip(measures.age_gaps_days.edges, measures.age_gaps_days.counts, strict=True)) == {
        **dict.fromkeys([0, 7, 14, 30, 90, 180, 365, 730, 1825, 3650], 0),
        1: 2,
        3: 2,
    }


def test_a_list_without_a_similar_item_is_counted(model: Model) -> None:
    scores = np.array([[0.9, 0.1], [0.51, 0], [0.5, 0], [0, 0], [0.2, 0.1]], dtype=np.float32)

    assert health(LISTS, model, threads=1, scores=scores).lists_without_similar == 3
    assert health(LISTS, model, threads=1).lists_without_similar is None


def test_only_the_newest_near_duplicate_is_listed_and_none_of_the_article(model: Model) -> None:
    # a and b are near-duplicates, b is newer; so are c and d, d is newer. No other article is near e.
    rows = np.array([[1, 2, 3], [3, 2, 0], [0, 1, 3], [1, 4, 2], [0, NONE, NONE]], dtype=np.int32)
    scores = np.array([[0.9, 0.8, 0.7]] * 4 + [[0.6, 0, 0]], dtype=np.float32)
    copied = replace(
        model,
        neighbors=Neighbors(rows, scores),
        copies=NearDuplicates(np.array([0, 0, 2, 2, 4], dtype=np.int32)),
    )

    seen = displayed_lists(copied)

    assert seen.listable.tolist() == [False, True, False, True, True]
    assert seen.lists.tolist() == [
        [3, NONE, NONE],
        [3, NONE, NONE],
        [1, NONE, NONE],
        [1, 4, NONE],
        [NONE] * 3,
    ]
    assert seen.scores == pytest.approx(
        np.array([[0.7, 0, 0], [0.9, 0, 0], [0.8, 0, 0], [0.9, 0.8, 0], [0, 0, 0]])
    )


def test_a_hidden_near_duplicate_does_not_count_as_never_recommended(model: Model) -> None:
    listable = np.array([True, True, True, True, False])

    measures = health(LISTS, model, threads=1, listable=listable)

    assert measures.coverage == pytest.approx(3 / 4)
    assert measures.never_recommended == 1
    assert measures.occurrences.counts[:3] == [1, 1, 2]


def test_lists_are_cut_at_nine(trained: Trained) -> None:
    model = trained.model
    nine = model.neighbors.rows[:, :9]

    assert health(model.neighbors.rows, model, threads=1) == health(nine, model, threads=2)


def test_a_corpus_without_any_list_is_measured(model: Model) -> None:
    measures = health(np.full((5, 2), NO_ROW, dtype=np.int32), model, threads=1)

    assert (measures.coverage, measures.hub_skew, measures.top_1_percent_places) == (0, 0, 0)
    assert (measures.intra_list_similarity, measures.median_age_gap_days, measures.category_agreement) == (
        None,
    ) * 3


def test_the_share_of_the_top_1_percent_in_the_sample(trained: Trained) -> None:
    lists = trained.model.neighbors.rows[:, :9]
    counts = sorted(np.unique(lists, return_counts=True)[1].tolist(), reverse=True)

    measures = health(lists, trained.model, threads=1)

    assert measures.top_1_percent_places == pytest.approx(sum(counts[:3]) / lists.size)
