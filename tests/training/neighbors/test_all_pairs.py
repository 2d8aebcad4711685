"""The neighbours of all articles equal the result of a slow, obvious and independent computation."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recommender.model import Vectors
from recommender.neighbors import Neighbors
from recommender.training.neighbors import tiles
from recommender.training.neighbors.all_pairs import all_neighbors, offer_all_pairs, offer_by_workers
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.pairs import pair_scores
from recommender.training.neighbors.tiles import Plan
from recommender.training.train import Trained
from tests.support.laws import examples
from tests.support.vectors import best_of, check_against, slow_scores, unit_rows, vectors_of
from tests.support.workers import CopyingWorkers

TERMS, COMPONENTS, K, WEIGHT = 400, 24, 20, 0.3
SETTINGS = [(tile, threads) for tile in (777, 2048, 4096) for threads in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize(("tile", "threads"), [(7, 1), (100, 2), (4096, 1), (4096, 2)])
def test_neighbours_in_the_sample_equal_a_slow_computation(trained: Trained, tile: int, threads: int) -> None:
    vectors, weight, k = trained.model.vectors, 0.2, 100
    scores = slow_scores(vectors, weight)

    neighbors = all_neighbors(vectors, weight, k, threads, tile)

    check_against(scores, best_of(scores, k), neighbors)


@dataclass(frozen=True)
class Planted:
    """Generated rows: terms of all frequencies, latent vectors, zero rows, and groups of exact duplicates."""

    vectors: Vectors
    duplicates: list[np.ndarray]  # the rows of each group, ascending
    scores: np.ndarray
    best: np.ndarray


@pytest.fixture(scope="module", params=[2_500, pytest.param(5_000, marks=pytest.mark.slow)])
def planted(request: pytest.FixtureRequest) -> Planted:
    rows: int = request.param
    draw = np.random.default_rng(1)
    probability = np.minimum(2.0 / np.arange(1, TERMS + 1), 0.4)  # the most frequent become dense columns
    terms = draw.random((rows, TERMS)) * (draw.random((rows, TERMS)) < probability)
    latent = draw.normal(size=(rows, COMPONENTS))
    order = draw.permutation(rows)
    sizes = np.cumsum([0, 2, 2, 2, 5, 12, 15, 40, 300])
    duplicates = [np.sort(order[start:end]) for start, end in pairwise(sizes.tolist())]
    for group in duplicates:
        terms[group], latent[group] = terms[group[0]], latent[group[0]]
    terms[order[-20:]] = 0
    latent[order[-30:-10]] = 0
    vectors = vectors_of(unit_rows(terms), unit_rows(latent))
    scores = slow_scores(vectors, WEIGHT)
    return Planted(vectors, duplicates, scores, best_of(scores, K))


@pytest.fixture(scope="module")
def neighbors_by_setting(planted: Planted) -> dict[tuple[int, int], Neighbors]:
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
def test_generated_neighbours_equal_a_slow_computation(
    planted: Planted, neighbors_by_setting: dict[tuple[int, int], Neighbors], tile: int, threads: int
) -> None:
    check_against(planted.scores, planted.best, neighbors_by_setting[tile, threads])


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_few_exact_duplicates_are_in_row_order_for_any_tile_and_threads(
    planted: Planted, neighbors_by_setting: dict[tuple[int, int], Neighbors], setting: tuple[int, int]
) -> None:
    many = np.concatenate([group for group in planted.duplicates if len(group) >= 15])
    few = ~np.isin(neighbors_by_setting[SETTINGS[0]].rows, many).any(axis=1)

    assert few.sum() > len(planted.scores) / 2
    neighbors, expected = neighbors_by_setting[setting], neighbors_by_setting[SETTINGS[0]]
    np.testing.assert_array_equal(neighbors.rows[few], expected.rows[few])
    np.testing.assert_array_equal(neighbors.scores[few], expected.scores[few])
    for group in planted.duplicates:
        if len(group) < 15:
            check_lowest_rows_listed(group, neighbors.rows)


@pytest.mark.slow
def test_many_exact_duplicates_are_in_row_order(
    planted: Planted, neighbors_by_setting: dict[tuple[int, int], Neighbors]
) -> None:
    for neighbors in neighbors_by_setting.values():
        check_lowest_rows_listed(planted.duplicates[-1], neighbors.rows)


def check_lowest_rows_listed(group: np.ndarray, rows: np.ndarray) -> None:
    inside = np.isin(rows, group)
    for row in np.flatnonzero(inside.any(axis=1)):
        listed = rows[row][inside[row]].tolist()
        assert listed == [duplicate for duplicate in group.tolist() if duplicate != row][: len(listed)]


# Sums of these are exact in any order, so that equal scores are equal bits.
small = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float32, (n, 4), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0])),
        arrays.arrays(np.float32, (n, 2), elements=st.sampled_from([0.0, 0.5, -1.0])),
    )
)


# So each of the three methods has terms: all rare; all of medium frequency; some of each kind.
@pytest.mark.parametrize(("rare", "dense"), [(64, 0.1), (0, 2.0), (1, 0.5)])
@given(small, st.sampled_from([0.0, 0.25, 1.0]), st.integers(1, 12), st.integers(1, 5), st.integers(1, 2))
@settings(deadline=None, max_examples=examples(40))
def test_neighbours_equal_a_stable_sort_of_all_scores(
    rare: int,
    dense: float,
    rows: tuple[np.ndarray, np.ndarray],
    weight: float,
    k: int,
    tile: int,
    threads: int,
) -> None:
    vectors = vectors_of(*rows)
    scores = slow_scores(vectors, weight)
    k_listed = min(k, len(scores) - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_RARE_DF", rare)
        patch.setattr(tiles, "_DENSE_DF", dense)
        neighbors = all_neighbors(vectors, weight, k, threads, tile)

    ideal = np.argsort(-scores, axis=1, kind="stable")[:, :k_listed]
    assert neighbors.rows.tolist() == ideal.tolist()
    assert neighbors.scores.tolist() == np.take_along_axis(scores, ideal, axis=1).tolist()
    assert (neighbors.rows.dtype, neighbors.scores.dtype) == (np.dtype(np.int32), np.dtype(np.float32))


@pytest.mark.parametrize(("n", "expected"), [(1, [[]]), (2, [[1], [0]]), (3, [[1, 2], [0, 2], [0, 1]])])
def test_all_other_rows_are_neighbours_if_k_is_large_enough(n: int, expected: list[list[int]]) -> None:
    vectors = vectors_of(np.ones((n, 2)), np.ones((n, 1)))

    neighbors = all_neighbors(vectors, 0.5, 50, threads=2)

    assert neighbors.rows.tolist() == expected
    assert [neighbors.of(row)[0].tolist() for row in range(n)] == expected


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_zero_vectors_have_neighbours_in_row_order(weight: float) -> None:
    vectors = vectors_of(np.zeros((30, 3)), np.zeros((30, 2)))

    neighbors = all_neighbors(vectors, weight, 5, threads=1, tile=8)

    assert neighbors.rows[0].tolist() == [1, 2, 3, 4, 5]
    assert neighbors.rows[29].tolist() == [0, 1, 2, 3, 4]
    assert not neighbors.scores.any()


def test_without_a_latent_space_only_terms_are_compared() -> None:
    vectors = vectors_of(np.array([[1, 0], [0.6, 0.8], [0, 1]]), np.zeros((3, 0)))

    neighbors = all_neighbors(vectors, 0.3, 2, threads=1)

    assert neighbors.rows.tolist() == [[1, 2], [2, 0], [1, 0]]
    assert neighbors.scores[0].tolist() == pytest.approx([0.7 * 0.6, 0], abs=1e-3)


@pytest.mark.parametrize("tile", [50, 64, 4096])
def test_progress_adds_up_to_all_pairs(trained: Trained, tile: int) -> None:
    shares: list[float] = []

    all_neighbors(trained.model.vectors, 0.3, 5, threads=2, tile=tile, progress=shares.append)

    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("keep", "slots", "floor"),
    [
        (30, 1, 0.2),
        *(
            pytest.param(keep, slots, floor, marks=pytest.mark.slow)
            for keep, slots, floor in [(30, 1, -np.inf), (30, 30, 0.2), (1, 30, -np.inf), (1, 30, 0.2)]
        ),
    ],
)
def test_workers_find_the_same_candidates(planted: Planted, keep: int, slots: int, floor: float) -> None:
    n = len(planted.scores)
    hubs = np.random.default_rng(3).random(n).astype(np.float32) / 4
    floors = np.full(n, floor)
    alone, together = (Candidates.empty(hubs, keep, floors) for _ in range(2))
    shares: list[float] = []
    offer_all_pairs(Plan.of(planted.vectors, WEIGHT), alone, threads=2)

    workers = CopyingWorkers(slots)
    offer_by_workers(planted.vectors, WEIGHT, together, 2, shares.append, workers=workers)

    lists, expected = together.lists(np.arange(n)), alone.lists(np.arange(n))
    assert sum(shares) == pytest.approx(1)
    assert np.diff(expected.offsets).max() == keep
    for name in ("floors", "offsets", "candidates", "similarity"):
        np.testing.assert_array_equal(getattr(lists, name), getattr(expected, name))


def test_pairs_may_be_scored_in_any_order_and_number(planted: Planted) -> None:
    draw = np.random.default_rng(2)
    rows = len(planted.scores)
    left, right = draw.integers(0, rows, (2, 1000))
    right = np.where(left == right, (left + 1) % rows, right)

    scores = pair_scores(planted.vectors, WEIGHT, left, right)

    np.testing.assert_allclose(scores, planted.scores[left, right], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(scores, pair_scores(planted.vectors, WEIGHT, right, left))
    assert len(pair_scores(planted.vectors, WEIGHT, left[:0], right[:0])) == 0
