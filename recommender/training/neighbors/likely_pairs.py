"""The candidates of every article in a large corpus, whose pairs are too many to be scored.

Two rough similarities choose them: the 200 nearest articles by 128 dimensions of the latent space, and the
200 nearest by the heaviest terms. All of these are scored exactly. In the latent space, articles are only
compared with those of the nearest cells (k-means, an inverted file: Sivic and Zisserman 2003). So the time
grows with the number of articles, not with its square. How many of the true neighbours the lists contain is
measured (see `lists`).
"""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.fixed_point import round_matrix
from recommender.model import Vectors
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32Rows,
    Int32s,
    Int64s,
    OutFloat32Rows,
    OutFloat32s,
    OutInt32Rows,
    OutInt32s,
    OutInt64s,
    OutUint8s,
    kernel,
    run_all,
    run_ranges,
)
from recommender.training.neighbors.candidates import Candidates, largest
from recommender.training.neighbors.pairs import MARKS, dot, mark, marked, unmark

_DIMENSIONS = 128  # of the latent space
_CELL = 300  # articles of an average cell
_PROBED = 48  # cells whose articles are compared with those of a cell
_FITTED = 64  # articles per cell from which the cells are computed
_ROUNDS = 8  # of k-means
_NEAREST = 200  # candidates by each of the two similarities
_HEAVIEST = 64  # terms of an article that are compared, with the greatest weights
_MOST_POSTINGS = 2000  # a term that is among the heaviest of more articles is not looked up
_MOST_SCORES = 1 << 24  # at a time; a cell of equal articles may have any size
_BLOCK = 8192  # rows that are compared with all cells at a time; independent of the number of threads


def likely_candidates(
    vectors: Vectors,
    weight: float,
    hubs: np.ndarray,
    seed: int,
    threads: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Candidates:
    """Return up to 400 candidates of every article, with their exact similarity.

    A floor is the lowest score of an article's candidates; other articles may have higher scores. The result
    does not depend on `threads`. `progress` is called with the share of the work that has just been done.
    """
    n = len(hubs)
    best = Candidates.empty(hubs, 2 * _NEAREST, room=2 * _NEAREST)
    _nearest_in_cells(vectors.latent, best.rows, seed, threads)
    progress(0.2)
    _nearest_by_terms(vectors, best.rows, threads)
    progress(0.4)
    n_terms, longest = len(vectors.term_offsets) - 1, int(np.diff(vectors.offsets).max(initial=0))

    def score(start: int, end: int) -> None:
        _score_candidates(
            start, end, vectors.offsets, vectors.columns, vectors.values, vectors.latent,
            np.float32(1 - weight), np.float32(weight), hubs, np.zeros(n_terms, dtype=np.float32),
            np.zeros(MARKS, dtype=np.uint8), np.empty(longest + 1, dtype=np.int32),
            np.full(n, -1, dtype=np.int32), best.rows, best.similarity, best.counts, best.floors,
        )  # fmt: skip
        progress(0.4 * (end - start) / n)

    list(run_ranges(score, n, threads, ranges_per_thread=8))
    return best


def _nearest_in_cells(latent: np.ndarray, nearest: np.ndarray, seed: int, threads: int) -> None:
    """Write the nearest articles of each by the first dimensions of the latent space, in the first half."""
    points = np.ascontiguousarray(latent[:, :_DIMENSIONS])
    centroids = _cells(points, max(1, len(points) // _CELL), seed, threads)
    cell_of = _assigned(points, centroids, threads)
    by_cell = np.argsort(cell_of, kind="stable").astype(np.int32)
    bounds = np.searchsorted(cell_of[by_cell], np.arange(len(centroids) + 1))
    probed = np.argsort(-(centroids @ centroids.T), axis=1, kind="stable")[:, :_PROBED]

    def compare(cell: int) -> None:
        own = by_cell[bounds[cell] : bounds[cell + 1]]
        if len(own):
            others = np.concatenate([by_cell[bounds[other] : bounds[other + 1]] for other in probed[cell]])
            columns, step = points[others].T, max(1, _MOST_SCORES // len(others))
            for start in range(0, len(own), step):
                part = own[start : start + step]
                _best_columns(points[part] @ columns, part, others, nearest)

    with threadpool_limits(1, user_api="blas"):
        list(run_all(((compare, cell) for cell in range(len(centroids))), threads))


def _cells(points: np.ndarray, count: int, seed: int, threads: int) -> np.ndarray:
    """Return the centroids of k-means on a sample, (count, dimensions) float32, in fixed point."""
    draw = np.random.default_rng(seed)
    sample = points[np.sort(draw.choice(len(points), min(len(points), _FITTED * count), replace=False))]
    centroids = sample[np.sort(draw.choice(len(sample), count, replace=False))]
    for _ in range(_ROUNDS):
        cell_of = _assigned(sample, centroids, threads)
        order = np.argsort(cell_of, kind="stable")
        filled, starts = np.unique(cell_of[order], return_index=True)
        sums = np.add.reduceat(sample[order].astype(np.float64), starts, axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = centroids.copy()
        centroids[filled] = round_matrix(sums / np.maximum(lengths, 1e-12))
    return centroids


def _assigned(points: np.ndarray, centroids: np.ndarray, threads: int) -> np.ndarray:
    """Return the nearest centroid of each point, (n,) int64."""

    def block(start: int) -> np.ndarray:
        return np.asarray(np.argmax(points[start : start + _BLOCK] @ centroids.T, axis=1))

    with threadpool_limits(1, user_api="blas"):
        blocks = list(run_all(((block, start) for start in range(0, len(points), _BLOCK)), threads))
    return np.concatenate(blocks)


def _nearest_by_terms(vectors: Vectors, nearest: np.ndarray, threads: int) -> None:
    """Write the nearest articles of each article by the heaviest terms of both, in the second half."""
    n, n_terms = len(nearest), len(vectors.term_offsets) - 1
    columns, values = np.full((n, _HEAVIEST), -1, dtype=np.int32), np.zeros((n, _HEAVIEST), dtype=np.float32)

    def choose(start: int, end: int) -> None:
        _heaviest(start, end, vectors.offsets, vectors.columns, vectors.values, columns, values)

    list(run_ranges(choose, n, threads))
    offsets = np.zeros(n_terms + 1, dtype=np.int64)
    rows, weights = np.empty(n * _HEAVIEST, dtype=np.int32), np.empty(n * _HEAVIEST, dtype=np.float32)
    _postings(columns, values, offsets, rows, weights)

    def compare(start: int, end: int) -> None:
        _nearest_by_postings(
            start, end, columns, values, offsets, rows, weights, _MOST_POSTINGS,
            np.zeros(n, dtype=np.float32), nearest,
        )  # fmt: skip

    list(run_ranges(compare, n, threads, ranges_per_thread=8))


@kernel
def _best_columns(scores: Float32Rows, own: Int32s, others: Int32s, nearest: OutInt32Rows) -> None:
    """Write the columns with the highest scores of each line, without the line's own article."""
    width = scores.shape[1]
    for line in range(len(own)):
        row, out, most = own[line], 0, nearest.shape[1] // 2
        floor = largest(scores[line].copy(), min(most + 1, width))
        for is_last in (False, True):  # those with the lowest score only if there is room
            for column in range(width):
                score = scores[line, column]
                chosen = score == floor if is_last else score > floor
                if chosen and others[column] != row and out < most:
                    nearest[row, out] = others[column]
                    out += 1


@kernel
def _heaviest(
    start: int,
    end: int,
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    heavy_columns: OutInt32Rows,
    heavy_values: OutFloat32Rows,
) -> None:
    """Write the terms of greatest weight of the rows start..end; of equal ones, the first."""
    most = heavy_columns.shape[1]
    for row in range(start, end):
        first, beyond, out = offsets[row], offsets[row + 1], 0
        if beyond == first:
            continue
        floor = largest(values[first:beyond].copy(), min(most, beyond - first))
        for is_last in (False, True):
            for at in range(first, beyond):
                chosen = values[at] == floor if is_last else values[at] > floor
                if chosen and out < most:
                    heavy_columns[row, out], heavy_values[row, out] = columns[at], values[at]
                    out += 1


@kernel
def _postings(
    columns: Int32Rows, values: Float32Rows, offsets: OutInt64s, rows: OutInt32s, weights: OutFloat32s
) -> None:
    """Write the posting lists of the heaviest terms; `offsets` must be zero."""
    for row in range(len(columns)):
        for place in range(columns.shape[1]):
            if columns[row, place] >= 0:
                offsets[columns[row, place] + 1] += 1
    for term in range(len(offsets) - 1):
        offsets[term + 1] += offsets[term]
    for row in range(len(columns) - 1, -1, -1):
        for place in range(columns.shape[1]):
            term = columns[row, place]
            if term >= 0:
                offsets[term + 1] -= 1  # from its end downwards; afterwards it is the term's own start
                rows[offsets[term + 1]], weights[offsets[term + 1]] = row, values[row, place]
    for term in range(len(offsets) - 1):
        offsets[term] = offsets[term + 1]
    offsets[-1] = np.count_nonzero(columns >= 0)


@kernel
def _nearest_by_postings(  # noqa: C901 one loop over articles
    start: int,
    end: int,
    columns: Int32Rows,
    values: Float32Rows,
    offsets: Int64s,
    rows: Int32s,
    weights: Float32s,
    most_postings: int,
    sums: OutFloat32s,
    nearest: OutInt32Rows,
) -> None:
    """Write the articles with the highest sums of products for the rows start..end; `sums` must be zero."""
    reached = np.empty(columns.shape[1] * most_postings, dtype=np.int32)
    for row in range(start, end):
        size = 0
        for place in range(columns.shape[1]):
            term = columns[row, place]
            if term < 0 or offsets[term + 1] - offsets[term] > most_postings:
                continue
            for posting in range(offsets[term], offsets[term + 1]):
                other = rows[posting]
                if sums[other] == 0.0:
                    reached[size] = other
                    size += 1
                sums[other] += values[row, place] * weights[posting]
        found = np.empty(size, dtype=np.float32)
        for at in range(size):
            found[at] = sums[reached[at]]
        floor, out, most = np.float32(0.0), nearest.shape[1] // 2, nearest.shape[1]
        if size > most - out + 1:
            floor = np.float32(largest(found, most - out + 1))
        for is_last in (False, True):
            for at in range(size):
                other = reached[at]
                chosen = sums[other] == floor if is_last else sums[other] > floor
                if chosen and other != row and out < most:
                    nearest[row, out] = other
                    out += 1
        for at in range(size):
            sums[reached[at]] = 0.0


@kernel
def _score_candidates(
    start: int,
    end: int,
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    term_weight: np.float32,
    latent_weight: np.float32,
    hubs: Float32s,
    line: OutFloat32s,
    marks: OutUint8s,
    found: OutInt32s,
    seen: OutInt32s,
    rows: OutInt32Rows,
    similarity: OutFloat32Rows,
    counts: OutInt64s,
    floors: OutFloat32s,
) -> None:
    """Drop repeated candidates of the rows start..end, and score the others; `line`, `marks` must be zero."""
    for row in range(start, end):
        for at in range(offsets[row], offsets[row + 1]):
            line[columns[at]] = values[at]
        mark(offsets, columns, row, marks)
        count, floor = 0, np.float32(np.inf)
        for place in range(rows.shape[1]):
            candidate = rows[row, place]
            if candidate < 0 or seen[candidate] == row:
                continue
            seen[candidate] = row
            first, terms = np.uint64(offsets[candidate]), np.float32(0.0)
            for hit in range(marked(offsets, columns, candidate, marks, found)):
                entry = first + np.uint64(found[hit])
                terms += line[np.uint32(columns[entry])] * values[entry]
            score = term_weight * terms + latent_weight * dot(latent[row], latent[candidate])
            rows[row, count], similarity[row, count] = candidate, score
            floor = np.float32(min(floor, score - hubs[candidate]))
            count += 1
        rows[row, count:] = -1
        counts[row], floors[row] = count, floor
        for at in range(offsets[row], offsets[row + 1]):
            line[columns[at]] = 0.0
        unmark(offsets, columns, row, marks)
