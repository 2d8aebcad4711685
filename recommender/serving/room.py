"""What a list has room for: caps on the articles of one section or author, and the most that they admit."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

Cap = tuple[np.ndarray, int]  # of each row the code of its group, -1 for none; how many of one group
Found = TypeVar("Found")


class Room:
    """The articles that may still stand in a list, as a mask over the rows; it changes the mask.

    Up to two caps act. An article without a group is under no cap.
    """

    def __init__(self, mask: np.ndarray, caps: Sequence[Cap]) -> None:
        self.mask = mask
        self._caps = caps
        self._taken: list[Counter[int]] = [Counter() for _ in caps]

    def copy(self) -> "Room":
        """Return the same room, to try something in."""
        room = Room(self.mask.copy(), self._caps)
        room._taken = [Counter(taken) for taken in self._taken]
        return room

    def take(self, row: int) -> None:
        """Give a place to the article of a row, even where a cap would not."""
        self.mask[row] = False
        for (codes, at_most), taken in zip(self._caps, self._taken, strict=True):
            code = int(codes[row])
            taken[code] += 1
            if code >= 0 and taken[code] >= at_most:
                self.mask[codes == code] = False

    def close(self, row: int) -> None:
        """Take out all articles that are to the caps what the article of a row is."""
        self.mask[np.logical_and.reduce([codes == codes[row] for codes, _ in self._caps])] = False

    def most(self) -> int:
        """Return how many more articles the list can hold, whichever they are."""
        rows = np.flatnonzero(self.mask)
        if not self._caps:
            return len(rows)
        groups = [codes[rows].astype(np.int64) for codes, _ in self._caps]
        if len(groups) == 1:
            names, counts = (found.tolist() for found in np.unique(groups[0], return_counts=True))
            left = self._left(0, names)
            return sum(min(count, left[name]) for name, count in zip(names, counts, strict=True))
        width = int(groups[1].max(initial=0)) + 2
        keys, counts = np.unique((groups[0] + 1) * width + groups[1] + 1, return_counts=True)
        ones, others = (keys // width - 1).tolist(), (keys % width - 1).tolist()
        pairs = dict(zip(zip(ones, others, strict=True), counts.tolist(), strict=True))
        return _Flow(pairs, self._left(0, ones), self._left(1, others)).greatest()

    def _left(self, at: int, codes: Sequence[int]) -> dict[int, int]:
        """Return how many more there may be of each group."""
        at_most, taken = self._caps[at][1], self._taken[at]
        return {code: len(self.mask) if code < 0 else at_most - taken[code] for code in codes}


def fill(
    first: Callable[[np.ndarray], tuple[int, Found] | None], room: Room, limit: int
) -> list[tuple[int, Found]]:
    """Return the rows that take the places of a list, each with what it brings; `limit` is at most `most()`.

    `first` is the order: the first of the rows that a mask admits. Each place goes to the first article that
    has room, unless the list would then have fewer than `limit`.
    """
    found = _first_come(first, room.copy(), limit)
    if len(found) == limit:
        return found
    found = []
    while len(found) < limit and (next_one := first(room.mask)):
        trial = room.copy()
        trial.take(next_one[0])
        if len(found) + 1 + trial.most() < limit:
            room.close(next_one[0])  # what does not fit now will not fit later
        else:
            room = trial
            found.append(next_one)
    return found


def _first_come(
    first: Callable[[np.ndarray], tuple[int, Found] | None], room: Room, limit: int
) -> list[tuple[int, Found]]:
    found: list[tuple[int, Found]] = []
    while len(found) < limit and (next_one := first(room.mask)):
        room.take(next_one[0])
        found.append(next_one)
    return found


class _Flow:
    """The greatest flow through pairs of groups, by the shortest augmenting paths (Edmonds and Karp 1972).

    `left` and `right` hold what may still flow through each group of either cap.
    """

    def __init__(
        self, pairs: Mapping[tuple[int, int], int], left: dict[int, int], right: dict[int, int]
    ) -> None:
        self._free = dict(pairs)  # how many articles of each pair are not in the flow
        self._used = dict.fromkeys(pairs, 0)
        self._left, self._right = left, right
        self._rights: dict[int, list[int]] = {group: [] for group in left}
        self._lefts: dict[int, list[int]] = {group: [] for group in right}
        for one, other in pairs:
            self._rights[one].append(other)
            self._lefts[other].append(one)

    def greatest(self) -> int:
        """Return how much flows at most."""
        total = sum(self._widen([pair], []) for pair in self._free)
        while path := self._path():
            total += self._widen(*path)
        return total

    def _path(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
        """Return the pairs through which more could flow, and those through which less would."""
        came: dict[int, tuple[int, int] | None] = {group: None for group, left in self._left.items() if left}
        seen: set[int] = set()
        queue = deque(came)
        while queue:
            one = queue.popleft()
            for other in self._rights[one]:
                if other in seen or not self._free[one, other]:
                    continue
                seen.add(other)
                if self._right[other]:
                    return self._steps(came, (one, other))
                for back in self._lefts[other]:
                    if back not in came and self._used[back, other]:
                        came[back] = (one, other)
                        queue.append(back)
        return None

    def _steps(
        self, came: Mapping[int, tuple[int, int] | None], last: tuple[int, int]
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        more, less = [last], list[tuple[int, int]]()
        while before := came[more[0][0]]:
            less.insert(0, (more[0][0], before[1]))
            more.insert(0, before)
        return more, less

    def _widen(self, more: list[tuple[int, int]], less: list[tuple[int, int]]) -> int:
        """Let as much flow along a path as can."""
        start, end = more[0][0], more[-1][1]
        amount = min(
            self._left[start],
            self._right[end],
            *(self._free[pair] for pair in more),
            *(self._used[pair] for pair in less),
        )
        for sign, pairs in ((1, more), (-1, less)):
            for pair in pairs:
                self._free[pair] -= sign * amount
                self._used[pair] += sign * amount
        self._left[start] -= amount
        self._right[end] -= amount
        return amount
