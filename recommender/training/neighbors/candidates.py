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
    Bools,
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

    def offer(
        self,
        scores: np.ndarray,
        rows: np.ndarray,
        start: int,
        *,
        both_ways: bool = True,
        earlier: bool = False,
        below: float = float("inf"),
        closed: np.ndarray | None = None,
    ) -> None:
        """Offer articles to each other; `scores` is (rows, columns), with columns from article `start` on.

        The rows are offered to all columns, or to `earlier` articles only, and `both_ways` the columns to the
        rows, unless they are as similar as `below`. Columns that are `closed`, (n,) bool, are offered
        nothing. Threads may call this at once if no article is offered anything by two of them.
        """
        closed = np.zeros(len(self.rows), dtype=bool) if closed is None else closed
        _offer(
            scores, rows, start, both_ways, earlier, np.float32(below), closed, self.rows, self.similarity,
            self.counts, self.floors, self.hubs, self.keep,
        )  # fmt: skip

    def offer_lists(self, lists: CandidateLists, threads: int) -> None:
        """Offer candidates that were collected elsewhere, from the same first floors or higher ones."""
        self.floors[lists.rows] = np.maximum(self.floors[lists.rows], lists.floors)
        arrays = lists.rows, lists.offsets, lists.candidates, lists.similarity
        self._in_parts(_offer_lists, len(lists.rows), threads, *arrays)

    def lists(self, rows: np.ndarray) -> CandidateLists:
        """Return all candidates, once they are settled; `rows` are the numbers of the articles elsewhere."""
        is_used = np.arange(self.rows.shape[1]) < self.counts[:, None]
        offsets = np.concatenate([[0], np.cumsum(self.counts)])
        candidates = rows[self.rows[is_used]].astype(np.int32)
        return CandidateLists(rows, self.floors, offsets, candidates, self.similarity[is_used])

    def settle(self, threads: int) -> None:
        """Reduce all candidates to the `keep` best, in row order; of equal ones, the lowest rows stay."""
        self._in_parts(_choose_all, len(self.rows), threads)

        def order(start: int, end: int) -> None:
            rows, similarity = self.rows[start:end], self.similarity[start:end]
            # A row and its similarity are sorted as one number; places without a row come last.
            pairs = rows.astype(np.uint32).astype(np.uint64) << np.uint64(32) | similarity.view(np.uint32)
            pairs.sort(axis=1)
            rows[:] = (pairs >> np.uint64(32)).astype(np.uint32).view(np.int32)
            similarity[:] = (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.float32)

        list(run_ranges(order, len(self.rows), threads, ranges_per_thread=32))

    def _in_parts(self, work: Callable[..., None], n: int, threads: int, *arguments: object) -> None:
        own = self.rows, self.similarity, self.counts, self.floors, self.hubs, self.keep

        def part(start: int, end: int) -> None:
            work(*arguments, start, end, *own)

        list(run_ranges(part, n, threads))


@kernel
def _offer(
    scores: Float32Rows,
    lines: Int64s,
    start: int,
    both_ways: bool,  # noqa: FBT001 a kernel has no keywords
    earlier: bool,  # noqa: FBT001
    below: np.float32,
    closed: Bools,
    rows: OutInt32Rows,
    similarity: OutFloat32Rows,
    counts: OutInt64s,
    floors: OutFloat32s,
    hubs: Float32s,
    keep: int,
) -> None:
    """Offer the lines to the columns, and perhaps the columns to the lines."""
    width, room = scores.shape[1], rows.shape[1]
    own_floors, own_hubs = floors[start : start + width], hubs[start : start + width]
    # Compared on vector units, and looked at eight at a time, because few are candidates.
    to_line, to_column = np.zeros((2, -(-width // 8) * 8), dtype=np.uint8)
    found = np.empty(width + 9, dtype=np.int64)
    for line in range(len(lines)):
        own, of_line = lines[line], scores[line]
        hub, floor = hubs[own], floors[own] if both_ways else np.float32(np.inf)
        for column in range(width):
            score = of_line[column]
            to_line[column] = score - own_hubs[column] >= floor
            to_column[column] = score - hub >= own_floors[column]
        last = max(0, min(width, own - start)) if earlier else width
        # `_store` is written out in both loops: called here, it takes four times as long.
        for at in range(_places(to_line, last, found)):
            candidate, score = start + found[at], of_line[found[at]]
            if candidate != own and score < below and score - hubs[candidate] >= floors[own]:
                count = counts[own]
                rows[own, count], similarity[own, count] = candidate, score
                counts[own] = count + 1
                if count + 1 == room:
                    _choose(own, rows, similarity, counts, floors, hubs, keep)
        for at in range(_places(to_column, last, found)):
            candidate, score = start + found[at], of_line[found[at]]
            if candidate != own and score < below and not closed[candidate]:
                count = counts[candidate]
                rows[candidate, count], similarity[candidate, count] = own, score
                counts[candidate] = count + 1
                if count + 1 == room:
                    _choose(candidate, rows, similarity, counts, floors, hubs, keep)


@inner
def _places(is_wanted: np.ndarray, last: int, found: np.ndarray) -> int:
    """Write the places before `last` of ones among zeros, and return their number; few are expected.

    There are no branches that depend on the numbers, because a processor cannot foresee them.
    """
    eights, some, count = is_wanted.view(np.uint64), np.uint64(0), np.uint64(0)
    for eight in range(-(-last // 8)):
        found[some] = eight
        some += np.uint64(eights[eight] != 0)
    marked = found[:some].copy()
    for at in range(len(marked)):
        for place in range(8 * marked[at], 8 * marked[at] + 8):
            found[count] = place
            count += np.uint64(is_wanted[place])
    while count > 0 and found[count - np.uint64(1)] >= last:
        count -= np.uint64(1)
    return int(count)


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
