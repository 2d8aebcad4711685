"""The similarity of a few articles to all others, in tiles, exactly.

The vectors are in fixed point (`recommender.fixed_point`), so sums in single precision are exact and do not
depend on their order. That leaves every term to the method that suits it: terms in more than a tenth of the
articles are dense columns of a matrix product, as is the latent space; terms of medium frequency have posting
lists for each tile of columns, whose sums stay in the fastest cache; the many rare terms have posting lists
over all columns, which are looked up once per article.
"""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.fixed_point import is_fixed
from recommender.model import Vectors
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32s,
    Int64s,
    OutFloat32Rows,
    OutFloat32s,
    OutInt32s,
    OutInt64Rows,
    OutInt64s,
    OutUint16s,
    Uint16s,
    kernel,
    run_all,
    run_ranges,
)

TILE = 2048  # columns whose sums take 8 KiB a row; at most 65,536
STRIPE_BYTES = 1 << 26  # of the similarities of the rows that are scored at a time
_MOST_ROWS, _LEAST_ROWS = 512, 64  # scored at a time
_DENSE_DF = 0.10  # a term in a larger share of articles becomes a dense column
_RARE_DF = 64  # a term in no more articles is rare


@dataclass(frozen=True)
class Plan:
    """The vectors arranged for scoring."""

    weight: float  # of the latent space
    latent: np.ndarray  # (n, n_components) float32
    dense: np.ndarray  # (n, n_dense_terms) float32
    offsets: np.ndarray  # (n + 1,) int64; article i has entries offsets[i]:offsets[i + 1],
    rare_from: np.ndarray  # (n,) int64, medium terms first and rare terms from here on
    terms: np.ndarray  # (entries,) int32, the number of the medium term, or the column of the rare term
    values: np.ndarray  # (entries,) float32
    tile: int  # columns of a tile
    starts: np.ndarray  # (n_tiles, n_medium_terms + 1) int64, where the postings in a tile start
    local_rows: np.ndarray  # (postings,) uint16, the place in the tile
    local_values: np.ndarray  # (postings,) float32
    term_offsets: np.ndarray  # the posting lists of `Vectors`, for rare terms
    term_rows: np.ndarray
    term_values: np.ndarray

    @classmethod
    def of(cls, vectors: Vectors, weight: float, tile: int = TILE) -> "Plan":
        """Arrange the vectors; `weight` is the weight of the latent space.

        Raises ValueError if the vectors are not in fixed point.
        """
        if not (is_fixed(vectors.values) and is_fixed(vectors.latent.ravel())):
            raise ValueError("the vectors are not in fixed point")
        n, df = len(vectors.offsets) - 1, np.diff(vectors.term_offsets)
        frequent = df > max(_DENSE_DF * n, _RARE_DF)
        medium = (df > _RARE_DF) & ~frequent
        # Which dense column (from -2 downwards) or medium term (from 0) a term is; -1 for a rare term.
        place = np.full(len(df), -1, dtype=np.int32)
        place[frequent] = -2 - np.arange(np.count_nonzero(frequent))
        place[medium] = np.arange(np.count_nonzero(medium))
        dense = np.zeros((n, np.count_nonzero(frequent)), dtype=np.float32)
        offsets, rare_from = np.zeros(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int64)
        size = len(vectors.columns) - int(df[frequent].sum())
        terms, values = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.float32)
        _arrange(
            vectors.offsets, vectors.columns, vectors.values, place, dense, offsets, rare_from, terms, values
        )
        tiles, size = -(-n // tile), int(df[medium].sum())
        starts = np.zeros((tiles, np.count_nonzero(medium) + 1), dtype=np.int64)
        local_rows, local_values = np.empty(size, dtype=np.uint16), np.empty(size, dtype=np.float32)
        _postings_by_tile(
            np.flatnonzero(medium), vectors.term_offsets, vectors.term_rows, vectors.term_values, tile,
            starts, local_rows, local_values,
        )  # fmt: skip
        return cls(
            weight, np.ascontiguousarray(vectors.latent), dense, offsets, rare_from, terms, values, tile,
            starts, local_rows, local_values, vectors.term_offsets, vectors.term_rows, vectors.term_values,
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.latent)

    @property
    def rows_at_a_time(self) -> int:
        """How many rows to score at a time, so that their scores take about `STRIPE_BYTES`."""
        return int(np.clip(STRIPE_BYTES // (8 * max(len(self), 1)), _LEAST_ROWS, _MOST_ROWS))

    def similarity(self, rows: np.ndarray, threads: int, limit: int | None = None) -> np.ndarray:
        """Return the similarity of the rows to the first `limit` rows (all by default), (m, limit) float32.

        It is (1 - weight) x cosine of TF-IDF + weight x cosine in the latent space.
        """
        limit = len(self) if limit is None else limit
        rows = rows.astype(np.int64)
        scores = np.empty((len(rows), limit), dtype=np.float32)
        space = np.empty((len(rows), limit), dtype=np.float32)
        dense, latent = self.dense[rows], self.latent[rows]

        def add_tile(number: int) -> None:
            start, end = number * self.tile, min((number + 1) * self.tile, limit)
            np.matmul(dense, self.dense[start:end].T, out=scores[:, start:end])
            np.matmul(latent, self.latent[start:end].T, out=space[:, start:end])
            _add_medium(
                scores, start, end, rows, self.offsets, self.rare_from, self.terms, self.values,
                self.starts[number], self.local_rows, self.local_values,
            )  # fmt: skip

        def finish(start: int, end: int) -> None:
            _add_rare(
                scores, rows, start, end, self.offsets, self.rare_from, self.terms, self.values,
                self.term_offsets, self.term_rows, self.term_values,
            )  # fmt: skip
            _combine(scores, space, start, end, np.float32(1 - self.weight), np.float32(self.weight))

        with threadpool_limits(1, user_api="blas"):  # our own threads divide the tiles
            list(run_all(((add_tile, number) for number in range(-(-limit // self.tile))), threads))
        list(run_ranges(finish, len(rows), threads))
        return scores


@kernel
def _arrange(
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    place: Int32s,
    dense: OutFloat32Rows,
    new_offsets: OutInt64s,
    rare_from: OutInt64s,
    terms: OutInt32s,
    new_values: OutFloat32s,
) -> None:
    """Write each article's dense terms to `dense`, and its other terms to `terms`, the rare ones last."""
    out = 0
    for row in range(len(offsets) - 1):
        for at in range(offsets[row], offsets[row + 1]):
            number = place[columns[at]]
            if number < -1:
                dense[row, -2 - number] = values[at]
            elif number >= 0:
                terms[out], new_values[out] = number, values[at]
                out += 1
        rare_from[row] = out
        for at in range(offsets[row], offsets[row + 1]):
            if place[columns[at]] == -1:
                terms[out], new_values[out] = columns[at], values[at]
                out += 1
        new_offsets[row + 1] = out


@kernel
def _postings_by_tile(
    medium: Int64s,
    term_offsets: Int64s,
    term_rows: Int32s,
    term_values: Float32s,
    tile: int,
    starts: OutInt64Rows,
    local_rows: OutUint16s,
    local_values: OutFloat32s,
) -> None:
    """Copy the postings of the medium terms, ordered by tile, term and row; `starts` must be zero."""
    for number in range(len(medium)):
        for at in range(term_offsets[medium[number]], term_offsets[medium[number] + 1]):
            starts[term_rows[at] // tile, number] += 1
    total = 0
    for of_tile in range(len(starts)):
        for number in range(len(medium) + 1):
            count = starts[of_tile, number]
            starts[of_tile, number] = total
            total += count
    for number in range(len(medium)):
        for at in range(term_offsets[medium[number]], term_offsets[medium[number] + 1]):
            of_tile = term_rows[at] // tile
            out = starts[of_tile, number]
            local_rows[out], local_values[out] = term_rows[at] - of_tile * tile, term_values[at]
            starts[of_tile, number] += 1
    for of_tile in range(len(starts)):  # each start has moved to its end, where the next one starts
        for number in range(len(medium), 0, -1):
            starts[of_tile, number] = starts[of_tile, number - 1]
        starts[of_tile, 0] = starts[of_tile - 1, len(medium)] if of_tile > 0 else 0


@kernel
def _add_medium(
    scores: OutFloat32Rows,
    start: int,
    end: int,
    rows: Int64s,
    offsets: Int64s,
    rare_from: Int64s,
    terms: Int32s,
    values: Float32s,
    starts: Int64s,
    local_rows: Uint16s,
    local_values: Float32s,
) -> None:
    """Add the products of medium terms to the scores of the tile from column `start`, cut at `end`."""
    width = end - start
    for line in range(len(rows)):
        sums, row = scores[line, start:end], rows[line]
        for at in range(offsets[row], rare_from[row]):
            value = values[at]
            for posting in range(starts[terms[at]], starts[terms[at] + 1]):
                column = local_rows[posting]
                if column >= width:
                    break
                sums[column] += value * local_values[posting]


@kernel
def _add_rare(
    scores: OutFloat32Rows,
    rows: Int64s,
    start: int,
    end: int,
    offsets: Int64s,
    rare_from: Int64s,
    terms: Int32s,
    values: Float32s,
    term_offsets: Int64s,
    term_rows: Int32s,
    term_values: Float32s,
) -> None:
    """Add the products of rare terms to the lines start..end of the scores."""
    width = scores.shape[1]
    for line in range(start, end):
        sums, row = scores[line], rows[line]
        for at in range(rare_from[row], offsets[row + 1]):
            value = values[at]
            for posting in range(term_offsets[terms[at]], term_offsets[terms[at] + 1]):
                column = term_rows[posting]
                if column >= width:
                    break
                sums[column] += value * term_values[posting]


@kernel
def _combine(
    scores: OutFloat32Rows,
    space: Float32Rows,
    start: int,
    end: int,
    term_weight: np.float32,
    latent_weight: np.float32,
) -> None:
    """Replace the sums of terms in lines start..end by their weighted sum with those of the latent space."""
    for line in range(start, end):
        for column in range(scores.shape[1]):
            scores[line, column] = term_weight * scores[line, column] + latent_weight * space[line, column]
