"""Scores of all pairs in tiles, so that the tile size bounds the memory, and the best candidates of each row.

Frequent terms are multiplied as dense columns together with the latent space, in one matrix product; the
others use posting lists. Scores are in single precision, accurate to about 1e-6.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import NO_ROW
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32s,
    Int64s,
    OutFloat32Rows,
    OutInt32Rows,
    OutInt32s,
    OutInt64s,
    kernel,
    run_ranges,
)

TILE = 4096  # rows; the scores of a pair of tiles take 64 MiB
MARGIN = 2e-5  # more than the error of a score in single precision
_DENSE_DF = 0.10  # a term in a larger share of articles becomes a dense column


@dataclass(frozen=True)
class Tile:
    """A range of columns, and the start and end of each term's postings in it."""

    start: int
    end: int
    starts: np.ndarray  # (n_terms,) int64
    ends: np.ndarray  # (n_terms,) int64


@dataclass(frozen=True)
class Plan:
    """The vectors arranged for scoring in tiles: dense columns, and posting lists of the other terms."""

    dense: np.ndarray  # (n, n_dense_terms + n_components) float32, times the square roots of the weights
    offsets: np.ndarray  # (n + 1,) int64
    columns: np.ndarray  # (entries,) int32, -1 for a dense term
    values: np.ndarray  # (entries,) float32, times 1 - weight
    term_offsets: np.ndarray
    term_rows: np.ndarray
    term_values: np.ndarray

    @classmethod
    def of(cls, vectors: Vectors, weight: float) -> "Plan":
        """Arrange the vectors; `weight` is the weight of the latent space."""
        n = len(vectors.offsets) - 1
        frequent = np.flatnonzero(np.diff(vectors.term_offsets) > max(_DENSE_DF * n, 256))
        dense_at = np.full(len(vectors.term_offsets) - 1, -1, dtype=np.int32)
        dense_at[frequent] = np.arange(len(frequent))
        dense = np.zeros((n, len(frequent) + vectors.latent.shape[1]), dtype=np.float32)
        dense[:, len(frequent) :] = np.sqrt(weight) * vectors.latent
        columns = vectors.columns.copy()
        _lift(vectors.offsets, columns, vectors.values, dense_at, (1 - weight) ** 0.5, dense)
        return cls(
            dense=dense,
            offsets=vectors.offsets,
            columns=columns,
            values=vectors.values * np.float32(1 - weight),
            term_offsets=vectors.term_offsets,
            term_rows=vectors.term_rows,
            term_values=vectors.term_values,
        )

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.offsets) - 1

    def tiles(self, size: int) -> Iterator[Tile]:
        """Yield the columns in ranges of `size`."""
        starts = self.term_offsets[:-1]
        for start in range(0, len(self), size):
            ends = starts.copy()
            end = min(start + size, len(self))
            _advance(self.term_offsets, self.term_rows, end, ends)
            yield Tile(start, end, starts, ends)
            starts = ends

    def scores(self, rows: np.ndarray, tile: Tile, threads: int) -> np.ndarray:
        """Return the scores of these rows against the columns of a tile, (rows, columns) float32."""
        scores = np.empty((len(rows), tile.end - tile.start), dtype=np.float32)
        columns = self.dense[tile.start : tile.end].T

        def stripe(start: int, end: int) -> None:
            np.matmul(self.dense[rows[start:end]], columns, out=scores[start:end])
            _add_sparse(
                scores, start, end, rows, tile.start, self.offsets, self.columns, self.values,
                tile.starts, tile.ends, self.term_rows, self.term_values,
            )  # fmt: skip

        list(run_ranges(stripe, len(scores), threads, ranges_per_thread=8))
        return scores


@dataclass(frozen=True)
class Best:
    """The best candidates of every row, as heaps with the worst candidate on top."""

    rows: np.ndarray  # (n, keep) int32, NO_ROW if empty
    scores: np.ndarray  # (n, keep) float32

    @classmethod
    def empty(cls, n: int, keep: int) -> "Best":
        """Return empty heaps."""
        return cls(np.full((n, keep), NO_ROW, np.int32), np.full((n, keep), -np.inf, np.float32))

    def offer(
        self,
        scores: np.ndarray,
        rows: np.ndarray,
        candidates: np.ndarray,
        penalties: np.ndarray,
        threads: int,
        below: float = float("inf"),
    ) -> None:
        """Offer candidates to rows, never a row to itself; `scores` is (rows, candidates).

        `penalties` has the value to subtract for each candidate. Scores of `below` or more are ignored.
        """

        def stripe(start: int, end: int) -> None:
            block = np.ascontiguousarray(scores[start:end])
            _offer(block, rows[start:end], candidates, penalties, below, self.rows, self.scores)

        list(run_ranges(stripe, len(scores), threads, ranges_per_thread=16))


@kernel
def _lift(
    offsets: Int64s,
    columns: OutInt32s,
    values: Float32s,
    dense_at: Int32s,
    scale: float,
    dense: OutFloat32Rows,
) -> None:
    """Move the entries of dense terms into the dense columns, and mark them -1."""
    for row in range(len(offsets) - 1):
        for at in range(offsets[row], offsets[row + 1]):
            place = dense_at[columns[at]]
            if place >= 0:
                dense[row, place] = scale * values[at]
                columns[at] = -1


@kernel
def _advance(term_offsets: Int64s, term_rows: Int32s, end: int, cursor: OutInt64s) -> None:
    """Move each term's cursor to its first posting at row `end` or later."""
    for term in range(len(cursor)):
        at = cursor[term]
        while at < term_offsets[term + 1] and term_rows[at] < end:
            at += 1
        cursor[term] = at


@kernel
def _add_sparse(
    scores: OutFloat32Rows,
    start: int,
    end: int,
    rows: Int64s,
    column_start: int,
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    starts: Int64s,
    ends: Int64s,
    term_rows: Int32s,
    term_values: Float32s,
) -> None:
    """Add the contributions of the posting lists to the scores of lines start..end of a tile."""
    for line in range(start, end):
        row, sums = rows[line], scores[line]
        for at in range(offsets[row], offsets[row + 1]):
            term = columns[at]
            if term >= 0:
                value = values[at]
                for posting in range(starts[term], ends[term]):
                    sums[term_rows[posting] - column_start] += value * term_values[posting]


@kernel
def _offer(
    scores: Float32Rows,
    rows: Int64s,
    candidates: Int64s,
    penalties: Float32s,
    below: float,
    best_rows: OutInt32Rows,
    best_scores: OutFloat32Rows,
) -> None:
    """Replace the worst candidate of a heap by any better one; of equal scores the lower row is better."""
    keep = best_rows.shape[1]
    for line in range(len(rows)):
        own = rows[line]
        heap_rows, heap_scores = best_rows[own], best_scores[own]
        for column in range(len(candidates)):
            candidate = candidates[column]
            score = scores[line, column] - penalties[candidate]
            if score < heap_scores[0] or candidate == own or scores[line, column] >= below:
                continue
            if score == heap_scores[0] and candidate > heap_rows[0] and heap_rows[0] >= 0:
                continue
            at = 0
            while True:
                child = 2 * at + 1
                if child >= keep:
                    break
                right = child + 1
                if right < keep and (
                    heap_scores[right] < heap_scores[child]
                    or (heap_scores[right] == heap_scores[child] and heap_rows[right] > heap_rows[child])
                ):
                    child = right
                if heap_scores[child] > score or (
                    heap_scores[child] == score and heap_rows[child] < candidate
                ):
                    break
                heap_rows[at], heap_scores[at] = heap_rows[child], heap_scores[child]
                at = child
            heap_rows[at], heap_scores[at] = candidate, score
