"""What caps admit: the most there can be, and the first of the order that lead to it."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.room import Caps, Room, fill

Cap = tuple[np.ndarray, int]  # of each row its group, -1 for none; how many of one


@st.composite
def rooms(draw: st.DrawFn) -> tuple[list[bool], list[Cap]]:
    size = draw(st.integers(1, 8))
    groups = [draw(st.lists(st.integers(-1, 3), min_size=size, max_size=size)) for _ in range(2)]
    caps = [(np.array(codes), draw(st.integers(1, 2))) for codes in groups]
    return draw(st.lists(st.booleans(), min_size=size, max_size=size)), caps[: draw(st.integers(0, 2))]


def caps_of(caps: list[Cap]) -> Caps:
    return Caps([codes for codes, _ in caps], [at_most for _, at_most in caps])


def fits(rows: tuple[int, ...], caps: list[Cap]) -> bool:
    return all(
        sum(codes[row] == group for row in rows) <= at_most for codes, at_most in caps for group in range(4)
    )


def first_of(mask: np.ndarray) -> tuple[int, str] | None:
    rows = np.flatnonzero(mask)
    return (int(rows[0]), "found") if len(rows) else None


@given(rooms(), st.integers(1, 8))
def test_a_list_is_the_first_in_order_of_the_longest_that_caps_admit(
    given_room: tuple[list[bool], list[Cap]], limit: int
) -> None:
    admitted, caps = given_room
    rows = [row for row, free in enumerate(admitted) if free]
    most = max(size for size in range(len(rows) + 1) for some in combinations(rows, size) if fits(some, caps))
    first = next(some for some in combinations(rows, min(limit, most)) if fits(some, caps))

    room = Room(np.array(admitted), caps_of(caps))

    assert room.most() == most
    assert fill(first_of, room, min(limit, most)) == [(row, "found") for row in first]


@given(rooms(), st.data())
def test_what_is_taken_in_spite_of_a_cap_counts(
    given_room: tuple[list[bool], list[Cap]], data: st.DataObject
) -> None:
    admitted, caps = given_room
    pins = data.draw(st.sets(st.integers(0, len(admitted) - 1)))
    room = Room(np.array(admitted), caps_of(caps))

    for pin in sorted(pins):
        room.take(pin)

    rows = [row for row, free in enumerate(admitted) if free and row not in pins]
    full = [
        (codes, group)
        for codes, n in caps
        for group in range(4)
        if sum(codes[pin] == group for pin in pins) >= n
    ]
    assert np.flatnonzero(room.mask).tolist() == [row for row in rows if all(c[row] != g for c, g in full)]


def test_the_order_gives_way_where_the_list_would_be_shorter() -> None:
    sections, authors = np.array([0, 0, 1]), np.array([0, 1, 0])

    room = Room(np.ones(3, dtype=bool), Caps([sections, authors], [1, 1]))

    assert fill(first_of, room, 2) == [(1, "found"), (2, "found")]
