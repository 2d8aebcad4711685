"""Vectors in fixed point: on the grid, at most of unit length, near the original, whatever stands beside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recommender import fixed_point
from recommender.fixed_point import SCALE, is_fixed, round_rows, rounded

HALF_STEP = 0.5 / SCALE

vectors = arrays.arrays(
    np.float64, st.integers(0, 40), elements=st.sampled_from([-1.0, 0.0, 1e-5, 0.3, 1.0]) | st.floats(-1, 1)
).map(lambda vector: vector / max(np.linalg.norm(vector), 1.0))
rows = st.lists(vectors, max_size=6)


def flat(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of all rows, and where each row starts."""
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return np.concatenate([*rows, np.zeros(0)]), offsets


@given(vectors)
def test_coordinates_are_multiples_of_a_step_and_no_vector_is_longer_than_1(vector: np.ndarray) -> None:
    result = rounded(vector)

    assert result.dtype == np.float32
    assert is_fixed(result)
    assert (result.astype(np.float64) ** 2).sum() <= 1


@given(vectors)
def test_a_coordinate_is_off_by_half_a_step_and_a_few_thousandths(vector: np.ndarray) -> None:
    result = rounded(vector).astype(np.float64)

    shrunk = np.abs(vector) - np.abs(result)
    assert shrunk.min(initial=0) >= -HALF_STEP  # never longer, but for rounding
    assert (shrunk - HALF_STEP - 0.0045 * np.abs(vector)).max(initial=0) <= 1e-7


@given(rows, st.integers(1, 50))
def test_a_row_is_rounded_like_the_vector_alone(rows: list[np.ndarray], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixed_point, "_BLOCK", block)
        result = round_rows(*flat(rows))

        expected, _ = flat([rounded(row) for row in rows])
        assert result.dtype == np.float32
        assert result.tolist() == expected.tolist()
        assert is_fixed(result)


def test_the_dot_product_of_two_vectors_is_the_same_in_any_order_and_precision() -> None:
    draw = np.random.default_rng(1)
    pairs = draw.normal(size=(50, 2, 300))
    for one, other in pairs / np.linalg.norm(pairs, axis=2, keepdims=True):
        products = rounded(one) * rounded(other)
        exact = products.sum(dtype=np.float64)

        for order in (np.arange(300), np.argsort(products), np.argsort(-products)):
            assert np.cumsum(products[order], dtype=np.float32)[-1] == exact
        assert exact == pytest.approx(one @ other, abs=1e-3)


# The coordinates of 501 and of 10,000 are rounded up, which makes the vector too long at first.
@pytest.mark.parametrize(("count", "units"), [(1, 4092), (2, 2893), (100, 409), (501, 182), (10_000, 40)])
def test_equal_coordinates_stay_equal_however_many(count: int, units: int) -> None:
    result = rounded(np.full(count, 1 / np.sqrt(count)))

    assert set(result.tolist()) == {units / SCALE}
    assert units**2 * count <= SCALE**2


def test_a_vector_that_is_too_long_at_first_does_not_shrink_the_others() -> None:
    vector = np.random.default_rng(1).normal(size=300)
    vector /= np.linalg.norm(vector)
    too_long = np.full(501, 1 / np.sqrt(501))

    together = round_rows(*flat([vector, too_long, vector]))

    assert together[:300].tolist() == together[-300:].tolist() == rounded(vector).tolist()
    assert set(together[300:-300].tolist()) == {182 / SCALE}


def test_rows_without_values_and_rows_of_zeros_are_unchanged() -> None:
    assert round_rows(*flat([])).tolist() == []
    assert round_rows(*flat([np.zeros(0), np.zeros(0)])).tolist() == []
    expected = [0.0, 0.0, float(rounded(np.ones(1))[0]), 0.0]
    assert round_rows(*flat([np.zeros(2), np.zeros(0), np.ones(1), np.zeros(1)])).tolist() == expected


@pytest.mark.parametrize("place", [0, 5, 6])
def test_one_value_off_the_grid_is_noticed(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed_point, "_BLOCK", 3)
    values = np.arange(7, dtype=np.float32) / SCALE

    assert is_fixed(values)
    values[place] += np.float32(0.25 / SCALE)
    assert not is_fixed(values)
