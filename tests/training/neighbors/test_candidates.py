"""The candidates of every article equal the first ones of a sort of all scores."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.neighbors import NO_ROW
from recommender.training.neighbors.candidates import Candidates
from tests.support.laws import examples


@dataclass(frozen=True)
class Offered:
    """Similarities of all pairs, on so coarse a grid that many are equal, and what is subtracted."""

    similarity: np.ndarray  # (n, n) float32, symmetric
    hubs: np.ndarray
    floors: np.ndarray | None


@st.composite
def offered(draw: st.DrawFn) -> Offered:
    n, values = draw(st.integers(1, 70)), draw(st.integers(1, 40))
    numbers = np.random.default_rng(draw(st.integers(0, 1000)))
    similarity = np.triu(numbers.integers(0, values, (n, n)).astype(np.float32) / 64)
    floors = numbers.choice(np.array([-np.inf, 0.25, 0.5, 2], dtype=np.float32), n)
    hubs = numbers.integers(0, 4, n).astype(np.float32) / 64
    return Offered(np.maximum(similarity, similarity.T), hubs, draw(st.sampled_from([None, floors])))


def best_of(given: Offered, row: int, keep: int, below: float = np.inf) -> list[tuple[int, float]]:
    """Return the best candidates of a row, and their similarity, by row: what a sort of all scores gives."""
    scores = given.similarity[row] - given.hubs
    floor = -np.inf if given.floors is None else given.floors[row]
    allowed = [
        other
        for other in np.argsort(-scores, kind="stable").tolist()
        if other != row and scores[other] >= floor and given.similarity[row, other] < below
    ]
    return sorted((other, float(given.similarity[row, other])) for other in allowed[:keep])


def stored(best: Candidates, row: int) -> list[tuple[int, float]]:
    count = int(best.counts[row])
    assert (best.rows[row, count:] == NO_ROW).all()
    return sorted(zip(best.rows[row, :count].tolist(), best.similarity[row, :count].tolist(), strict=True))


def offer_in_blocks(best: Candidates, similarity: np.ndarray, step: int, tile: int) -> None:
    """Offer all pairs, a few rows at a time against tiles of those before them."""
    for start in range(0, len(similarity), step):
        rows = np.arange(start, min(start + step, len(similarity)))
        for first in range(0, rows[-1] + 1, tile):
            scores = np.ascontiguousarray(similarity[rows, first : first + tile])
            best.offer(scores, rows, first, earlier=True)
    best.settle(threads=2)


@given(offered(), st.integers(1, 12), st.integers(1, 20), st.integers(1, 40), st.integers(1, 80))
@settings(deadline=None, max_examples=examples(100))
def test_the_best_candidates_of_all_pairs_stay(
    given: Offered, keep: int, spare: int, step: int, tile: int
) -> None:
    best = Candidates.empty(given.hubs, keep, given.floors, room=keep + spare)

    offer_in_blocks(best, given.similarity, step, tile)

    for row in range(len(given.similarity)):
        assert stored(best, row) == best_of(given, row, keep)
        others = [at for at in range(len(given.similarity)) if at not in {row, *best.rows[row].tolist()}]
        assert ((given.similarity[row] - given.hubs)[others] <= best.floors[row]).all()


@given(offered(), st.integers(1, 12), st.sampled_from([0.1, 0.3, 0.7]))
@settings(deadline=None, max_examples=examples(50))
def test_rows_that_are_too_similar_are_not_offered(given: Offered, keep: int, below: float) -> None:
    n = len(given.similarity)
    best = Candidates.empty(given.hubs, keep, given.floors)

    best.offer(given.similarity, np.arange(n), 0, both_ways=False, below=below)
    best.settle(2)

    for row in range(n):
        assert stored(best, row) == best_of(given, row, keep, below)


@given(offered(), st.integers(1, 12), st.data())
@settings(deadline=None, max_examples=examples(50))
def test_a_pair_of_closed_articles_is_offered_once_from_each_side(
    given: Offered, keep: int, data: st.DataObject
) -> None:
    n = len(given.similarity)
    closed = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    rows = np.flatnonzero(closed)
    best = Candidates.empty(given.hubs, keep, given.floors)

    best.offer(given.similarity[rows], rows, 0, closed=closed)
    best.settle(2)

    among = np.where(closed[:, None] | closed, given.similarity, -np.inf).astype(np.float32)
    for row in range(n):
        expected = [
            each for each in best_of(replace(given, similarity=among), row, keep) if each[1] > -np.inf
        ]
        assert stored(best, row) == expected


@pytest.mark.parametrize("step", [1, -1])
def test_of_equal_scores_the_lowest_rows_stay_in_any_order_of_offers(step: int) -> None:
    n, keep = 100, 7
    equal, rows = np.full((1, n), 0.5, dtype=np.float32), np.arange(n)
    best = Candidates.empty(np.zeros(n, dtype=np.float32), keep)

    for row in rows[::step]:
        best.offer(equal, np.array([row]), 0, both_ways=False)
    best.settle(1)

    for row in rows.tolist():
        expected = [other for other in range(keep + 1) if other != row][:keep]
        assert stored(best, row) == [(other, 0.5) for other in expected]
        assert best.floors[row] == 0.5


def test_a_floor_rises_only_when_there_is_no_more_room() -> None:
    scores = np.array([[0, 0.25, 0.5, 0.75]], dtype=np.float32)
    best = Candidates.empty(np.zeros(4, dtype=np.float32), keep=2, room=4)

    best.offer(scores, np.array([0]), 0, closed=np.ones(4, dtype=bool))

    assert stored(best, 0) == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert best.floors[0] == -np.inf
    best.settle(1)
    assert stored(best, 0) == [(2, 0.5), (3, 0.75)]
    assert best.floors[0] == 0.5
