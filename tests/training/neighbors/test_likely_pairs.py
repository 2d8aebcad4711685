"""A large corpus, whose pairs are not all scored: nearly the same lists, and the share that is missing."""

from typing import Any

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Neighbors
from recommender.recipe import NeighborLists, Recipe
from recommender.training.neighbors import likely_pairs, lists
from recommender.training.neighbors.likely_pairs import HeavyTerms, likely_candidates
from recommender.training.neighbors.lists import RelatedLists, build_related_lists, measured_recall
from recommender.training.terms.adapt import adapt
from tests.support.vectors import slow_scores, unit_rows, vectors_of

WEIGHT, K, ROWS = 0.25, 20, 3_000
RECIPE = Recipe(neighbors=NeighborLists(k=K))


def corpus(n: int) -> Vectors:
    """Return articles on n / 25 subjects, each a mixture of words; the last three have no terms."""
    draw = np.random.default_rng(3)
    subjects = draw.dirichlet(np.full(500, 0.06), size=n // 25 + 1)
    counts = draw.poisson(40 * subjects[draw.integers(0, len(subjects), n)]) + (draw.random((n, 500)) < 0.01)
    terms = unit_rows(counts / np.log(2 + counts.sum(axis=0)))
    latent = unit_rows(terms @ draw.normal(size=(500, 80)))
    terms[-3:] = latent[-3:] = 0
    return vectors_of(terms, latent)


def build(vectors: Vectors, **options: Any) -> RelatedLists:
    adapted = adapt(RECIPE, [Article(id="1", title="x")]).model_copy(
        update={"latent_weight": WEIGHT, "hub_correction": 0.3}
    )
    return build_related_lists(vectors, adapted, RECIPE, **{"threads": 2, **options})


def overlap(one: Neighbors, other: Neighbors) -> float:
    """Return the share of the lists that both have."""
    common = [len(np.intersect1d(*pair)) for pair in zip(one.rows, other.rows, strict=True)]
    return sum(common) / other.rows.size


@pytest.fixture
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every corpus is large, and has so many cells that not all are compared with each other."""
    monkeypatch.setattr(lists, "EXACT_UP_TO", 0)
    monkeypatch.setattr(likely_pairs, "_CELL", 30)
    monkeypatch.setattr(likely_pairs, "_PROBED", 16)
    monkeypatch.setattr(likely_pairs, "_NEAREST", 100)


@pytest.fixture(scope="module")
def exact() -> RelatedLists:
    return build(corpus(ROWS))


@pytest.mark.slow
@pytest.mark.usefixtures("_large")
def test_lists_of_likely_pairs_have_nearly_all_true_neighbours(exact: RelatedLists) -> None:
    shares: list[float] = []

    likely = build(corpus(ROWS), progress=shares.append)

    assert exact.recall_at_20 == 1
    assert 0.9 < likely.recall_at_20 < 1
    assert overlap(likely.neighbors, exact.neighbors) == pytest.approx(likely.recall_at_20, abs=0.03)
    assert sum(shares) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.usefixtures("_large")
def test_likely_lists_do_not_depend_on_the_number_of_threads() -> None:
    one, two = build(corpus(ROWS), threads=1), build(corpus(ROWS), threads=2)

    np.testing.assert_array_equal(one.neighbors.rows, two.neighbors.rows)
    np.testing.assert_array_equal(one.neighbors.scores, two.neighbors.scores)
    np.testing.assert_array_equal(one.corrections.hubs, two.corrections.hubs)
    assert (one.similar_above, one.recall_at_20) == (two.similar_above, two.recall_at_20)


@pytest.mark.usefixtures("_large")
def test_articles_without_terms_are_similar_to_none() -> None:
    lists = build(corpus(200))
    empty = np.isin(lists.neighbors.rows, [197, 198, 199])

    assert lists.similar_above > 0
    assert (lists.neighbors.scores[-3:] <= 0).all()
    assert (lists.neighbors.scores[empty] <= 0).all()
    assert (lists.neighbors.scores[:-3, 0] > 0).all()
    assert not np.isin(lists.copies.grouped, [197, 198, 199]).any()


@pytest.mark.usefixtures("_large")
def test_a_cell_of_any_size_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = corpus(150)
    hubs = np.zeros(150, dtype=np.float32)
    whole = likely_candidates(vectors, WEIGHT, hubs, seed=7, threads=1)

    monkeypatch.setattr(likely_pairs, "_MOST_SCORES", 500)
    in_parts = likely_candidates(vectors, WEIGHT, hubs, seed=7, threads=1)

    np.testing.assert_array_equal(in_parts.rows, whole.rows)


@pytest.mark.parametrize("n", [2, 3, 40, 299])
def test_candidates_have_their_exact_similarity(n: int) -> None:
    vectors, hubs = corpus(n), np.random.default_rng(4).random(n).astype(np.float32)
    similarity = slow_scores(vectors, WEIGHT)

    best = likely_candidates(vectors, WEIGHT, hubs, seed=7, threads=2)

    for row, count in enumerate(best.counts.tolist()):
        rows, own = best.rows[row, :count].tolist(), best.similarity[row, :count]
        assert len(set(rows)) == count
        assert row not in rows
        assert (best.rows[row, count:] == NO_ROW).all()
        np.testing.assert_allclose(own, similarity[row, rows], atol=1e-6)
        assert best.floors[row] == (own - hubs[rows]).min(initial=np.inf)


def test_without_cells_and_frequent_terms_every_related_article_is_a_candidate() -> None:
    vectors = corpus(190)  # fewer than the candidates of each similarity
    related = slow_scores(vectors, 0.0) > 0

    best = likely_candidates(vectors, WEIGHT, np.zeros(190, dtype=np.float32), seed=7, threads=1)

    for row in range(190):
        assert set(np.flatnonzero(related[row])) <= set(best.rows[row].tolist())


# One article, many that are equally near to it, and four that are nearer: these are never left out.
NEAR = np.array([[1.0, 0, 0], *[[0.6, 0.8, 0]] * 90, *[[0.8, 0, 0.6]] * 4])


@pytest.mark.parametrize("similarity", ["terms", "latent space"])
def test_many_equally_near_articles_do_not_displace_nearer_ones(
    similarity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likely_pairs, "_NEAREST", 10)
    nothing = np.zeros((len(NEAR), 1))
    vectors = vectors_of(NEAR, nothing) if similarity == "terms" else vectors_of(nothing, NEAR)

    best = likely_candidates(vectors, WEIGHT, np.zeros(len(NEAR), dtype=np.float32), seed=7, threads=1)

    assert set(range(91, 95)) <= set(best.rows[0].tolist())


def test_many_equally_heavy_terms_do_not_displace_heavier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likely_pairs, "_HEAVIEST", 4)
    article = np.array([0.1] * 9 + [0.5, 0.5, 0.5])  # the last terms are the heaviest
    vectors = vectors_of(np.stack([article, *np.eye(12)]), np.zeros((13, 0)))
    nearest = np.full((1, 20), NO_ROW, dtype=np.int32)

    terms = HeavyTerms.of(vectors, threads=1)
    terms.write_nearest(np.zeros(1, dtype=np.int32), np.zeros(13, dtype=np.float32), nearest)

    assert nearest[0, 10:14].tolist() == [10, 11, 12, 1]
    assert (nearest[0, 14:] == NO_ROW).all()


@pytest.mark.parametrize("missing", [0, 3, 20])
def test_the_recall_is_the_share_of_true_neighbours_in_the_lists(missing: int) -> None:
    vectors = corpus(150)
    exact = build(vectors)
    rows = exact.neighbors.rows.copy()
    rows[:, K - missing :] = NO_ROW
    found = Neighbors(rows, exact.neighbors.scores)

    recall = measured_recall(vectors, WEIGHT, found, exact.corrections, exact.copies.first, RECIPE, 2)

    assert recall == pytest.approx(1 - missing / K)
