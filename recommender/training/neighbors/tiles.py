"""The similarity of a few articles to all others, in tiles, exactly.

The vectors are in fixed point (`recommender.fixed_point`), so sums in single precision are exact and do not
depend on their order. That leaves every term to the method that suits it: terms in more than a tenth of the
articles are dense columns of a matrix product, as is the latent space; terms of medium frequency have posting
lists for each tile of columns, whose sums stay in the fastest cache; the many rare terms have posting lists
over all columns, which are looked up once per article.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from recommender.fixed_point import SCALE, is_fixed
from recommender.model import Vectors
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int16s,
    Int32Rows,
    Int32s,
    Int64s,
    OutFloat32Rows,
    OutFloat32s,
    OutInt32Rows,
    OutInt32s,
    OutInt64Rows,
    OutInt64s,
    OutUint32s,
    Uint32s,
    kernel,
    run_all,
    run_ranges,
)

TILE = 8192  # columns whose sums take 32 KiB a row; at most 65,536
STRIPE_BYTES = 1 << 26  # of the similarities of the rows that are scored at a time
_PRODUCT = 4096  # columns of a matrix product
_PARTS = 4  # of the rows, in which a tile is divided among threads
_BYTES_PER_SCORE = 12  # of three sums
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
    whole_values: np.ndarray  # (entries,) int16, the same times 4096
    tile: int  # columns of a tile
    starts: np.ndarray  # (n_tiles, n_medium_terms + 1) int64, where the postings in a tile start
    postings: np.ndarray  # (postings,) uint32, the place in the tile << 16 | the value times 4096
    term_offsets: np.ndarray  # the posting lists of `Vectors`, for rare terms
    term_rows: np.ndarray
    term_values: np.ndarray
    scratch: dict[str, np.ndarray] = field(default_factory=dict)  # memory that is used again

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
        postings = np.empty(size, dtype=np.uint32)
        _postings_by_tile(
            np.flatnonzero(medium), vectors.term_offsets, vectors.term_rows, vectors.term_values, tile,
            np.float32(SCALE), starts, postings,
        )  # fmt: skip
        return cls(
            weight, np.ascontiguousarray(vectors.latent), dense, offsets, rare_from, terms, values,
            (values * SCALE).astype(np.int16), tile, starts, postings,
            vectors.term_offsets, vectors.term_rows, vectors.term_values,
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.latent)

    @property
    def rows_at_a_time(self) -> int:
        """How many rows to score at a time, so that their scores take about `STRIPE_BYTES`."""
        return int(np.clip(STRIPE_BYTES // (_BYTES_PER_SCORE * max(len(self), 1)), _LEAST_ROWS, _MOST_ROWS))

    def similarity(self, rows: np.ndarray, threads: int, limit: int | None = None) -> np.ndarray:
        """Return the similarity of the rows to the first `limit` rows (all by default), (m, limit) float32.

        It is (1 - weight) x cosine of TF-IDF + weight x cosine in the latent space. The result is
        overwritten by the next call, because new memory for each call takes time.
        """
        limit = len(self) if limit is None else limit
        rows = rows.astype(np.int64)
        scores, space, whole = (self._scratch(name, len(rows), limit) for name in ("f1", "f2", "i"))
        whole.fill(0)
        dense, latent = self.dense[rows], self.latent[rows]

        def multiply(start: int) -> None:
            end = min(start + _PRODUCT, limit)
            np.matmul(dense, self.dense[start:end].T, out=scores[:, start:end])
            np.matmul(latent, self.latent[start:end].T, out=space[:, start:end])

        def add_tile(number: int, first: int, beyond: int) -> None:
            start, end = number * self.tile, min((number + 1) * self.tile, limit)
            _add_medium(
                whole[first:beyond], start, end, self.tile, rows[first:beyond], self.offsets, self.rare_from,
                self.terms, self.whole_values, self.starts[number], self.postings,
            )  # fmt: skip

        def finish(start: int, end: int) -> None:
            _add_rare(
                scores, rows, start, end, self.offsets, self.rare_from, self.terms, self.values,
                self.term_offsets, self.term_rows, self.term_values,
            )  # fmt: skip
            _combine(
                scores, whole, space, start, end, np.float32(1 / SCALE**2), np.float32(1 - self.weight),
                np.float32(self.weight),
            )  # fmt: skip

        parts = list(pairwise(len(rows) * part // _PARTS for part in range(_PARTS + 1)))
        calls: list[tuple[Any, ...]] = [
            (add_tile, number, *part) for number in range(-(-limit // self.tile)) for part in parts
        ]
        calls += [(multiply, start) for start in range(0, limit, _PRODUCT)]
        with threadpool_limits(1, user_api="blas"):  # our own threads divide the work
            list(run_all(calls, threads))
        list(run_ranges(finish, len(rows), threads))
        return scores

    def _scratch(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return memory for numbers of four bytes, whose kind is the first letter of the name."""
        if len(self.scratch.get(name, "")) < rows * columns:
            self.scratch[name] = np.empty(rows * columns, dtype=f"{name[0]}4")
        return self.scratch[name][: rows * columns].reshape(rows, columns)


def with_postings(rows: csr_array, latent: np.ndarray) -> Vectors:
    """Return TF-IDF rows, (n, n_terms), and latent vectors as `Vectors`, with a posting list of each term."""
    by_term = rows.tocsc()
    return Vectors(
        offsets=rows.indptr.astype(np.int64),
        columns=rows.indices.astype(np.int32),
        values=rows.data,
        latent=latent,
        term_offsets=by_term.indptr.astype(np.int64),
        term_rows=by_term.indices.astype(np.int32),
        term_values=by_term.data,
    )


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
    scale: np.float32,
    starts: OutInt64Rows,
    postings: OutUint32s,
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
            place, value = term_rows[at] - of_tile * tile, np.uint32(term_values[at] * scale)
            postings[out] = np.uint32(place) << np.uint32(16) | value
            starts[of_tile, number] += 1
    for of_tile in range(len(starts)):  # each start has moved to its end, where the next one starts
        for number in range(len(medium), 0, -1):
            starts[of_tile, number] = starts[of_tile, number - 1]
        starts[of_tile, 0] = starts[of_tile - 1, len(medium)] if of_tile > 0 else 0


@kernel
def _add_medium(
    sums: OutInt32Rows,
    start: int,
    end: int,
    tile: int,
    rows: Int64s,
    offsets: Int64s,
    rare_from: Int64s,
    terms: Int32s,
    values: Int16s,
    starts: Int64s,
    postings: Uint32s,
) -> None:
    """Add the products of medium terms to the sums of the tile from column `start`, cut at `end`."""
    limit, is_cut = np.uint32(end - start) << np.uint32(16), end - start < tile
    for line in range(len(rows)):
        own, row = sums[line, start:end], rows[line]
        for at in range(offsets[row], rare_from[row]):
            value, term = np.int32(values[at]), terms[at]
            first, beyond = np.uint64(starts[term]), np.uint64(starts[term + 1])
            if is_cut:
                low = first
                while low < beyond:  # find the first posting beyond the end
                    middle = (low + beyond) >> np.uint64(1)
                    if postings[middle] < limit:
                        low = middle + np.uint64(1)
                    else:
                        beyond = middle
            for posting in range(first, beyond):
                place = postings[posting] >> np.uint32(16)
                own[place] += value * np.int32(postings[posting] & np.uint32(0xFFFF))


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
    sums: Int32Rows,
    space: Float32Rows,
    start: int,
    end: int,
    unit: np.float32,
    term_weight: np.float32,
    latent_weight: np.float32,
) -> None:
    """Add the sums of medium terms to the lines start..end of the scores, then weigh in the latent space."""
    for line in range(start, end):
        for column in range(scores.shape[1]):
            terms = scores[line, column] + unit * np.float32(sums[line, column])
            scores[line, column] = term_weight * terms + latent_weight * space[line, column]
