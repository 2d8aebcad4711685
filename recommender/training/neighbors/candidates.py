"""The best candidates of every article for its list, collected while the pairs are scored.

Each article has a floor: a candidate's score is at least as high. The first floor is estimated from a sample
of the articles, so that few others have to be stored. If there is no more room for an article's candidates,
the best `keep` stay, and the lowest of these becomes the floor.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recommender.neighbors import NO_ROW
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32s,
    Int64s,
    OutFloat32Rows,
    OutFloat32s,
    OutInt32Rows,
    OutInt64s,
    inner,
    kernel,
    run_ranges,
)

_ROOM = 1.5  # times `keep`: how many candidates are stored before the best are chosen


@dataclass(frozen=True)
class CandidateLists:
    """The settled candidates of some articles, without empty places."""

    rows: np.ndarray  # (m,) int64, the articles
    floors: np.ndarray  # (m,) float32
    offsets: np.ndarray  # (m + 1,) int64; article i has candidates offsets[i]:offsets[i + 1]
    candidates: np.ndarray  # int32
    similarity: np.ndarray  # float32


@dataclass(frozen=True)
class Candidates:
    """The candidates of every article; a score is the similarity minus the candidate's hubness penalty."""

    keep: int
    rows: np.ndarray  # (n, room) int32; the first counts[i] are used
    similarity: np.ndarray  # (n, room) float32
    counts: np.ndarray  # (n,) int64
    floors: np.ndarray  # (n,) float32; no other article has a higher score
    hubs: np.ndarray  # (n,) float32, the hubness penalties

    @classmethod
    def empty(
        cls, hubs: np.ndarray, keep: int, floors: np.ndarray | None = None, room: int | None = None
    ) -> "Candidates":
        """Return room for the `keep` best candidates of each article, none of them below its floor."""
        n, room = len(hubs), room or int(_ROOM * keep) + 1
        lowest = np.full(n, -np.inf, dtype=np.float32)
        return cls(
            keep,
            np.full((n, room), NO_ROW, dtype=np.int32),
            np.zeros((n, room), dtype=np.float32),
            np.zeros(n, dtype=np.int64),
            lowest if floors is None else floors.astype(np.float32),
            hubs,
        )

    def offer_columns(self, scores: np.ndarray, rows: np.ndarray, threads: int) -> None:
        """Offer the articles `scores.T` of all columns to each of the rows; `scores` is (rows, columns)."""
        self._offer(_offer_columns, len(rows), threads, scores, rows)

    def offer_rows(
        self, scores: np.ndarray, rows: np.ndarray, width: int, threads: int, below: float = float("inf")
    ) -> None:
        """Offer the rows to the first `width` columns of `scores`, unless they are as similar as `below`."""
        self._offer(_offer_rows, width, threads, scores, rows, np.float32(below))

    def offer_lists(self, lists: CandidateLists, threads: int) -> None:
        """Offer candidates that were collected elsewhere, from the same first floors or higher ones."""
        self.floors[lists.rows] = np.maximum(self.floors[lists.rows], lists.floors)
        arrays = lists.rows, lists.offsets, lists.candidates, lists.similarity
        self._offer(_offer_lists, len(lists.rows), threads, *arrays)

    def lists(self, rows: np.ndarray) -> CandidateLists:
        """Return all candidates, once they are settled; `rows` are the numbers of the articles elsewhere."""
        is_used = np.arange(self.rows.shape[1]) < self.counts[:, None]
        offsets = np.concatenate([[0], np.cumsum(self.counts)])
        candidates = rows[self.rows[is_used]].astype(np.int32)
        return CandidateLists(rows, self.floors, offsets, candidates, self.similarity[is_used])

    def settle(self, threads: int) -> None:
        """Reduce all candidates to the `keep` best; of equal ones, those with the lowest rows stay."""
        self._offer(_choose_all, len(self.rows), threads)

    def _offer(self, work: Callable[..., None], n: int, threads: int, *arguments: object) -> None:
        own = self.rows, self.similarity, self.counts, self.floors, self.hubs, self.keep

        def part(start: int, end: int) -> None:
            work(*arguments, start, end, *own)

        list(run_ranges(part, n, threads))


@kernel
def _offer_columns(
    scores: Float32Rows,
    lines: Int64s,
    start: int,
    end: int,
    rows: OutInt32Rows,
    similarity: OutFloat32Rows,
    counts: OutInt64s,
    floors: OutFloat32s,
    hubs: Float32s,
    keep: int,
) -> None:
    """Offer every column to the lines start..end."""
    width = scores.shape[1]
    for line in range(start, end):
        own = lines[line]
        floor = floors[own]
        for chunk in range(0, width, 32):  # compared on vector units; few chunks have a candidate
            beyond = min(chunk + 32, width)
            hits = 0
            for column in range(chunk, beyond):
                hits += scores[line, column] - hubs[column] >= floor
            if hits == 0:
                continue
            for column in range(chunk, beyond):
                if scores[line, column] - hubs[column] >= floor and column != own:
                    _store(column, scores[line, column], own, rows, similarity, counts, floors, hubs, keep)
                    floor = floors[own]


@kernel
def _offer_rows(
    scores: Float32Rows,
    lines: Int64s,
    below: np.float32,
    start: int,
    end: int,
    rows: OutInt32Rows,
    similarity: OutFloat32Rows,
    counts: OutInt64s,
    floors: OutFloat32s,
    hubs: Float32s,
    keep: int,
) -> None:
    """Offer every line to the columns start..end."""
    for line in range(len(lines)):
        candidate = lines[line]
        hub = hubs[candidate]
        for chunk in range(start, end, 32):
            beyond = min(chunk + 32, end)
            hits = 0
            for column in range(chunk, beyond):
                hits += scores[line, column] - hub >= floors[column]
            if hits == 0:
                continue
            for column in range(chunk, beyond):
                score = scores[line, column]
                if score - hub >= floors[column] and column != candidate and score < below:
                    _store(candidate, score, column, rows, similarity, counts, floors, hubs, keep)


@kernel
def _offer_lists(
    lines: Int64s,
    offsets: Int64s,
    candidates: Int32s,
    scores: Float32s,
    start: int,
    end: int,
    rows: OutInt32Rows,
    similarity: OutFloat32Rows,
    counts: OutInt64s,
    floors: OutFloat32s,
    hubs: Float32s,
    keep: int,
) -> None:
    """Offer their lists of candidates to the lines start..end."""
    for line in range(start, end):
        own = lines[line]
        for at in range(offsets[line], offsets[line + 1]):
            candidate = candidates[at]
            if scores[at] - hubs[candidate] >= floors[own]:
                _store(candidate, scores[at], own, rows, similarity, counts, floors, hubs, keep)


@kernel
def _choose_all(
    start: int,
    end: int,
    rows: OutInt32Rows,
    similarity: OutFloat32Rows,
    counts: OutInt64s,
    floors: OutFloat32s,
    hubs: Float32s,
    keep: int,
) -> None:
    for own in range(start, end):
        if counts[own] > keep:
            _choose(own, rows, similarity, counts, floors, hubs, keep)


@inner
def _store(
    candidate: int,
    score: float,
    own: int,
    rows: np.ndarray,
    similarity: np.ndarray,
    counts: np.ndarray,
    floors: np.ndarray,
    hubs: np.ndarray,
    keep: int,
) -> None:
    """Store a candidate of an article; if there is no more room, only the best candidates stay."""
    count = counts[own]
    rows[own, count], similarity[own, count] = candidate, score
    counts[own] = count + 1
    if count + 1 == rows.shape[1]:
        _choose(own, rows, similarity, counts, floors, hubs, keep)


@inner
def _choose(
    own: int,
    rows: np.ndarray,
    similarity: np.ndarray,
    counts: np.ndarray,
    floors: np.ndarray,
    hubs: np.ndarray,
    keep: int,
) -> None:
    """Keep the best candidates of an article; the score of the last one becomes the floor."""
    count = counts[own]
    scores = np.empty(count, dtype=np.float32)
    for at in range(count):
        scores[at] = similarity[own, at] - hubs[rows[own, at]]
    floor = largest(scores.copy(), keep)
    above = 0
    for at in range(count):
        above += scores[at] > floor
    # Among those with the score of the floor, the lowest rows stay.
    equal = np.empty(count, dtype=np.int32)
    size = 0
    for at in range(count):
        if scores[at] == floor:
            equal[size] = -rows[own, at]
            size += 1
    last = -largest(equal[:size].copy(), keep - above)
    out = 0
    for at in range(count):
        if scores[at] > floor or (scores[at] == floor and rows[own, at] <= last):
            rows[own, out], similarity[own, out] = rows[own, at], similarity[own, at]
            out += 1
    rows[own, out:count] = -1
    counts[own] = out
    floors[own] = floor


@inner
def largest(values: np.ndarray, k: int) -> float:
    """Return the k-th largest value, k from 1; the values are reordered (Hoare's selection)."""
    low, high, place = 0, len(values) - 1, k - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if place <= right:
            high = right
        elif place >= left:
            low = left
        else:
            break
    return values[place]  # type: ignore[no-any-return]  # compiled
