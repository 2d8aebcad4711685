"""Selections and products of sparse rows equal those of dense matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from recommender.training.topics.sparse import largest, places_of, product, selected

MATRICES = arrays.arrays(np.float32, (7, 5), elements=st.sampled_from([0.0, 0.0, 0.5, -2.0, 3.0]))


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 14))
def test_the_largest_values_are_those_of_a_stable_sort(values: list[int], count: int) -> None:
    expected = np.sort(np.argsort(-np.array(values, dtype=np.int64), kind="stable")[:count])

    assert largest(np.array(values, dtype=np.int64), count).tolist() == expected.tolist()


@given(MATRICES, st.sets(st.integers(0, 6)), st.sets(st.integers(0, 4)))
@settings(deadline=None)
def test_a_selection_equals_that_of_a_dense_matrix(
    dense: np.ndarray, rows: set[int], columns: set[int]
) -> None:
    chosen = np.array(sorted(rows), dtype=np.int32), np.array(sorted(columns), dtype=np.int32)

    part = selected(csr_array(dense), *chosen)

    assert part.toarray().tolist() == dense[np.ix_(*chosen)].tolist()


@given(MATRICES, st.integers(1, 3))
@settings(deadline=None)
def test_a_product_ignores_the_columns_without_a_place(dense: np.ndarray, threads: int) -> None:
    factors = np.arange(12, dtype=np.float32).reshape(3, 4)

    result = product(csr_array(dense), factors, threads, places_of(np.array([0, 2, 3]), 5))

    np.testing.assert_allclose(result, dense[:, [0, 2, 3]] @ factors)


@pytest.mark.parametrize("n", [511, 512, 1300])
def test_a_product_of_several_blocks_is_the_same_for_any_number_of_threads(n: int) -> None:
    random = np.random.default_rng(0)
    dense = np.where(random.random((n, 30)) < 0.2, random.random((n, 30)), 0).astype(np.float32)
    factors = random.normal(size=(30, 9)).astype(np.float32)

    results = [product(csr_array(dense), factors, threads) for threads in (1, 2, 3)]

    np.testing.assert_allclose(results[0], dense @ factors, rtol=1e-5, atol=1e-6)
    assert len({result.tobytes() for result in results}) == 1
