"""What caps admit: the most there can be, and the first of the order that lead to it."""

from itertools import combinations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from recommender.serving.rules.caps import CapCounter, Caps, fill
from tests.support.laws import examples

Cap = tuple[np.ndarray, int]  # of each row its group, -1 for none; how many of one


@st.composite
def rooms(draw: st.DrawFn) -> tuple[list[bool], list[Cap]]:
    size = draw(st.integers(3, 7))
    codes = st.lists(st.integers(-1, 2), min_size=size, max_size=size).map(np.array)
    caps = draw(st.lists(st.tuples(codes, st.sampled_from([1, 1, 2])), max_size=2))
    taken = draw(st.sets(st.integers(0, size - 1), max_size=1))
    return [row not in taken for row in range(size)], caps


def caps_of(caps: list[Cap]) -> Caps:
    return Caps([codes for codes, _ in caps], [at_most for _, at_most in caps])


def fits(rows: tuple[int, ...], caps: list[Cap]) -> bool:
    return all(
        sum(codes[row] == group for row in rows) <= at_most for codes, at_most in caps for group in range(4)
    )


def first_of(mask: np.ndarray) -> tuple[int, str] | None:
    rows = np.flatnonzero(mask)
    return (int(rows[0]), "found") if len(rows) else None


# The only list of three gives the first place's section and author to others, by a path of three pairs.
@example(([True] * 4, [(np.array([0, 0, 1, 2]), 1), (np.array([0, 1, 0, 1]), 1)]), 3)
@settings(max_examples=examples(100), deadline=None)
@given(rooms(), st.integers(1, 8))
def test_a_list_is_the_first_in_order_of_the_longest_that_caps_admit(
    given_room: tuple[list[bool], list[Cap]], limit: int
) -> None:
    admitted, caps = given_room
    rows = [row for row, free in enumerate(admitted) if free]
    most = max(size for size in range(len(rows) + 1) for some in combinations(rows, size) if fits(some, caps))
    first = next(some for some in combinations(rows, min(limit, most)) if fits(some, caps))

    room = CapCounter(np.array(admitted), caps_of(caps))

    assert room.most() == most
    assert fill(first_of, room, min(limit, most)) == [(row, "found") for row in first]


@given(rooms(), st.data())
def test_what_is_taken_in_spite_of_a_cap_counts(
    given_room: tuple[list[bool], list[Cap]], data: st.DataObject
) -> None:
    admitted, caps = given_room
    pins = data.draw(st.sets(st.integers(0, len(admitted) - 1)))
    room = CapCounter(np.array(admitted), caps_of(caps))

    for pin in sorted(pins):
        room.take(pin)

    def fits_beside(some: tuple[int, ...]) -> bool:
        """Tell whether a cap admits all of these beside the pins, which it may not have admitted."""
        return all(
            not (added := sum(codes[row] == group for row in some))
            or added + sum(codes[pin] == group for pin in pins) <= at_most
            for codes, at_most in caps
            for group in range(3)
        )

    rows = [row for row, free in enumerate(admitted) if free and row not in pins]
    assert np.flatnonzero(room.mask).tolist() == [row for row in rows if fits_beside((row,))]
    sizes = range(len(rows) + 1)
    assert room.most() == max(n for n in sizes for some in combinations(rows, n) if fits_beside(some))


groups = st.lists(st.integers(-1, 5), min_size=30, max_size=30).map(np.array)


@given(groups, groups, st.integers(1, 3), st.integers(1, 3))
def test_the_most_is_the_greatest_flow(
    categories: np.ndarray, authors: np.ndarray, of_category: int, of_author: int
) -> None:
    capacities = np.zeros((16, 16), dtype=np.int32)  # source, 7 sections, 7 authors, sink
    np.add.at(capacities, (categories + 2, authors + 9), 1)
    capacities[0, 1:8] = [30, *[of_category] * 6]
    capacities[8:15, 15] = [30, *[of_author] * 6]

    room = CapCounter(np.ones(30, dtype=bool), Caps([categories, authors], [of_category, of_author]))

    assert room.most() == maximum_flow(csr_array(capacities), 0, 15).flow_value


def test_the_order_gives_way_where_the_list_would_be_shorter() -> None:
    categories, authors = np.array([0, 0, 1]), np.array([0, 1, 0])

    room = CapCounter(np.ones(3, dtype=bool), Caps([categories, authors], [1, 1]))

    assert fill(first_of, room, 2) == [(1, "found"), (2, "found")]
