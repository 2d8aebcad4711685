"""What a list has room for: caps on the articles of one section or author, and the most that they admit."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np

Found = TypeVar("Found")


class Caps:
    """Up to two caps on the articles of an edition, each on those of one group; no group is under no cap."""

    def __init__(self, codes: Sequence[np.ndarray] = (), at_most: Sequence[int] = ()) -> None:
        self.groups = [each.astype(np.int64) + 1 for each in codes]  # of each row its group, 0 for none
        self.at_most = list(at_most)

    def __bool__(self) -> bool:
        """Return whether there is any cap."""
        return bool(self.at_most)

    def capacity(self, cap: int, taken: Mapping[int, int]) -> np.ndarray:
        """Return how many more there may be of each group of a cap, (groups,) int64."""
        groups = self.groups[cap]
        capacity = np.full(int(groups.max(initial=0)) + 1, self.at_most[cap], dtype=np.int64)
        for group, count in taken.items():
            capacity[group] -= count
        capacity[0] = len(groups)
        return np.maximum(capacity, 0)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Under two caps of each row its pair of groups, (n,), and of each pair both groups, (pairs,) each.

        Pairs are ordered by the group of the first cap.
        """
        one, other = self.groups
        width = int(other.max(initial=0)) + 1
        keys, pair_of = np.unique(one * width + other, return_inverse=True)
        return pair_of, keys // width, keys % width


class CapCounter:
    """The articles that may still stand in a list, as a mask over the rows; it changes the mask."""

    def __init__(self, mask: np.ndarray, caps: Caps) -> None:
        self.mask = mask
        self._caps = caps
        self._taken: list[Counter[int]] = [Counter() for _ in caps.at_most]

    def copy(self) -> "CapCounter":
        """Return the same room, to try something in."""
        room = CapCounter(self.mask.copy(), self._caps)
        room._taken = [Counter(taken) for taken in self._taken]
        return room

    def take(self, row: int) -> None:
        """Give a place to the article of a row, even where a cap would not."""
        self.mask[row] = False
        for groups, at_most, taken in zip(self._caps.groups, self._caps.at_most, self._taken, strict=True):
            group = int(groups[row])
            taken[group] += 1
            if group and taken[group] >= at_most:
                self.mask[groups == group] = False

    def close(self, row: int) -> None:
        """Take out all articles that are to the caps what the article of a row is."""
        self.mask[np.logical_and.reduce([groups == groups[row] for groups in self._caps.groups])] = False

    def most(self) -> int:
        """Return how many more articles the list can hold, whichever they are."""
        if not self._caps:
            return int(np.count_nonzero(self.mask))
        capacities = [self._caps.capacity(cap, taken) for cap, taken in enumerate(self._taken)]
        if len(capacities) == 1:
            counts = np.bincount(self._caps.groups[0][self.mask], minlength=len(capacities[0]))
            return int(np.minimum(counts, capacities[0]).sum())
        pair_of, ones, others = self._caps.pairs
        counts = np.bincount(pair_of[self.mask], minlength=len(ones))
        there = np.flatnonzero(counts)
        return _most_of_both(ones[there], others[there], counts[there], *capacities)


def fill(
    first: Callable[[np.ndarray], tuple[int, Found] | None], room: CapCounter, limit: int
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
    first: Callable[[np.ndarray], tuple[int, Found] | None], room: CapCounter, limit: int
) -> list[tuple[int, Found]]:
    found: list[tuple[int, Found]] = []
    while len(found) < limit and (next_one := first(room.mask)):
        room.take(next_one[0])
        found.append(next_one)
    return found


def _most_of_both(
    ones: np.ndarray, others: np.ndarray, counts: np.ndarray, left: np.ndarray, right: np.ndarray
) -> int:
    """Return how many articles of the pairs, ordered by their first group, both capacities admit."""
    bounds = (
        np.minimum(np.bincount(ones, counts, len(left)), left).sum(),
        np.minimum(np.bincount(others, counts, len(right)), right).sum(),
    )
    flow = _Flow(ones, others, counts, left, right)
    return flow.total if flow.total == min(bounds) else flow.greatest()


class _Flow:
    """What can flow through pairs of groups: first come first served, then by the shortest augmenting paths.

    Edmonds and Karp (1972). `left` and `right` are how much may flow through each group of either cap.
    """

    def __init__(
        self, ones: np.ndarray, others: np.ndarray, counts: np.ndarray, left: np.ndarray, right: np.ndarray
    ) -> None:
        self._ones, self._others, self._counts = ones, others, counts
        self._left, self._right = left.tolist(), right.tolist()
        self._used: dict[tuple[int, int], int] = {}
        self.total = 0
        starts = np.flatnonzero(np.diff(ones, prepend=-1)).tolist()
        for start, end in pairwise([*starts, len(ones)]):
            self._serve(int(ones[start]), start, end)

    def _serve(self, one: int, start: int, end: int) -> None:
        """Let flow through one group of the first cap what can, by the pairs from start to end."""
        for at in range(start, end):
            if not self._left[one]:
                return
            other = int(self._others[at])
            amount = min(int(self._counts[at]), self._left[one], self._right[other])
            if amount:
                self._used[one, other] = amount
                self._left[one] -= amount
                self._right[other] -= amount
                self.total += amount

    def greatest(self) -> int:
        """Return how much flows at most."""
        pairs = list(zip(self._ones.tolist(), self._others.tolist(), strict=True))
        self._used = dict.fromkeys(pairs, 0) | self._used
        free = zip(pairs, self._counts.tolist(), strict=True)
        self._free = {pair: count - self._used[pair] for pair, count in free}
        self._rights: dict[int, list[int]] = {}
        self._lefts: dict[int, list[int]] = {}
        for one, other in pairs:
            self._rights.setdefault(one, []).append(other)
            self._lefts.setdefault(other, []).append(one)
        while path := self._path():
            self.total += self._widen(*path)
        return self.total

    def _path(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
        """Return the pairs through which more could flow, and those through which less would."""
        came: dict[int, tuple[int, int] | None] = {one: None for one in self._rights if self._left[one]}
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
        amount: int = min(
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
