"""Caps: how many articles of one category, or by one author, a list may contain.

Caps are applied in one pass over the whole list, in the order in which it is filled. An article is skipped if
its category or its author has no place left, even if skipping another article instead would make the list
longer. So the result is easy to explain: read the list from top to bottom and count. With one cap it is the
longest possible list; with two caps it may not be. `eligible` is the length of the list that this pass gives
without a limit. An article counts towards its primary category and its first author.
"""

from collections.abc import Sequence

import numpy as np

_FIRST_BLOCK = 2048  # entries of a list under two caps


class Caps:
    """The caps on the articles of a snapshot, at most two.

    Each cap divides the rows into groups, such as categories. A row without a group is never capped.
    """

    def __init__(self, codes: Sequence[np.ndarray] = (), at_most: Sequence[int] = ()) -> None:
        # For each cap the group of each row, (n,) int64; codes below 0 become the group 0, which is no group.
        self.groups = [column.astype(np.int64) + 1 for column in codes]
        self.at_most = list(at_most)

    def __bool__(self) -> bool:
        """Return whether there is any cap."""
        return bool(self.at_most)

    def admitted(self, rows: np.ndarray, pins: Sequence[int] = ()) -> np.ndarray:
        """Return which of the rows, (m,) bool, a list without a limit contains after its pins.

        The rows are distinct and in the order of the list. One pass over them skips each article for which a
        cap is full. Pins count, but are never skipped.
        """
        columns = [groups[rows] for groups in self.groups]
        remaining = [self._remaining(cap, pins) for cap in range(len(columns))]
        if len(columns) == 1:  # the position in its group decides, so no pass is needed
            admitted: np.ndarray = _ranks_in_groups(columns[0]) < remaining[0][columns[0]]
            return admitted
        return _walk(columns, remaining)

    def _remaining(self, cap: int, pins: Sequence[int]) -> np.ndarray:
        """Return how many articles of each group of a cap may join the pins, (groups,) int64."""
        groups = self.groups[cap]
        remaining = np.full(int(groups.max(initial=0)) + 1, self.at_most[cap], dtype=np.int64)
        np.subtract.at(remaining, groups[list(pins)], 1)
        remaining[0] = len(groups)
        return np.maximum(remaining, 0)


def _walk(columns: Sequence[np.ndarray], remaining: Sequence[np.ndarray]) -> np.ndarray:
    """Return which entries, (m,) bool, one pass admits under both caps."""
    first, second = columns
    admitted = np.zeros(len(first), dtype=bool)
    start, size = 0, _FIRST_BLOCK
    while start < len(first):
        # Groups fill up early, so most of the later entries are dropped before the loop.
        block = slice(start, start + size)
        is_open = (remaining[0][first[block]] > 0) & (remaining[1][second[block]] > 0)
        entries = start + np.flatnonzero(is_open)
        left, right = (counts.tolist() for counts in remaining)  # plain integers are faster in a loop
        for entry, a, b in zip(
            entries.tolist(), first[entries].tolist(), second[entries].tolist(), strict=True
        ):
            if left[a] and right[b]:
                left[a] -= 1
                right[b] -= 1
                admitted[entry] = True
        remaining = np.array(left), np.array(right)
        start, size = start + size, 2 * size
    return admitted


def _ranks_in_groups(groups: np.ndarray) -> np.ndarray:
    """Return how many entries before each have the same group, (m,) int64."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.searchsorted(ordered, ordered)
    return ranks
