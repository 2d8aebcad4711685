"""The similarity of rows to others: exact, in tiles of any size, up to any column."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.model import Vectors
from recommender.training.neighbors import tiles
from recommender.training.neighbors.tiles import Plan
from tests.support.vectors import unit_rows, vectors_of

N, WEIGHT = 210, 0.3
METHODS = [(64, 0.1), (0, 2.0), (9, 0.2), (1000, 2.0), (0, 0.0)]  # the last: all rare, all dense


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    draw = np.random.default_rng(5)
    frequency = np.minimum(1.5 / np.arange(1, 101), 0.8)
    terms = draw.random((N, 100)) * (draw.random((N, 100)) < frequency)
    terms[20:25] = 0
    return vectors_of(unit_rows(terms), unit_rows(draw.normal(size=(N, 8))))


def expected(vectors: Vectors) -> np.ndarray:
    """Return all similarities, from exact sums; only the weights are rounded."""
    terms = np.zeros((N, 100))
    terms[np.repeat(np.arange(N), np.diff(vectors.offsets)), vectors.columns] = vectors.values
    latent = vectors.latent.astype(np.float64)
    of_terms, of_latent = (terms @ terms.T).astype(np.float32), (latent @ latent.T).astype(np.float32)
    return np.asarray(np.float32(1 - WEIGHT) * of_terms + np.float32(WEIGHT) * of_latent)


@pytest.mark.parametrize(("rare", "dense"), METHODS)
@pytest.mark.parametrize("tile", [1, 7, 100, 105, N, 8192])
def test_similarities_equal_exact_sums_bit_by_bit(
    vectors: Vectors, tile: int, rare: int, dense: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_RARE_DF", rare)
    monkeypatch.setattr(tiles, "_DENSE_DF", dense)
    plan, rows, similarity = Plan.of(vectors, WEIGHT, tile), np.array([0, 22, 208, 4, 99]), expected(vectors)

    for limit in (1, 6, 7, 8, 99, 100, 101, 104, N - 1, None):
        stripe = plan.stripe(rows, limit)
        scores = np.concatenate([stripe.scores(number) for number in stripe.tiles], axis=1)
        assert scores.dtype == np.float32
        assert scores.tolist() == similarity[rows, :limit].tolist()
    for threads in (1, 2):
        assert plan.similarity(rows, threads).tolist() == similarity[rows].tolist()


def test_the_terms_of_the_test_are_of_all_three_kinds(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_RARE_DF", 9)
    monkeypatch.setattr(tiles, "_DENSE_DF", 0.2)

    plan = Plan.of(vectors, WEIGHT)

    assert plan.dense.shape[1] > 3
    assert len(plan.postings) > 100
    assert (np.diff(plan.offsets) > plan.rare_from - plan.offsets[:-1]).sum() > 50


@pytest.mark.parametrize("part", ["values", "latent"])
def test_vectors_that_are_not_in_fixed_point_are_refused(vectors: Vectors, part: str) -> None:
    changed = getattr(vectors, part).copy()
    changed.flat[-1] += 1e-5

    with pytest.raises(ValueError, match="the vectors are not in fixed point"):
        Plan.of(replace(vectors, **{part: changed}), WEIGHT)


@pytest.mark.parametrize(("n", "rows"), [(1, 512), (40_000, 419), (10_000_000, 64)])
def test_fewer_rows_are_scored_at_a_time_in_a_large_corpus(vectors: Vectors, n: int, rows: int) -> None:
    plan = replace(Plan.of(vectors, WEIGHT), latent=np.zeros((n, 0)))

    assert plan.rows_at_a_time == rows
