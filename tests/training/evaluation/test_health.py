"""Health of lists on a tiny model whose every answer was worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Articles, Model, Vectors
from recommender.neighbors import NO_ROW, NearDuplicates, Neighbors
from recommender.training.evaluation.health import category_agreement, displayed_lists, health, occurrences
from recommender.training.train import Trained

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
NONE = NO_ROW
# Who lists whom: a → b, c · b → a · c → b · d → (nobody) · e → b, a
LISTS = np.array([[1, 2], [0, NONE], [1, NONE], [NONE, NONE], [1, 0]], dtype=np.int32)
SECTIONS = ["news", "news", "sport", "sport", None]
DAYS = [0, 1, 4, 9, None]
# Unit rows over three terms: a and b are one text, c shares a term with both, d is empty, e is alone.
ROWS = [[(0, 0.6), (1, 0.8)], [(0, 0.6), (1, 0.8)], [(1, 1.0)], [], [(2, 1.0)]]


@pytest.fixture
def model(trained: Trained) -> Model:
    """Five articles a … e; manifest and vocabulary are the sample's."""
    articles = Articles.of(
        [
            Article(
                id=one,
                title=one,
                category=category,
                published_at=None if day is None else DAY_0 + timedelta(days=day),
            )
            for one, category, day in zip("abcde", SECTIONS, DAYS, strict=True)
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


def test_occurrences_count_the_lists_an_article_stands_in() -> None:
    assert occurrences(LISTS).tolist() == [2, 3, 1, 0, 0]


def test_coverage_is_the_share_of_articles_in_a_list(model: Model) -> None:
    found = health(LISTS, model, threads=1)

    assert found.coverage == pytest.approx(3 / 5)
    assert found.never_recommended == 2


def test_hub_skew_is_the_third_standardised_moment(model: Model) -> None:
    found = health(LISTS, model, threads=1)

    # Occurrences 2 3 1 0 0: mean 1.2, second central moment 1.36, third 0.576.
    assert found.hub_skew == pytest.approx(0.576 / 1.36**1.5)
    assert found.top_1_percent_places == pytest.approx(3 / 6)
    assert found.occurrences.counts[:4] == [2, 1, 2, 0]


def test_lists_that_hold_everyone_equally_have_no_skew(model: Model) -> None:
    ring = np.array([[1], [2], [3], [4], [0]], dtype=np.int32)

    found = health(ring, model, threads=1)

    assert (found.coverage, found.hub_skew) == (1, 0)


def test_category_agreement_leaves_out_articles_without_section_or_list(model: Model) -> None:
    # a: b agrees, c does not; b: a agrees; c: b does not; d has no list, e no section.
    assert health(LISTS, model, threads=1).category_agreement == pytest.approx((0.5 + 1 + 0) / 3)


def test_without_sections_there_is_no_agreement() -> None:
    assert category_agreement(LISTS, np.full(5, -1)) is None


def test_near_duplicates_are_told_by_list_and_by_pair(model: Model) -> None:
    found = health(LISTS, model, threads=2)

    # Copies: a-b in a's list, b-a in b's, and b-a among e's items. Pairs: 3 + 1 + 1 + 0 + 3.
    assert found.near_duplicate_lists == pytest.approx(3 / 5)
    assert found.near_duplicate_pairs == pytest.approx(3 / 8)


def test_intra_list_similarity_is_that_of_items_in_terms_alone(model: Model) -> None:
    # a's items b and c: 0.8; e's items b and a: 1. No other list has two.
    assert health(LISTS, model, threads=1).intra_list_similarity == pytest.approx(0.9)


def test_the_age_gap_is_a_median_over_dated_places(model: Model) -> None:
    found = health(LISTS, model, threads=1)

    # a-b 1, a-c 4, b-a 1, c-b 3; e has no date.
    assert found.median_age_gap_days == pytest.approx(2)
    assert dict(zip(found.age_gaps_days.edges, found.age_gaps_days.counts, strict=True)) == {
        **dict.fromkeys([0, 7, 14, 30, 90, 180, 365, 730, 1825, 3650], 0),
        1: 2,
        3: 2,
    }


def test_a_list_without_a_similar_item_is_counted(model: Model) -> None:
    scores = np.array([[0.9, 0.1], [0.51, 0], [0.5, 0], [0, 0], [0.2, 0.1]], dtype=np.float32)

    assert health(LISTS, model, threads=1, scores=scores).lists_without_similar == 3
    assert health(LISTS, model, threads=1).lists_without_similar is None


def test_the_newest_of_copies_is_shown_and_none_of_the_article_itself(model: Model) -> None:
    # a and b are copies, b is newer; so are c and d, d newer. No one else is near e.
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


def test_a_hidden_copy_does_not_count_as_never_recommended(model: Model) -> None:
    listable = np.array([True, True, True, True, False])

    found = health(LISTS, model, threads=1, listable=listable)

    assert found.coverage == pytest.approx(3 / 4)
    assert found.never_recommended == 1
    assert found.occurrences.counts[:3] == [1, 1, 2]


def test_lists_are_cut_at_nine(trained: Trained) -> None:
    model = trained.model
    nine = model.neighbors.rows[:, :9]

    assert health(model.neighbors.rows, model, threads=1) == health(nine, model, threads=2)


def test_a_corpus_without_any_list_is_measured(model: Model) -> None:
    found = health(np.full((5, 2), NO_ROW, dtype=np.int32), model, threads=1)

    assert (found.coverage, found.hub_skew, found.top_1_percent_places) == (0, 0, 0)
    assert (found.intra_list_similarity, found.median_age_gap_days, found.category_agreement) == (None,) * 3


def test_hub_places_of_the_top_hundredth_of_the_sample(trained: Trained) -> None:
    lists = trained.model.neighbors.rows[:, :9]
    counts = sorted(np.unique(lists, return_counts=True)[1].tolist(), reverse=True)

    found = health(lists, trained.model, threads=1)

    assert found.top_1_percent_places == pytest.approx(sum(counts[:3]) / lists.size)
