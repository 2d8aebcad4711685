"""The neighbours of all articles equal those of a slow, obvious and independent computation."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csc_array, csr_array

from recommender.model import Vectors
from recommender.neighbors import Neighbors
from recommender.training.neighbors import all_pairs as allpairs
from recommender.training.neighbors.all_pairs import all_neighbors
from recommender.training.neighbors.exact import pair_scores
from recommender.training.train import Trained
from tests.support.laws import examples

TERMS, COMPONENTS, K, WEIGHT = 400, 24, 20, 0.3
SETTINGS = [(tile, threads) for tile in (777, 2048, 4096) for threads in (1, 2)]


def vectors_of(terms: np.ndarray, latent: np.ndarray) -> Vectors:
    """Return dense rows as the training keeps them."""
    rows, columns = csr_array(terms.astype(np.float32)), csc_array(terms.astype(np.float32))
    return Vectors(
        offsets=rows.indptr.astype(np.int64),
        columns=rows.indices.astype(np.int32),
        values=rows.data,
        latent=latent.astype(np.float32),
        term_offsets=columns.indptr.astype(np.int64),
        term_rows=columns.indices.astype(np.int32),
        term_values=columns.data,
    )


def slow_scores(vectors: Vectors, weight: float) -> np.ndarray:
    """Return all scores in double precision, an article's own at minus infinity."""
    terms = np.zeros((len(vectors.offsets) - 1, len(vectors.term_offsets) - 1))
    for row, (start, end) in enumerate(pairwise(vectors.offsets.tolist())):
        terms[row, vectors.columns[start:end]] = vectors.values[start:end]
    latent = vectors.latent.astype(np.float64)
    scores: np.ndarray = (1 - weight) * (terms @ terms.T) + weight * (latent @ latent.T)
    np.fill_diagonal(scores, -np.inf)
    return scores


def check_against(scores: np.ndarray, best: np.ndarray, found: Neighbors) -> None:
    """Compare with all scores, and with the best of each row: all scores sorted and cut."""
    own = scores[np.arange(len(scores))[:, None], found.rows]

    assert found.rows.shape == found.scores.shape == best.shape
    # Other ids than the best only where the scores tie; each score is that of its id; no id twice.
    np.testing.assert_allclose(own, best, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.scores, own, rtol=0, atol=1e-6)
    assert all(len(set(rows)) == len(rows) for rows in found.rows.tolist())
    # Best first, equal scores in row order.
    step = np.diff(found.scores, axis=1)
    assert np.all((step < 0) | ((step == 0) & (np.diff(found.rows, axis=1) > 0)))


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    return -np.sort(np.partition(-scores, k - 1, axis=1)[:, :k], axis=1)


@pytest.mark.parametrize(("tile", "threads"), [(7, 1), (100, 2), (4096, 1), (4096, 2)])
def test_the_samples_neighbours_equal_the_slow_ones(trained: Trained, tile: int, threads: int) -> None:
    vectors, weight, k = trained.model.vectors, 0.2, 100
    scores = slow_scores(vectors, weight)

    found = all_neighbors(vectors, weight, k, threads, tile)

    check_against(scores, best_of(scores, k), found)


@dataclass(frozen=True)
class Planted:
    """Generated rows: terms of all frequencies, latent directions, zero rows, and groups of exact twins."""

    vectors: Vectors
    twins: list[np.ndarray]  # ascending rows of each group
    scores: np.ndarray
    best: np.ndarray


def unit_rows(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))


@pytest.fixture(scope="module", params=[2_500, pytest.param(5_000, marks=pytest.mark.slow)])
def planted(request: pytest.FixtureRequest) -> Planted:
    rows: int = request.param
    draw = np.random.default_rng(1)
    often = np.minimum(2.0 / np.arange(1, TERMS + 1), 0.4)  # the most frequent become dense columns
    terms = draw.random((rows, TERMS)) * (draw.random((rows, TERMS)) < often)
    latent = draw.normal(size=(rows, COMPONENTS))
    order = draw.permutation(rows)
    sizes = np.cumsum([0, 2, 2, 2, 5, 12, 15, 40, 300])
    twins = [np.sort(order[start:end]) for start, end in pairwise(sizes.tolist())]
    for group in twins:
        terms[group], latent[group] = terms[group[0]], latent[group[0]]
    terms[order[-20:]] = 0
    latent[order[-30:-10]] = 0
    vectors = vectors_of(unit_rows(terms), unit_rows(latent))
    scores = slow_scores(vectors, WEIGHT)
    return Planted(vectors, twins, scores, best_of(scores, K))


@pytest.fixture(scope="module")
def found(planted: Planted) -> dict[tuple[int, int], Neighbors]:
    """The neighbours of the planted rows, by tile and threads."""
    return {
        (tile, threads): all_neighbors(planted.vectors, WEIGHT, K, threads, tile)
        for tile, threads in SETTINGS
    }


def test_the_generated_terms_are_rare_and_frequent(planted: Planted) -> None:
    df = np.diff(planted.vectors.term_offsets)

    assert df.max() > 0.2 * len(planted.scores)
    assert df.min() < 0.01 * len(planted.scores)


@pytest.mark.slow
@pytest.mark.parametrize(("tile", "threads"), SETTINGS)
def test_generated_neighbours_equal_the_slow_ones(
    planted: Planted, found: dict[tuple[int, int], Neighbors], tile: int, threads: int
) -> None:
    check_against(planted.scores, planted.best, found[tile, threads])


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_few_exact_twins_come_in_row_order_whatever_the_tile_and_threads(
    planted: Planted, found: dict[tuple[int, int], Neighbors], setting: tuple[int, int]
) -> None:
    many = np.concatenate([group for group in planted.twins if len(group) >= 15])
    few = ~np.isin(found[SETTINGS[0]].rows, many).any(axis=1)

    assert few.sum() > len(planted.scores) / 2
    np.testing.assert_array_equal(found[setting].rows[few], found[SETTINGS[0]].rows[few])
    np.testing.assert_array_equal(found[setting].scores[few], found[SETTINGS[0]].scores[few])
    for group in planted.twins:
        if len(group) < 15:
            check_lowest_taken(group, found[setting].rows)


def test_many_exact_twins_come_in_row_order_too(
    planted: Planted, found: dict[tuple[int, int], Neighbors]
) -> None:
    for neighbors in found.values():
        check_lowest_taken(planted.twins[-1], neighbors.rows)


def check_lowest_taken(group: np.ndarray, rows: np.ndarray) -> None:
    inside = np.isin(rows, group)
    for row in np.flatnonzero(inside.any(axis=1)):
        taken = rows[row][inside[row]].tolist()
        assert taken == [twin for twin in group.tolist() if twin != row][: len(taken)]


# Sums of these are exact in any order, so that equal scores are equal bits.
small = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float32, (n, 4), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0])),
        arrays.arrays(np.float32, (n, 2), elements=st.sampled_from([0.0, 0.5, -1.0])),
    )
)


# With few spare candidates, rows are settled in full; with no margin, the heaps are on their own.
@pytest.mark.parametrize(("spare", "margin"), [(14, 1e-5), (1, 1e-5), (0, -1.0)])
@given(small, st.sampled_from([0.0, 0.25, 1.0]), st.integers(1, 12), st.integers(1, 5), st.integers(1, 2))
@settings(deadline=None, max_examples=examples(40))
def test_few_rows_are_sorted_as_a_stable_sort_of_all_scores_does(
    spare: int,
    margin: float,
    rows: tuple[np.ndarray, np.ndarray],
    weight: float,
    k: int,
    tile: int,
    threads: int,
) -> None:
    vectors = vectors_of(*rows)
    scores = slow_scores(vectors, weight)
    k_found = min(k, len(scores) - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allpairs, "_SPARE", spare)
        patch.setattr(allpairs, "_MARGIN", margin)
        found = all_neighbors(vectors, weight, k, threads, tile)

    ideal = np.argsort(-scores, axis=1, kind="stable")[:, :k_found]
    assert found.rows.tolist() == ideal.tolist()
    assert found.scores.tolist() == np.take_along_axis(scores, ideal, axis=1).tolist()
    assert (found.rows.dtype, found.scores.dtype) == (np.dtype(np.int32), np.dtype(np.float32))


@pytest.mark.parametrize(("n", "expected"), [(1, [[]]), (2, [[1], [0]]), (3, [[1, 2], [0, 2], [0, 1]])])
def test_every_other_row_is_a_neighbour_when_k_is_no_less(n: int, expected: list[list[int]]) -> None:
    vectors = vectors_of(np.ones((n, 2)), np.ones((n, 1)))

    found = all_neighbors(vectors, 0.5, 50, threads=2)

    assert found.rows.tolist() == expected
    assert [found.of(row)[0].tolist() for row in range(n)] == expected


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_zero_vectors_have_neighbours_in_row_order(weight: float) -> None:
    vectors = vectors_of(np.zeros((30, 3)), np.zeros((30, 2)))

    found = all_neighbors(vectors, weight, 5, threads=1, tile=8)

    assert found.rows[0].tolist() == [1, 2, 3, 4, 5]
    assert found.rows[29].tolist() == [0, 1, 2, 3, 4]
    assert not found.scores.any()


def test_a_model_without_a_latent_space_is_compared_by_terms_alone() -> None:
    vectors = vectors_of(np.array([[1, 0], [0.6, 0.8], [0, 1]]), np.zeros((3, 0)))

    found = all_neighbors(vectors, 0.3, 2, threads=1)

    assert found.rows.tolist() == [[1, 2], [2, 0], [1, 0]]
    assert found.scores[0].tolist() == pytest.approx([0.7 * 0.6, 0])


@pytest.mark.parametrize("tile", [50, 64, 4096])
def test_progress_adds_up_to_all_pairs(trained: Trained, tile: int) -> None:
    told: list[float] = []

    all_neighbors(trained.model.vectors, 0.3, 5, threads=2, tile=tile, progress=told.append)

    assert sum(told) == pytest.approx(1)


def test_pairs_may_be_scored_in_any_order_and_number(planted: Planted) -> None:
    draw = np.random.default_rng(2)
    rows = len(planted.scores)
    left, right = draw.integers(0, rows, (2, 1000))
    right = np.where(left == right, (left + 1) % rows, right)

    scores = pair_scores(planted.vectors, WEIGHT, left, right)

    np.testing.assert_allclose(scores, planted.scores[left, right], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(scores, pair_scores(planted.vectors, WEIGHT, right, left))
    assert len(pair_scores(planted.vectors, WEIGHT, left[:0], right[:0])) == 0
