"""Work spread over threads covers its range once and in order, and errors reach the caller."""

from itertools import pairwise
from threading import get_ident

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.training.kernels import compilation_noted, kernel, run_all, run_ranges


@given(st.integers(0, 200), st.integers(1, 4), st.integers(1, 20))
@settings(deadline=None)
def test_ranges_cover_everything_once_and_in_order(n: int, threads: int, ranges_per_thread: int) -> None:
    ranges = list(run_ranges(lambda start, end: (start, end), n, threads, ranges_per_thread))

    assert ranges[0][0] == 0
    assert ranges[-1][1] == n
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    assert len(ranges) == max(1, min(n, threads * ranges_per_thread))


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_calls(threads: int) -> None:
    calls = [(pow, number, 2) for number in range(50)]

    assert list(run_all(calls, threads)) == [number**2 for number in range(50)]


def test_a_single_thread_is_the_calling_thread() -> None:
    assert set(run_all([(get_ident,)] * 5, threads=1)) == {get_ident()}
    assert get_ident() not in set(run_all([(get_ident,)] * 5, threads=2))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_one_call_reaches_the_caller(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_all([(divmod, 7, 2), (divmod, 7, 0)], threads))


def test_no_calls_give_no_results() -> None:
    assert list(run_all([], threads=1)) == list(run_all([], threads=2)) == []


def test_a_kernel_is_compiled_and_equals_its_source() -> None:
    @kernel
    def total(values: np.ndarray) -> float:
        added = 0.0
        for value in values:
            added += value
        return added

    assert total(np.array([0.5, 0.25])) == 0.75
    assert total.signatures  # type: ignore[attr-defined]  # numba's own attribute


def test_compilation_is_noted_once_and_only_when_it_happens() -> None:
    notes: list[str] = []
    double = numba.njit(lambda value: 2 * value)

    with compilation_noted(lambda: notes.append("compiling")):
        assert not notes
        assert (double(1), double(1.5), double(2)) == (2, 3, 4)

    assert notes == ["compiling"]
