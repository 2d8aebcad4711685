"""The similarity of a few articles to all others, in tiles, exactly.

The vectors are in fixed point (`recommender.fixed_point`), so sums in single precision are exact and do not
depend on their order. That leaves every term to the method that suits it: terms in more than an eighth of the
articles are dense columns of a matrix product, as is the latent space; terms of medium frequency have posting
lists for each tile of columns, whose sums stay in the fastest cache; the many rare terms have posting lists
over all columns, which are looked up once per article. A stripe of rows is scored against one tile of columns
at a time, so that nothing leaves the cache before it is complete.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from recommender.fixed_point import SCALE, is_fixed
from recommender.model import Vectors
from recommender.training.kernels import (
    Bools,
    Float32Rows,
    Float32s,
    Int16s,
    Int32s,
    Int64s,
    OutFloat32Rows,
    OutFloat32s,
    OutInt32s,
    OutInt64Rows,
    OutInt64s,
    OutUint32s,
    OutUint64s,
    Uint32s,
    Uint64s,
    kernel,
    run_all,
)

TILE = 2048  # columns whose sums take 8 KiB a row; at most 65,536
STRIPE = 256  # rows, whose scores in a tile take 2 MiB
_LINES_BYTES = 1 << 26  # of the similarities of the rows that are scored against all at a time
_MOST_ROWS, _LEAST_ROWS = 512, 64  # of these
_DENSE_DF = 0.13  # a term in a larger share of articles becomes a dense column
_RARE_DF = 64  # a term in no more articles is rare


@dataclass(frozen=True)
class Plan:
    """The vectors arranged for scoring."""

    weight: float  # of the latent space
    latent: np.ndarray  # (n, n_components) float32
    dense: np.ndarray  # (n, n_dense_terms) float32
    offsets: np.ndarray  # (n + 1,) int64; article i has entries offsets[i]:offsets[i + 1],
    rare_from: np.ndarray  # (n,) int64, medium terms first and rare terms from here on
    terms: np.ndarray  # (entries,) int32, the number of a medium term, or the first posting of a rare one
    values: np.ndarray  # (entries,) float32
    whole_values: np.ndarray  # (entries,) int16, the same times 4096
    tile: int  # columns of a tile
    starts: np.ndarray  # (n_tiles, n_medium_terms + 1) int64, where the postings in a tile start
    postings: np.ndarray  # (postings,) uint32, the place in the tile << 16 | the value times 4096
    rare_postings: np.ndarray  # uint64: row << 32 | 1 << 16 for a term's last | the value times 4096
    rescale: np.ndarray | None = None  # as in `Vectors`

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
        rare = ~(frequent | medium)
        # Which dense column (from -1 downwards) or medium term a term is, or where its rare postings start.
        place = np.empty(len(df), dtype=np.int32)
        place[frequent] = -1 - np.arange(np.count_nonzero(frequent))
        place[medium] = np.arange(np.count_nonzero(medium))
        place[rare] = np.cumsum(df[rare]) - df[rare]
        dense = np.zeros((n, np.count_nonzero(frequent)), dtype=np.float32)
        offsets, rare_from = np.zeros(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int64)
        size = len(vectors.columns) - int(df[frequent].sum())
        terms, values = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.float32)
        _arrange(
            vectors.offsets, vectors.columns, vectors.values, place, rare, dense, offsets, rare_from, terms,
            values,
        )  # fmt: skip
        tiles, size = -(-n // tile), int(df[medium].sum())
        starts = np.zeros((tiles, np.count_nonzero(medium) + 1), dtype=np.int64)
        postings = np.empty(size, dtype=np.uint32)
        _postings_by_tile(
            np.flatnonzero(medium), vectors.term_offsets, vectors.term_rows, vectors.term_values, tile,
            np.float32(SCALE), starts, postings,
        )  # fmt: skip
        rare_postings = np.empty(int(df[rare].sum()), dtype=np.uint64)
        _postings_of_rare(
            np.flatnonzero(rare), vectors.term_offsets, vectors.term_rows, vectors.term_values,
            np.float32(SCALE), rare_postings,
        )  # fmt: skip
        return cls(
            weight, np.ascontiguousarray(vectors.latent), dense, offsets, rare_from, terms, values,
            (values * SCALE).astype(np.int16), tile, starts, postings, rare_postings, vectors.rescale,
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.latent)

    @property
    def rows_at_a_time(self) -> int:
        """How many rows to score against all at a time, so that their scores take about 64 MiB."""
        return int(np.clip(_LINES_BYTES // (4 * max(len(self), 1)), _LEAST_ROWS, _MOST_ROWS))

    def stripe(self, rows: np.ndarray, limit: int | None = None) -> "Stripe":
        """Prepare to score the rows against the first `limit` rows (all by default)."""
        rows, limit = rows.astype(np.int64), len(self) if limit is None else limit
        rare = _rare_products(
            rows, limit, self.tile, self.offsets, self.rare_from, self.terms, self.whole_values,
            self.rare_postings, _RARE_DF,
        )  # fmt: skip
        return Stripe(self, rows, limit, self.dense[rows], self.latent[rows], *rare)

    def similarity(self, rows: np.ndarray, threads: int) -> np.ndarray:
        """Return the similarity of the rows to all rows, (m, n) float32.

        It is (1 - weight) x cosine of TF-IDF + weight x cosine in the latent space, rescaled.
        """
        stripe = self.stripe(rows)
        scores = np.empty((len(rows), len(self)), dtype=np.float32)
        with threadpool_limits(1, user_api="blas"):  # our own threads divide the work
            list(run_all(((stripe.write, tile, scores, tile * self.tile) for tile in stripe.tiles), threads))
        return scores


@dataclass(frozen=True)
class Stripe:
    """A few rows prepared for scoring against the articles before `limit`."""

    plan: Plan
    rows: np.ndarray  # (m,) int64
    limit: int
    dense: np.ndarray  # (m, n_dense_terms) float32
    latent: np.ndarray  # (m, n_components) float32
    rare_starts: np.ndarray  # (n_tiles * m + 1,) int64, where the products of each tile and row start
    rare_columns: np.ndarray  # int32, in the tile
    rare_products: np.ndarray  # int32, of two values of a rare term, times 4096 squared

    @property
    def tiles(self) -> range:
        """The numbers of the tiles before `limit`."""
        return range(-(-self.limit // self.plan.tile))

    def scores(self, tile: int) -> np.ndarray:
        """Return the similarity of the rows to the articles of a tile, (m, articles) float32."""
        width = min(self.plan.tile, self.limit - tile * self.plan.tile)
        scores = np.empty((len(self.rows), width), dtype=np.float32)
        self.write(tile, scores, 0)
        return scores

    def write(self, tile: int, scores: np.ndarray, column: int) -> None:
        """Write the similarity of the rows to the articles of a tile to the scores, from a column on."""
        plan = self.plan
        start, end = tile * plan.tile, min((tile + 1) * plan.tile, self.limit)
        np.matmul(self.dense, plan.dense[start:end].T, out=scores[:, column : column + end - start])
        space = self.latent @ plan.latent[start:end].T
        _add_terms(
            scores, column, space, plan.tile, self.rows, plan.offsets, plan.rare_from, plan.terms,
            plan.whole_values, plan.starts[tile], plan.postings, self.rare_starts[tile * len(self.rows) :],
            self.rare_columns, self.rare_products, np.float32(1 / SCALE**2), np.float32(1 - plan.weight),
            np.float32(plan.weight),
        )  # fmt: skip
        if plan.rescale is not None:
            factors = np.maximum(plan.rescale[self.rows, None], plan.rescale[start:end])
            scores[:, column : column + end - start] *= factors


def with_postings(rows: csr_array, latent: np.ndarray, rescale: np.ndarray | None = None) -> Vectors:
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
        rescale=rescale,
    )


@kernel
def _arrange(
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    place: Int32s,
    rare: Bools,
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
            if number < 0:
                dense[row, -1 - number] = values[at]
            elif not rare[columns[at]]:
                terms[out], new_values[out] = number, values[at]
                out += 1
        rare_from[row] = out
        for at in range(offsets[row], offsets[row + 1]):
            if rare[columns[at]]:
                terms[out], new_values[out] = place[columns[at]], values[at]
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
def _postings_of_rare(
    rare: Int64s,
    term_offsets: Int64s,
    term_rows: Int32s,
    term_values: Float32s,
    scale: np.float32,
    postings: OutUint64s,
) -> None:
    """Copy the postings of the rare terms."""
    out = 0
    for number in range(len(rare)):
        end = term_offsets[rare[number] + 1]
        for at in range(term_offsets[rare[number]], end):
            value, last = np.uint64(term_values[at] * scale), np.uint64(at + 1 == end)
            postings[out] = np.uint64(term_rows[at]) << np.uint64(32) | last << np.uint64(16) | value
            out += 1


@kernel
def _rare_products(
    rows: Int64s,
    limit: int,
    tile: int,
    offsets: Int64s,
    rare_from: Int64s,
    terms: Int32s,
    values: Int16s,
    postings: Uint64s,
    most: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the products of rare terms, of which each has at most `most` postings, as `Stripe` has them."""
    size = 0
    for line in range(len(rows)):
        size += most * (offsets[rows[line] + 1] - rare_from[rows[line]])
    found, places = np.empty((size, 2), dtype=np.int32), np.empty(size, dtype=np.int32)
    starts = np.zeros(-(-limit // tile) * len(rows) + 1, dtype=np.int64)
    total = 0
    for line in range(len(rows)):
        for at in range(rare_from[rows[line]], offsets[rows[line] + 1]):
            value, posting, place, first, is_last = np.int32(values[at]), terms[at], line, 0, np.uint64(0)
            while is_last == 0:
                column = np.int64(postings[posting] >> np.uint64(32))
                if column >= limit:
                    break
                while column >= first + tile:
                    place, first = place + len(rows), first + tile
                product = value * np.int32(postings[posting] & np.uint64(0xFFFF))
                found[total, 0], found[total, 1], places[total] = column - first, product, place
                starts[place + 1] += 1
                total += 1
                is_last = postings[posting] & np.uint64(0x10000)
                posting += 1
    for place in range(1, len(starts)):
        starts[place] += starts[place - 1]
    columns, products = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32)
    nexts = starts.copy()
    for at in range(total):
        out = nexts[places[at]]
        columns[out], products[out] = found[at, 0], found[at, 1]
        nexts[places[at]] = out + 1
    return starts, columns, products


@kernel
def _add_terms(
    scores: OutFloat32Rows,
    first: int,
    space: Float32Rows,
    tile: int,
    rows: Int64s,
    offsets: Int64s,
    rare_from: Int64s,
    terms: Int32s,
    values: Int16s,
    starts: Int64s,
    postings: Uint32s,
    rare_starts: Int64s,
    rare_columns: Int32s,
    rare_products: Int32s,
    unit: np.float32,
    term_weight: np.float32,
    latent_weight: np.float32,
) -> None:
    """Add the products of medium and rare terms to the scores, then weigh in the latent space."""
    sums = np.empty(tile, dtype=np.int32)
    for line in range(len(rows)):
        row, own = rows[line], scores[line, first : first + space.shape[1]]
        sums[:] = 0
        for at in range(offsets[row], rare_from[row]):
            value, term = np.int32(values[at]), terms[at]
            for posting in range(np.uint64(starts[term]), np.uint64(starts[term + 1])):
                place = postings[posting] >> np.uint32(16)
                sums[place] += value * np.int32(postings[posting] & np.uint32(0xFFFF))
        for at in range(rare_starts[line], rare_starts[line + 1]):
            sums[rare_columns[at]] += rare_products[at]
        for column in range(len(own)):
            of_terms = own[column] + unit * np.float32(sums[column])
            own[column] = term_weight * of_terms + latent_weight * space[line, column]
