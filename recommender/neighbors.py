"""Nearest neighbours: the lists computed in training, what corrects their scores, and top-k selection."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recommender.frozen_model import FrozenModel

NO_ROW = -1
ALL = slice(None)


@dataclass(frozen=True)
class Neighbors:
    """The k most similar articles of every article, best first; equal scores in row order.

    If there are fewer than k other articles, the list is padded with row -1, score 0.
    """

    rows: np.ndarray  # (n, k) int32
    scores: np.ndarray  # (n, k) float32

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and the scores of one article's neighbours, without the padding."""
        filled = int(np.count_nonzero(self.rows[row] != NO_ROW))
        return self.rows[row, :filled], self.scores[row, :filled]


class ListFacts(FrozenModel):
    """How complete the neighbour lists are."""

    recall_at_20: float  # share of the true first 20 neighbours that they have, in a sample; 1 if exact


@dataclass(frozen=True)
class Corrections:
    """What turns a similarity into a score: feedback, the hubness correction and document expansion.

    Pseudo-relevance feedback moves the vector of a query article towards that of its nearest neighbour, as in
    Rocchio's method. The hubness correction subtracts a penalty from the score of an article that is similar
    to many others, so that a few hub articles do not appear in all lists. Document expansion replaces the
    score of an article by the weighted mean of its own score and the scores of its nearest neighbours. So an
    article is found by words that occur only in other reports on its subject (Singhal and Pereira 1999). The
    query and its copies are not used as neighbours, because each is almost identical to the query.
    """

    nearest: np.ndarray  # (n,) int32, the nearest article that is not a near-duplicate, NO_ROW for none
    feedback: np.ndarray  # (n,) float32, the weight of its vector; the article's own vector has weight 1
    hubs: np.ndarray  # (n,) float32, the hubness penalty of each article, at least 0
    expansion_rows: np.ndarray  # (n, m) int32, the m nearest articles that expand each one, 0 for none
    expansion_weights: np.ndarray  # (n, m) float32, their weights, 0 for none; the article's own weight is 1

    @classmethod
    def none(cls, n: int) -> "Corrections":
        """Return corrections that leave the scores of n articles unchanged."""
        zeros, nothing = np.zeros(n, dtype=np.float32), np.zeros((n, 0), dtype=np.float32)
        return cls(np.full(n, NO_ROW, dtype=np.int32), zeros, zeros, nothing.astype(np.int32), nothing)

    def scores(
        self, similarity: np.ndarray, hidden: Iterable[int] = (), among: slice | np.ndarray = ALL
    ) -> np.ndarray:
        """Return the scores of the articles `among` all, (m,) float32, as candidates of one query.

        `similarity` is the similarity of every article to the query after feedback, (n,). The `hidden` rows,
        those of the query's article and its copies, expand no article.
        """
        penalized = similarity.astype(np.float64) - self.hubs
        rows, weights = self.expansion_rows[among], self.expansion_weights[among].astype(np.float64)
        scores, total = penalized[among].copy(), np.ones(len(rows))
        is_hidden = np.zeros(len(penalized), dtype=bool)
        is_hidden[hidden := list(hidden)] = True
        for neighbor in range(rows.shape[1]):
            share = weights[:, neighbor]
            if hidden:
                share = np.where(is_hidden[rows[:, neighbor]], 0.0, share)
            scores += share * penalized[rows[:, neighbor]]
            total += share
        return np.asarray(scores / total, dtype=np.float32)


@dataclass(frozen=True)
class NearDuplicates:
    """The clusters of near-duplicates: wire copies, republished and corrected bodies.

    In code a near-duplicate is called a `copy`: articles of one cluster are copies of each other.
    """

    first: np.ndarray  # (n,) int32, the lowest row in an article's cluster; its own row if it has no copy

    @cached_property
    def grouped(self) -> np.ndarray:
        """The rows that have copies, (m,) int64, cluster by cluster, ascending in each."""
        rows = np.flatnonzero(np.bincount(self.first)[self.first] > 1)
        return rows[np.argsort(self.first[rows], kind="stable")]

    def of(self, row: int) -> list[int]:
        """Return the copies of a row, ascending, without itself."""
        own, groups = self._first[row], self._groups
        start = bisect_left(groups, own)
        if start == len(groups) or groups[start] != own:
            return []
        rows = self.grouped[start : bisect_right(groups, own, lo=start)].tolist()
        return [copy for copy in rows if copy != row]

    def with_all(self, rows: Iterable[int]) -> list[int]:
        """Return the rows, each followed by its copies."""
        return [member for row in rows for member in (row, *self.of(row))]

    # A list shows many articles, and indexing a memoryview is three times as fast as indexing the array.
    @cached_property
    def _first(self) -> memoryview:
        return self.first.data

    @cached_property
    def _groups(self) -> memoryview:
        return np.asarray(self.first[self.grouped]).data


def top_k(scores: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
    """Return the k rows with the highest scores, best first; equal scores in row order.

    `scores` is (n,). `among` is an ascending array of the rows to choose from; the default is all. If there
    are fewer than k rows, all are returned.
    """
    rows = np.arange(len(scores)) if among is None else among
    candidates = scores[rows]
    if k <= 0:
        return rows[:0]
    if k < len(rows):
        # Keep every row with the k-th score, so that the stable sort resolves ties by row order.
        threshold = np.partition(candidates, len(rows) - k)[len(rows) - k]
        inside = candidates >= threshold
        rows, candidates = rows[inside], candidates[inside]
    return rows[np.argsort(-candidates, kind="stable")[:k]]
