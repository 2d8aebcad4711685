"""Coherence equals NPMI by its definition."""

from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from recommender.training.topics.coherence import co_occurrences, npmi


def measured(present: list[list[int]]) -> float:
    """Return the coherence of all terms; `present` has a row for each article."""
    by_term = csc_array(np.array(present, dtype=np.float32))
    return npmi(co_occurrences(by_term, range(by_term.shape[1])), len(present))


def test_terms_that_only_occur_together_have_coherence_1() -> None:
    assert measured([[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]) == pytest.approx(1)
    assert measured([[1, 1], [1, 1]]) == 1


def test_terms_that_never_occur_together_have_coherence_minus_1() -> None:
    assert measured([[1, 0], [0, 1]]) == -1


def test_independent_terms_have_coherence_0() -> None:
    assert measured([[1, 1], [1, 0], [0, 1], [0, 0]]) == pytest.approx(0)


def test_one_term_or_none_has_coherence_0() -> None:
    assert measured([[1], [0]]) == 0
    assert npmi(np.zeros((0, 0), dtype=np.int64), 5) == 0


def test_articles_are_counted_by_pair() -> None:
    by_term = csc_array(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32))

    assert co_occurrences(by_term, [2, 0]).tolist() == [[1, 1], [1, 3]]


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=12))
def test_coherence_equals_the_mean_over_pairs_by_definition(present: list[list[int]]) -> None:
    present = [*present, [1, 1, 1], [0, 0, 0]]  # each pair occurs together in one article, and in none
    n = len(present)

    pairs = []
    for left, right in combinations(range(3), 2):
        share = sum(row[left] and row[right] for row in present) / n
        shares = sum(row[left] for row in present) / n * sum(row[right] for row in present) / n
        pairs.append(log(share / shares) / -log(share))

    assert measured(present) == pytest.approx(sum(pairs) / 3)
