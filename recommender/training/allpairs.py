"""The nearest neighbours of every article, exactly: all pairs in tiles, so memory is bounded by the tile.

A pair is scored once, for it counts both ways. Terms that stand in many articles are multiplied as dense
columns together with the latent space (one matrix product); the others go through posting lists.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Neighbors, top_k
from recommender.training.compiled import kernel, spread

TILE = 4096  # rows; a tile pair's scores are 64 MiB
_DENSE_DF = 0.10  # share of articles above which a term is a dense column
_SPARE = 14  # candidates kept beyond k, for single precision may misorder near ties
_MARGIN = 1e-5  # more than single precision can err in a score


def all_neighbors(
    vectors: Vectors,
    weight: float,
    k: int,
    threads: int,
    tile: int = TILE,
    progress: Callable[[float], None] = lambda _: None,
) -> Neighbors:
    """Return the k best other rows of every row, best first, equal scores in row order.

    Scores are those of `Vectors.scores`. Candidates are found in single precision, then scored again in
    double precision; a row whose last candidates are too close to call is scored again as a whole. So the
    result is exact, and neither the tile nor the number of threads shows in it. `progress` is told the share
    of all pairs that has just been scored.
    """
    n = len(vectors.offsets) - 1
    k = min(k, n - 1)
    keep = min(k + _SPARE, n - 1)
    best = _Best.empty(n, keep)
    if k <= 0:
        return Neighbors(best.rows, best.scores.astype(np.float32))
    plan = _Plan.of(vectors, weight)
    with threadpool_limits(1, user_api="blas"):  # our own threads divide the rows
        for column_start in range(0, n, tile):
            column_end = min(column_start + tile, n)
            starts, ends = plan.spans(column_end)
            for row_start in range(0, column_start + 1, tile):
                row_end = min(row_start + tile, n)
                scores = np.empty((row_end - row_start, column_end - column_start), dtype=np.float32)
                plan.score(scores, row_start, column_start, starts, ends, threads)
                best.take(scores, row_start, column_start, threads)
                pairs = scores.size * (1 if row_start == column_start else 2)
                progress(pairs / n**2)
    _rescore(best, vectors, weight, threads)
    _settle(best, vectors, weight, k, threads)
    return Neighbors(best.rows[:, :k].copy(), best.scores[:, :k].astype(np.float32))


def pair_scores(vectors: Vectors, weight: float, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the score of each pair of rows `left[i]`, `right[i]`, (m,) float64."""
    scores = np.empty(len(left), dtype=np.float64)
    _score_pairs(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight,
        left.astype(np.int64), right.astype(np.int64), scores,
    )  # fmt: skip
    return scores


@dataclass(frozen=True)
class _Plan:
    """The vectors arranged for tiles: dense columns, and posting lists of the remaining terms."""

    dense: np.ndarray  # (n, n_dense_terms + n_components) float32, weights' square roots included
    offsets: np.ndarray  # (n + 1,) int64
    columns: np.ndarray  # (entries,) int32, -1 for a dense term
    values: np.ndarray  # (entries,) float32, 1 - weight included
    term_offsets: np.ndarray
    term_rows: np.ndarray
    term_values: np.ndarray
    cursor: np.ndarray  # (n_terms,) int64, where the tiles have got to in each posting list

    @classmethod
    def of(cls, vectors: Vectors, weight: float) -> "_Plan":
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
            cursor=vectors.term_offsets[:-1].copy(),
        )

    def spans(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where each term's postings from the last tile's end up to row `end` begin and end."""
        starts = self.cursor.copy()
        _advance(self.term_offsets, self.term_rows, end, self.cursor)
        return starts, self.cursor.copy()

    def score(
        self,
        scores: np.ndarray,
        row_start: int,
        column_start: int,
        starts: np.ndarray,
        ends: np.ndarray,
        threads: int,
    ) -> None:
        """Fill in the scores of a tile pair, (rows, columns) float32."""
        columns = self.dense[column_start : column_start + scores.shape[1]].T

        def stripe(start: int, end: int) -> None:
            rows = self.dense[row_start + start : row_start + end]
            np.matmul(rows, columns, out=scores[start:end])
            _add_sparse(
                scores, start, end, row_start, column_start, self.offsets, self.columns, self.values,
                starts, ends, self.term_rows, self.term_values,
            )  # fmt: skip

        list(spread(stripe, len(scores), threads, pieces_each=8))


@dataclass(frozen=True)
class _Best:
    """For every row a heap of its best candidates, the worst on top."""

    rows: np.ndarray  # (n, keep) int32
    scores: np.ndarray  # (n, keep) float64

    @classmethod
    def empty(cls, n: int, keep: int) -> "_Best":
        keep = max(keep, 0)
        return cls(np.full((n, keep), NO_ROW, dtype=np.int32), np.full((n, keep), -np.inf))

    def take(self, scores: np.ndarray, row_start: int, column_start: int, threads: int) -> None:
        """Offer the scores of a tile pair to its rows and, off the diagonal, to its columns."""

        def to_rows(start: int, end: int) -> None:
            _offer(scores, start, end, row_start, column_start, self.rows, self.scores)

        list(spread(to_rows, len(scores), threads))
        if row_start != column_start:
            turned = scores.T

            def to_columns(start: int, end: int) -> None:
                block = np.ascontiguousarray(turned[start:end])
                _offer(block, 0, end - start, column_start + start, row_start, self.rows, self.scores)

            list(spread(to_columns, len(turned), threads, pieces_each=16))


def _rescore(best: _Best, vectors: Vectors, weight: float, threads: int) -> None:
    """Score the candidates exactly, round to single precision, and sort: best first, ties in row order."""

    def stripe(start: int, end: int) -> None:
        keep = best.rows.shape[1]
        left = np.repeat(np.arange(start, end), keep)
        exact = pair_scores(vectors, weight, left, best.rows[start:end].ravel())
        scores = exact.astype(np.float32).reshape(-1, keep)
        rows = best.rows[start:end]
        order = np.lexsort((rows, -scores))
        best.rows[start:end] = np.take_along_axis(rows, order, axis=1)
        best.scores[start:end] = np.take_along_axis(scores, order, axis=1)

    list(spread(stripe, len(best.rows), threads, pieces_each=16))


def _settle(best: _Best, vectors: Vectors, weight: float, k: int, threads: int) -> None:
    """Score the rows again in full whose last spare candidate is as good as the k-th: more may be."""
    n, keep = best.rows.shape
    if keep == n - 1:
        return
    open_rows = np.flatnonzero(best.scores[:, k - 1] - best.scores[:, keep - 1] < _MARGIN)

    def stripe(start: int, end: int) -> None:
        scores = np.empty(n)
        for row in open_rows[start:end]:
            _score_row(
                vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight,
                vectors.term_offsets, vectors.term_rows, vectors.term_values, row, scores,
            )  # fmt: skip
            rounded = scores.astype(np.float32)
            others = top_k(rounded, k, np.delete(np.arange(n), row))
            best.rows[row, :k], best.scores[row, :k] = others, rounded[others]

    list(spread(stripe, len(open_rows), threads, pieces_each=16))


@kernel
def _lift(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    dense_at: np.ndarray,
    scale: float,
    dense: np.ndarray,
) -> None:
    """Move the entries of dense terms into the dense columns, and mark them -1."""
    for row in range(len(offsets) - 1):
        for at in range(offsets[row], offsets[row + 1]):
            place = dense_at[columns[at]]
            if place >= 0:
                dense[row, place] = scale * values[at]
                columns[at] = -1


@kernel
def _advance(term_offsets: np.ndarray, term_rows: np.ndarray, end: int, cursor: np.ndarray) -> None:
    """Move each term's cursor to its first posting at or beyond row `end`."""
    for term in range(len(cursor)):
        at = cursor[term]
        while at < term_offsets[term + 1] and term_rows[at] < end:
            at += 1
        cursor[term] = at


@kernel
def _add_sparse(
    scores: np.ndarray,
    start: int,
    end: int,
    row_start: int,
    column_start: int,
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    term_rows: np.ndarray,
    term_values: np.ndarray,
) -> None:
    """Add what the posting lists contribute to the scores of rows start..end of a tile."""
    for row in range(start, end):
        line = scores[row]
        for at in range(offsets[row_start + row], offsets[row_start + row + 1]):
            term = columns[at]
            if term >= 0:
                value = values[at]
                for posting in range(starts[term], ends[term]):
                    line[term_rows[posting] - column_start] += value * term_values[posting]


@kernel
def _offer(
    scores: np.ndarray,
    start: int,
    end: int,
    row_start: int,
    column_start: int,
    best_rows: np.ndarray,
    best_scores: np.ndarray,
) -> None:
    """Push the scores of rows start..end that beat the worst kept candidate; a lower row wins a tie."""
    keep = best_rows.shape[1]
    for line in range(start, end):
        own = row_start + line
        heap_rows, heap_scores = best_rows[own], best_scores[own]
        for column in range(scores.shape[1]):
            score = scores[line, column]
            if score < heap_scores[0] or column_start + column == own:
                continue
            candidate = column_start + column
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
                heap_scores[at], heap_rows[at] = heap_scores[child], heap_rows[child]
                at = child
            heap_scores[at], heap_rows[at] = score, candidate


@kernel
def _score_pairs(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    left: np.ndarray,
    right: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Score each pair in double precision, terms in ascending order."""
    for pair in range(len(left)):
        a, b = offsets[left[pair]], offsets[right[pair]]
        a_end, b_end = offsets[left[pair] + 1], offsets[right[pair] + 1]
        terms = 0.0
        while a < a_end and b < b_end:
            if columns[a] == columns[b]:
                terms += np.float64(values[a]) * np.float64(values[b])
                a += 1
                b += 1
            elif columns[a] < columns[b]:
                a += 1
            else:
                b += 1
        space = 0.0
        for component in range(latent.shape[1]):
            space += np.float64(latent[left[pair], component]) * np.float64(latent[right[pair], component])
        scores[pair] = (1.0 - weight) * terms + weight * space


@kernel
def _score_row(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    term_offsets: np.ndarray,
    term_rows: np.ndarray,
    term_values: np.ndarray,
    row: int,
    scores: np.ndarray,
) -> None:
    """Score a row against all, in the order of additions of `_score_pairs`, so that the bits are the same."""
    scores[:] = 0.0
    for at in range(offsets[row], offsets[row + 1]):
        value = np.float64(values[at])
        for posting in range(term_offsets[columns[at]], term_offsets[columns[at] + 1]):
            scores[term_rows[posting]] += value * np.float64(term_values[posting])
    for other in range(len(scores)):
        space = 0.0
        for component in range(latent.shape[1]):
            space += np.float64(latent[row, component]) * np.float64(latent[other, component])
        scores[other] = (1.0 - weight) * scores[other] + weight * space
