"""Coherence: NPMI as its definition has it."""

from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from recommender.training.topics.coherence import co_occurrences, npmi


def measured(standing: list[list[int]]) -> float:
    """Return the coherence of all terms; `standing` has a row for each article."""
    by_term = csc_array(np.array(standing, dtype=np.float32))
    return npmi(co_occurrences(by_term, range(by_term.shape[1])), len(standing))


def test_terms_that_only_stand_together_cohere_fully() -> None:
    assert measured([[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]) == pytest.approx(1)
    assert measured([[1, 1], [1, 1]]) == 1


def test_terms_that_never_meet_do_not_cohere() -> None:
    assert measured([[1, 0], [0, 1]]) == -1


def test_terms_that_meet_by_chance_are_worth_nothing() -> None:
    assert measured([[1, 1], [1, 0], [0, 1], [0, 0]]) == pytest.approx(0)


def test_a_single_term_and_none_are_worth_nothing() -> None:
    assert measured([[1], [0]]) == 0
    assert npmi(np.zeros((0, 0), dtype=np.int64), 5) == 0


def test_articles_are_counted_by_pair() -> None:
    by_term = csc_array(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32))

    assert co_occurrences(by_term, [2, 0]).tolist() == [[1, 1], [1, 3]]


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=12))
def test_it_is_the_mean_of_the_pairs_written_out(standing: list[list[int]]) -> None:
    standing = [*standing, [1, 1, 1], [0, 0, 0]]  # every pair meets somewhere, and nowhere
    n = len(standing)

    pairs = []
    for left, right in combinations(range(3), 2):
        share = sum(row[left] and row[right] for row in standing) / n
        shares = sum(row[left] for row in standing) / n * sum(row[right] for row in standing) / n
        pairs.append(log(share / shares) / -log(share))

    assert measured(standing) == pytest.approx(sum(pairs) / 3)
