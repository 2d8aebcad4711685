"""Lists of articles of which some have a given vector equal a slow computation from three cosines."""

from typing import Any

import numpy as np
import pytest

from recommender.article import Article
from recommender.fixed_point import SCALE
from recommender.given_vectors import joined
from recommender.model import Vectors
from recommender.neighbors import NO_ROW
from recommender.recipe import NeighborLists, Recipe
from recommender.training.neighbors.all_pairs import offer_all_pairs, offer_by_workers
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.likely_pairs import likely_candidates
from recommender.training.neighbors.lists import RelatedLists, build_related_lists
from recommender.training.neighbors.pairs import pair_scores
from recommender.training.neighbors.tiles import Plan
from recommender.training.terms.adapt import adapt
from tests.support.vectors import (
    best_of,
    check_against,
    fixed,
    slow_expanded,
    unit_rows,
    vectors_of,
)
from tests.support.workers import CopyingWorkers

ROWS, K, LATENT_WEIGHT, GIVEN_WEIGHT = 300, 3, 0.3, 0.4
RECIPE = Recipe(neighbors=NeighborLists(k=K, vector_weight=GIVEN_WEIGHT, copy_similarity=0.9))
ADAPTED = adapt(RECIPE, [Article(id="1", title="x")], vector_length=8).model_copy(
    update={"latent_weight": LATENT_WEIGHT, "hub_correction": 0.5, "feedback": 1.5, "expansion": 0.7}
)
DRAW = np.random.default_rng(5)
TERMS = fixed(
    unit_rows(DRAW.poisson(9 * DRAW.dirichlet(np.full(200, 0.08), size=40)[DRAW.integers(0, 40, ROWS)]))
)
LATENT = fixed(unit_rows(TERMS @ DRAW.normal(size=(200, 12))))
GIVEN = np.rint(SCALE * 0.999 * unit_rows(LATENT[:, :8] + 0.2 * DRAW.normal(size=(ROWS, 8)))).astype(np.int16)
GIVEN[DRAW.random(ROWS) < 0.4] = 0


def three_spaces() -> np.ndarray:
    """Return the similarity of all pairs, of two cosines or three, (n, n) float64."""
    cosines = [rows @ rows.T for rows in (TERMS, LATENT, GIVEN / SCALE)]
    texts = (1 - LATENT_WEIGHT) * cosines[0] + LATENT_WEIGHT * cosines[1]
    both = np.logical_and.outer(GIVEN.any(axis=1), GIVEN.any(axis=1))
    return np.asarray(np.where(both, (1 - GIVEN_WEIGHT) * texts + GIVEN_WEIGHT * cosines[2], texts))


def vectors() -> Vectors:
    dense = joined(LATENT, GIVEN, ADAPTED.vector_share)
    plain = vectors_of(TERMS, np.zeros((ROWS, 0)))
    return Vectors(**{**vars(plain), "latent": dense, "rescale": ADAPTED.rescale(dense)})


VECTORS, SIMILARITY = vectors(), three_spaces()
ROUNDING = 2e-3  # of the dense coordinates, which are rounded again when they are joined


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """The similarity of all pairs by the tiles, (n, n)."""
    return Plan.of(VECTORS, ADAPTED.dense_weight, tile=77).similarity(np.arange(ROWS), threads=2)


@pytest.fixture(scope="module")
def lists() -> RelatedLists:
    return build_related_lists(VECTORS, ADAPTED, RECIPE, threads=2, tile=100)


def test_every_way_to_score_a_pair_gives_the_mean_of_its_cosines(exact: np.ndarray) -> None:
    left, right = np.indices((ROWS, ROWS)).reshape(2, -1)
    by_pairs = pair_scores(VECTORS, ADAPTED.dense_weight, left, right).reshape(ROWS, ROWS)
    by_query = [VECTORS.scores(VECTORS.of(row), ADAPTED.dense_weight) for row in range(ROWS)]
    by_embedding = VECTORS.of(3).similarity(VECTORS.of(7), ADAPTED.dense_weight)

    np.testing.assert_allclose(exact, SIMILARITY, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(by_pairs, exact, rtol=0, atol=1e-6)
    np.testing.assert_allclose(by_query, exact, rtol=0, atol=1e-6)
    assert by_embedding == pytest.approx(exact[3, 7], abs=1e-6)


def test_lists_are_the_best_of_all_corrected_scores(exact: np.ndarray, lists: RelatedLists) -> None:
    corrections, share = lists.corrections, lists.corrections.feedback[:, None].astype(np.float64)
    scores = (exact + share * exact[corrections.nearest]) / (1 + share) - corrections.hubs
    scores = slow_expanded(scores, corrections, lists.copies.first, range(ROWS))
    np.fill_diagonal(scores, -np.inf)

    check_against(scores, best_of(scores, K), lists.neighbors)


def test_articles_move_towards_and_are_expanded_by_their_own_kind(lists: RelatedLists) -> None:
    has = np.array(GIVEN.any(axis=1))
    corrections = lists.corrections
    moves, expands = corrections.nearest != NO_ROW, corrections.expansion_weights > 0

    assert has[corrections.nearest][moves].tolist() == has[moves].tolist()
    assert not (has[corrections.expansion_rows] ^ has[:, None])[expands].any()
    assert moves.mean() > 0.9


@pytest.mark.parametrize("chosen", ["workers", "likely pairs"])
def test_candidates_have_the_same_similarity_however_they_are_found(exact: np.ndarray, chosen: str) -> None:
    weight, hubs = ADAPTED.dense_weight, np.zeros(ROWS, dtype=np.float32)
    best: Any = Candidates.empty(hubs, 4 * K)
    if chosen == "workers":
        offer_by_workers(VECTORS, weight, best, 2, workers=CopyingWorkers(3))
        expected = Candidates.empty(hubs, 4 * K)
        offer_all_pairs(Plan.of(VECTORS, weight), expected, 2)
        np.testing.assert_array_equal(best.rows, expected.rows)
    else:
        best = likely_candidates(VECTORS, weight, hubs, 0, 2)

    used = best.rows != NO_ROW
    queries = np.broadcast_to(np.arange(ROWS)[:, None], best.rows.shape)
    np.testing.assert_allclose(best.similarity[used], exact[queries[used], best.rows[used]], atol=1e-6)
