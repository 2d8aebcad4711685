"""Nearest neighbours: the best rows out of scores, and the lists computed at training."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NO_ROW = -1


@dataclass(frozen=True)
class Neighbors:
    """The k most similar articles of every article, best first; equal scores in row order.

    Rows with fewer than k others are filled up with row -1, score 0.
    """

    rows: np.ndarray  # (n, k) int32
    scores: np.ndarray  # (n, k) float32

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and the scores of one article's neighbours, without the filling."""
        filled = int(np.count_nonzero(self.rows[row] != NO_ROW))
        return self.rows[row, :filled], self.scores[row, :filled]


@dataclass(frozen=True)
class Corrections:
    """What a score is besides likeness: neighbour feedback, and what keeps a few from standing in all lists.

    The vector of an article, as a query, is moved towards its nearest neighbour's; from every score the hub
    of the article that is scored is taken off.
    """

    nearest: np.ndarray  # (n,) int32, the nearest article that is no copy, NO_ROW for none
    feedback: np.ndarray  # (n,) float32, how much its vector weighs beside the own, which weighs 1
    hubs: np.ndarray  # (n,) float32, by how much an article is set back that is near to many, at least 0

    @classmethod
    def none(cls, n: int) -> "Corrections":
        """Return what leaves the scores of n articles as they are."""
        none = np.zeros(n, dtype=np.float32)
        return cls(np.full(n, NO_ROW, dtype=np.int32), none, none)


@dataclass(frozen=True)
class Copies:
    """Which articles are near-duplicates of each other: wire copies, republished and corrected bodies."""

    first: np.ndarray  # (n,) int32, the lowest row among an article's copies; its own where it has none

    @cached_property
    def grouped(self) -> np.ndarray:
        """The rows that have copies, (m,) int64, those of a group together and ascending."""
        rows = np.flatnonzero(np.bincount(self.first)[self.first] > 1)
        return rows[np.argsort(self.first[rows], kind="stable")]

    def of(self, row: int) -> list[int]:
        """Return the copies of a row, ascending, without itself."""
        own = self.first[row]
        start, end = np.searchsorted(self._groups, [own, own + 1])
        return [copy for copy in self.grouped[start:end].tolist() if copy != row]

    def with_all(self, rows: Iterable[int]) -> list[int]:
        """Return the rows, each followed by its copies."""
        return [each for row in rows for each in (row, *self.of(row))]

    @cached_property
    def _groups(self) -> np.ndarray:
        return np.asarray(self.first[self.grouped])


def top_k(scores: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
    """Return the k rows that score highest, best first; equal scores come in row order.

    `scores` is (n,); `among` is an ascending array of rows, all by default. Fewer come back when fewer exist.
    """
    rows = np.arange(len(scores)) if among is None else among
    candidates = scores[rows]
    if k <= 0:
        return rows[:0]
    if k < len(rows):
        # Every row at the k-th score stays in, so that a stable sort can keep ties in row order.
        at_least = np.partition(candidates, len(rows) - k)[len(rows) - k]
        inside = candidates >= at_least
        rows, candidates = rows[inside], candidates[inside]
    return rows[np.argsort(-candidates, kind="stable")[:k]]
