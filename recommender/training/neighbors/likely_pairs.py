"""The candidates of every article in a large corpus, whose pairs are too many to be scored.

Two rough similarities choose them: the 300 nearest articles in the latent space, and the 300 nearest by the
heaviest terms. All of these are scored exactly, and the best 240 stay. In the latent space, articles are only
compared with those of cells near them (k-means, an inverted file: Sivic and Zisserman 2003). Articles of one
cell are compared with the same cells: those that are nearest to the most of them. So the time grows with the
number of articles, not with its square. How many of the true neighbours the lists contain is measured (see
`lists`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import local

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
from recommender.training.neighbors.exact import by_frequency, factors
from recommender.training.neighbors.pairs import MARKS, dot, mark, marked, rescaled, unmark

_CELL = 300  # articles of an average cell
_WANTED = 32  # cells that are nearest to an article
_PROBED = 112  # cells whose articles are compared with those of a cell
_FITTED = 64  # articles per cell from which the cells are computed
_ROUNDS = 8  # of k-means
_SAMPLED = 16  # every such score is in the sample for a first bound
_NEAREST = 300  # candidates by each of the two similarities
_KEPT = 240  # candidates that stay
_HEAVIEST = 64  # terms of an article that are compared, with the greatest weights
_MOST_POSTINGS = 3000  # a term that is among the heaviest of more articles is not looked up
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
    """Return up to 240 candidates of every article, with their exact similarity.

    A floor is the lowest score of an article's candidates; other articles may have higher scores. The result
    does not depend on `threads`. `progress` is called with the share of the work that has just been done.
    """
    best = Candidates.empty(hubs, _KEPT, room=_KEPT)
    cells, terms = _Cells.of(vectors.latent, seed, threads), HeavyTerms.of(vectors, threads)
    columns, n_terms = by_frequency(vectors), len(vectors.term_offsets) - 1
    rescale = factors(vectors)
    n, longest = len(hubs), int(np.diff(vectors.offsets).max(initial=0))
    scratch = local()

    def choose(cell: int) -> None:
        own = cells.members(cell)
        if not hasattr(scratch, "line"):
            scratch.line, scratch.marks = np.zeros(n_terms, np.float32), np.zeros(MARKS, np.uint8)
            scratch.sums, scratch.seen = np.zeros(n, np.float32), np.full(n, -1, np.int32)
            scratch.found = np.empty(longest + 1, np.int32)
        likely = np.full((len(own), 2 * _NEAREST), -1, dtype=np.int32)
        cells.write_nearest(cell, likely)
        terms.write_nearest(own, scratch.sums, likely)
        _score_likely(
            own, likely, vectors.offsets, columns, vectors.values, vectors.latent, rescale,
            np.float32(1 - weight), np.float32(weight), hubs, scratch.line, scratch.marks, scratch.found,
            scratch.seen, best.rows, best.similarity, best.counts, best.floors,
        )  # fmt: skip
        progress(len(own) / n)

    with threadpool_limits(1, user_api="blas"):  # our own threads divide the work
        list(run_all(((choose, cell) for cell in range(len(cells.centroids))), threads))
    return best


@dataclass(frozen=True)
class _Cells:
    """The articles by the cell of the latent space that they are in."""

    latent: np.ndarray  # (n, n_components) float32
    centroids: np.ndarray  # (n_cells, n_components) float32
    rows: np.ndarray  # (n,) int32, by cell
    bounds: np.ndarray  # (n_cells + 1,) int64; cell i has rows[bounds[i]:bounds[i + 1]]

    @classmethod
    def of(cls, latent: np.ndarray, seed: int, threads: int) -> "_Cells":
        centroids = _centroids(latent, max(1, len(latent) // _CELL), seed, threads)
        cell_of = _assigned(latent, centroids, threads)
        rows = np.argsort(cell_of, kind="stable").astype(np.int32)
        return cls(latent, centroids, rows, np.searchsorted(cell_of[rows], np.arange(len(centroids) + 1)))

    def members(self, cell: int) -> np.ndarray:
        """Return the articles of a cell, (m,) int32."""
        return self.rows[self.bounds[cell] : self.bounds[cell + 1]]

    def write_nearest(self, cell: int, nearest: np.ndarray) -> None:
        """Write the nearest articles of each member of a cell in the first half of its line."""
        own = self.members(cell)
        if not len(own):
            return
        others = np.concatenate([self.members(other) for other in self._probed(own)])
        columns, step = self.latent[others].T, max(1, _MOST_SCORES // len(others))
        for start in range(0, len(own), step):
            part = slice(start, start + step)
            _best_columns(self.latent[own[part]] @ columns, own[part], others, nearest[part])

    def _probed(self, own: np.ndarray) -> np.ndarray:
        """Return the cells that are nearest to the most of these articles."""
        similarity = self.latent[own[:_BLOCK]] @ self.centroids.T
        wanted = np.argsort(-similarity, axis=1, kind="stable")[:, :_WANTED]
        votes = np.bincount(wanted.ravel(), minlength=len(self.centroids))
        return np.argsort(-votes, kind="stable")[: min(_PROBED, np.count_nonzero(votes))]


@dataclass(frozen=True)
class HeavyTerms:
    """The terms of greatest weight of each article, and their posting lists."""

    columns: np.ndarray  # (n, m) int32, -1 for none
    values: np.ndarray  # (n, m) float32
    offsets: np.ndarray  # (n_terms + 1,) int64
    rows: np.ndarray  # (entries,) int32
    weights: np.ndarray  # (entries,) float32

    @classmethod
    def of(cls, vectors: Vectors, threads: int) -> "HeavyTerms":
        """Choose the heaviest terms of each article."""
        n, n_terms = len(vectors.offsets) - 1, len(vectors.term_offsets) - 1
        columns = np.full((n, _HEAVIEST), -1, dtype=np.int32)
        values = np.zeros((n, _HEAVIEST), dtype=np.float32)

        def choose(start: int, end: int) -> None:
            _heaviest(start, end, vectors.offsets, vectors.columns, vectors.values, columns, values)

        list(run_ranges(choose, n, threads))
        offsets = np.zeros(n_terms + 1, dtype=np.int64)
        rows, weights = np.empty(n * _HEAVIEST, dtype=np.int32), np.empty(n * _HEAVIEST, dtype=np.float32)
        _postings(columns, values, offsets, rows, weights)
        return cls(columns, values, offsets, rows, weights)

    def write_nearest(self, own: np.ndarray, sums: np.ndarray, nearest: np.ndarray) -> None:
        """Write the nearest articles of each one in the second half of its line; `sums` must be zero."""
        _nearest_by_postings(
            own,
            self.columns,
            self.values,
            self.offsets,
            self.rows,
            self.weights,
            _MOST_POSTINGS,
            sums,
            nearest,
        )


def _centroids(points: np.ndarray, count: int, seed: int, threads: int) -> np.ndarray:
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


@kernel
def _best_columns(scores: Float32Rows, own: Int32s, others: Int32s, nearest: OutInt32Rows) -> None:
    """Write the columns with the highest scores of each line, without the line's own article."""
    width, most = scores.shape[1], nearest.shape[1] // 2
    found, some = np.empty(width + 1, dtype=np.int64), np.empty(width, dtype=np.float32)
    wanted = min(most + 1, width)
    for line in range(len(own)):
        row, of_line, count = own[line], scores[line], 0
        low = largest(of_line[::_SAMPLED].copy(), min(wanted * 2 // _SAMPLED + 8, -(-width // _SAMPLED)))
        while count < wanted:  # the first bound lets more through than are wanted, unless the sample misleads
            count = 0
            for column in range(width):
                found[count] = column
                count += of_line[column] >= low
            if count < wanted:
                low = largest(of_line.copy(), wanted)
        for at in range(count):
            some[at] = of_line[found[at]]
        floor, out = largest(some[:count], wanted), 0
        for is_last in (False, True):  # those with the lowest score only if there is room
            for at in range(count):
                column = found[at]
                chosen = of_line[column] == floor if is_last else of_line[column] > floor
                if chosen and others[column] != row and out < most:
                    nearest[line, out] = others[column]
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
    own: Int32s,
    columns: Int32Rows,
    values: Float32Rows,
    offsets: Int64s,
    rows: Int32s,
    weights: Float32s,
    most_postings: int,
    sums: OutFloat32s,
    nearest: OutInt32Rows,
) -> None:
    """Write the articles with the highest sums of products for each article; `sums` must be zero."""
    reached = np.empty(columns.shape[1] * most_postings, dtype=np.int32)
    for line in range(len(own)):
        row, size = own[line], 0
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
                    nearest[line, out] = other
                    out += 1
        for at in range(size):
            sums[reached[at]] = 0.0


@kernel
def _score_likely(
    own: Int32s,
    likely: Int32Rows,
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    rescale: Float32s,
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
    """Score the likely articles of each one, and store the best; `line` and `marks` must be zero."""
    width, most = likely.shape[1], rows.shape[1]
    scored, scores = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    unique = np.empty(width, dtype=np.int32)
    for at in range(len(own)):
        row, count = own[at], 0
        for entry in range(offsets[row], offsets[row + 1]):
            line[columns[entry]] = values[entry]
        mark(offsets, columns, row, marks)
        for place in range(width):
            candidate = likely[at, place]
            if candidate < 0 or seen[candidate] == row:
                continue
            seen[candidate] = row
            first, terms = np.uint64(offsets[candidate]), np.float32(0.0)
            for hit in range(marked(offsets, columns, candidate, marks, found)):
                one = first + np.uint64(found[hit])
                terms += line[np.uint32(columns[one])] * values[one]
            unique[count] = candidate
            plain = term_weight * terms + latent_weight * dot(latent[row], latent[candidate])
            scored[count] = rescaled(plain, rescale, row, candidate)
            scores[count] = scored[count] - hubs[candidate]
            count += 1
        for entry in range(offsets[row], offsets[row + 1]):
            line[columns[entry]] = 0.0
        unmark(offsets, columns, row, marks)
        floor = largest(scores[:count].copy(), min(most, count)) if count > 0 else np.float32(-np.inf)
        out = 0
        for is_last in (False, True):  # those with the lowest score only if there is room
            for place in range(count):
                chosen = scores[place] == floor if is_last else scores[place] > floor
                if chosen and out < most:
                    rows[row, out], similarity[row, out] = unique[place], scored[place]
                    out += 1
        counts[row], floors[row] = out, floor
