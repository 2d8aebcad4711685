"""Caps on a list: which articles one pass over its rows admits."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recommender.serving.rules.caps import Caps
from tests.support.laws import examples

N = 12
Groups = list[int]  # the group of each row, -1 for none

groups = st.lists(st.integers(-1, 2), min_size=N, max_size=N)
caps_lists = st.lists(st.tuples(groups, st.integers(1, 3)), min_size=1, max_size=2)
orders = st.permutations(range(N)).flatmap(lambda rows: st.integers(0, N).map(lambda size: rows[:size]))


def slow(caps: list[tuple[Groups, int]], rows: list[int], pins: list[int]) -> list[int]:
    """Return the rows that are admitted, by counting the list again for every row."""
    listed = list(pins)
    for row in rows:
        counts = [
            (sum(groups[row] == groups[other] for other in listed) if groups[row] >= 0 else 0, at_most)
            for groups, at_most in caps
        ]
        if all(count < at_most for count, at_most in counts):
            listed.append(row)
    return listed[len(pins) :]


def admitted(caps: list[tuple[Groups, int]], rows: list[int], pins: list[int]) -> list[int]:
    order = np.array(rows, dtype=np.int64)
    fast = Caps([np.array(groups) for groups, _ in caps], [at_most for _, at_most in caps])
    result: list[int] = order[fast.admitted(order, pins)].tolist()
    return result


# The first article takes the room of both others, although a longer list would skip it.
@example([([0, 0, 1] + [-1] * (N - 3), 1), ([0, 1, 0] + [-1] * (N - 3), 1)], [0, 1, 2], 0)
@settings(max_examples=examples(300))
@given(caps_lists, orders, st.integers(0, 3))
def test_one_pass_admits_the_rows_that_slow_counting_does(
    caps: list[tuple[Groups, int]], order: list[int], n_pins: int
) -> None:
    pins, rows = order[:n_pins], order[n_pins:]

    assert admitted(caps, rows, pins) == slow(caps, rows, pins)


def test_one_cap_admits_the_longest_list() -> None:
    assert admitted([([0, 0, 0, 1, -1, -1], 2)], [0, 1, 2, 3, 4, 5], []) == [0, 1, 3, 4, 5]


def test_an_article_is_skipped_although_another_would_lengthen_the_list() -> None:
    categories, authors = [0, 0, 1], [0, 1, 0]

    assert admitted([(categories, 1), (authors, 1)], [0, 1, 2], []) == [0]


def test_pins_count_beyond_the_cap() -> None:
    assert admitted([([0, 0, 0, 1], 1)], [2, 3], [0, 1]) == [3]


def test_a_long_list_under_two_caps_is_walked_to_its_end() -> None:
    n = 5000
    categories, authors = [0] * (n - 1) + [1], [-1] * n

    assert admitted([(categories, 2), (authors, 1)], list(range(n)), []) == [0, 1, n - 1]


def test_without_caps_nothing_is_capped() -> None:
    assert not Caps()
    assert Caps([np.array([0])], [1])
