"""What an incremental training takes from the lists of a version."""

from dataclasses import replace

import numpy as np

from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.kept import KeptLists, StoredCandidates, _Merged

N = 5
BEFORE = Corrections(
    nearest=np.array([1, 0, 1, 2, -1], dtype=np.int32),
    feedback=np.array([0.5, 0.5, 0.4, 0.3, 0], dtype=np.float32),
    hubs=np.zeros(N, dtype=np.float32),
    expansion_rows=np.array([[1], [0], [1], [2], [0]], dtype=np.int32),
    expansion_weights=np.array([[0.5], [0.5], [0.4], [0.3], [0]], dtype=np.float32),
)
FIRST = np.arange(N, dtype=np.int32)


def kept(row_of: list[int] | None = None) -> KeptLists:
    nothing = np.zeros(0, dtype=np.int32)
    zeros = np.zeros(N, dtype=np.float32)
    stored = StoredCandidates(np.zeros(N + 1, dtype=np.int64), nothing, zeros[:0], zeros, zeros)
    neighbors = Neighbors(np.zeros((N, 1), dtype=np.int32), np.zeros((N, 1), dtype=np.float32))
    rows = np.array(range(N) if row_of is None else row_of)
    return KeptLists(stored, neighbors, BEFORE, NearDuplicates(FIRST), rows, 0.0, [], 0.5)


def differences(of: KeptLists, now: Corrections, first: np.ndarray = FIRST) -> tuple[list[int], list[int]]:
    candidates, queries = of._differences(now, first)
    return np.flatnonzero(candidates).tolist(), np.flatnonzero(queries).tolist()


def test_nothing_differs_if_nothing_has_changed() -> None:
    assert differences(kept(), BEFORE) == ([], [])


def test_an_article_and_those_that_it_expands_differ_with_its_penalty() -> None:
    hubs = np.array([0, 0, 0.1, 0, 0], dtype=np.float32)

    assert differences(kept(), replace(BEFORE, hubs=hubs)) == ([2, 3], [])


def test_articles_differ_with_their_copies() -> None:
    first = np.array([0, 1, 2, 2, 4], dtype=np.int32)

    assert differences(kept(), BEFORE, first) == ([3], [3])
    assert differences(kept(), BEFORE, np.array([0, 1, 1, 3, 4], dtype=np.int32)) == ([2, 3], [2])


def test_an_article_differs_with_its_expansion_and_a_query_with_its_feedback() -> None:
    weights = BEFORE.expansion_weights.copy()
    weights[1] = 0.7
    feedback = BEFORE.feedback.copy()
    feedback[3] = 0.7
    nearest = BEFORE.nearest.copy()
    nearest[2] = 0

    assert differences(kept(), replace(BEFORE, expansion_weights=weights)) == ([1], [])
    assert differences(kept(), replace(BEFORE, feedback=feedback)) == ([], [3])
    assert differences(kept(), replace(BEFORE, nearest=nearest)) == ([], [2])


def test_what_depended_on_a_changed_article_differs() -> None:
    assert differences(kept([0, 1, -1, 3, 4]), BEFORE) == ([2, 3], [2, 3])


def test_only_candidates_above_the_floor_are_stored() -> None:
    hubs = np.array([0, 0.25, 0, 0], dtype=np.float32)
    best = Candidates.empty(hubs, keep=2)
    scores = np.array([[1, 0.5, 0.5, 0.25], [0.5, 1, 0.5, 0.5]], dtype=np.float32)
    best.offer(scores, np.array([0, 1]), 0, closed=np.ones(len(hubs), dtype=bool))
    best.settle(threads=1)

    stored = StoredCandidates.of(best)

    # Article 0 has room for 2 and 1 or 3, whose scores are equal; so 3 might be missing, and 1 is left out.
    assert stored.rows[: stored.offsets[1]].tolist() == [2]
    assert 0.25 < stored.floors[0] < 0.2501
    # Of the three equal candidates of article 1, none is certain.
    assert stored.offsets.tolist() == [0, 1, 1, 1, 1]
    assert stored.floors[2] == -np.inf


def test_a_list_is_made_again_if_an_article_that_is_not_in_it_may_come_before_its_last() -> None:
    rows = np.full((N, 2), 1, dtype=np.int32)
    rows[0] = [NO_ROW, 3]  # the score of the first may differ
    scores = np.full((N, 2), 0.5, dtype=np.float32)

    def made_again(row: int, score: float) -> list[int]:
        added = [(np.array([0]), np.array([row]), np.array([score], dtype=np.float32))]
        merged = _Merged(rows, scores, scores[:, 1], rows[:, 1], np.zeros(N, dtype=bool), added)
        lists, _, again = merged.result()
        assert again.tolist() == [0] or sorted(lists[0].tolist()) == sorted([row, 3])
        return list(again.tolist())

    assert made_again(4, 0.6) == made_again(2, 0.5) == []
    assert made_again(4, 0.5) == made_again(2, 0.4) == [0]
