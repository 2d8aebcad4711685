"""The nearest neighbours of every article, exactly and in bounded memory.

The scores of all pairs, n x n, would not fit into memory. So they are computed in tiles of 4,096 x 4,096, in
single precision, and only the best candidates of each row are kept: 3k of them for the related lists, by
similarity minus hubness penalty. Each pair of tiles is scored once, because the similarity is symmetric.
`tiles` explains how a tile is scored.

The candidates are then scored again in double precision, so the result does not depend on the size of the
tiles or on the number of threads. Feedback moves a row towards its nearest neighbour, so the candidates of
both are scored. Any other article scores at most the weighted mean of the lowest scores in both candidate
lists, and `exact.best_lists` takes document expansion into account. If the k-th score is above this upper
bound, the list is exact. That settles almost all lists; each of the others is scored against all articles.
"""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Corrections, Neighbors, top_k
from recommender.training.kernels import run_ranges
from recommender.training.neighbors.exact import ReverseExpansion, best_lists, row_scores
from recommender.training.neighbors.tiles import MARGIN, TILE, Best, Plan

_SPARE = 14  # candidates beyond k, because single precision may misorder near ties
_STRIPE = 512  # rows whose candidates are scored at a time


def all_neighbors(
    vectors: Vectors,
    weight: float,
    k: int,
    threads: int,
    tile: int = TILE,
    progress: Callable[[float], None] = lambda _: None,
) -> Neighbors:
    """Return the k most similar rows of each row, best first, equal scores in row order; without corrections.

    The result does not depend on `tile` or `threads`. `progress` is called with the share of all pairs that
    has just been scored.
    """
    n = len(vectors.offsets) - 1
    plain = Corrections.none(n)
    best = candidates(Plan.of(vectors, weight), plain.hubs, k + _SPARE, threads, tile, progress)
    return exact_neighbors(vectors, weight, best, plain, np.arange(n, dtype=np.int32), k, threads)


def candidates(
    plan: Plan,
    hubs: np.ndarray,
    keep: int,
    threads: int,
    tile: int = TILE,
    progress: Callable[[float], None] = lambda _: None,
) -> Best:
    """Return the `keep` best candidates of every row, in single precision, or all if there are fewer.

    A score is the similarity minus the candidate's hubness penalty.
    """
    n = len(plan)
    best = Best.empty(n, max(0, min(keep, n - 1)))
    if not best.rows.size:
        return best
    with threadpool_limits(1, user_api="blas"):  # our own threads divide the rows
        for columns in plan.tiles(tile):
            inside = np.arange(columns.start, columns.end)
            for row_start in range(0, columns.end, tile):
                rows = np.arange(row_start, min(row_start + tile, n))
                scores = plan.scores(rows, columns, threads)
                best.offer(scores, rows, inside, hubs, threads)
                if row_start != columns.start:
                    best.offer(scores.T, inside, rows, hubs, threads)
                progress(scores.size * (1 if row_start == columns.start else 2) / n**2)
    return best


def exact_neighbors(
    vectors: Vectors,
    weight: float,
    best: Best,
    corrections: Corrections,
    first: np.ndarray,
    k: int,
    threads: int,
) -> Neighbors:
    """Return the k best rows of every row by corrected score, best first, equal scores in row order.

    `first` is that of the near-duplicates. The candidates are those of the row and of the row that it is
    moved towards. Any other row scores at most the weighted mean of the lowest scores of both candidate
    lists. If the k-th score is below this upper bound, all rows are scored.
    """
    n, keep = best.rows.shape
    k = max(0, min(k, n - 1))
    rows = np.full((n, k), NO_ROW, dtype=np.int32)
    scores = np.zeros((n, k), dtype=np.float32)
    reverse = ReverseExpansion(corrections)

    def stripe(start: int, end: int) -> None:
        for own_start in range(start, end, _STRIPE):
            own = np.arange(own_start, min(own_start + _STRIPE, end))
            rows[own], scores[own], lead = best_lists(
                vectors, weight, corrections, reverse, first, own, best, k
            )
            for row in [] if keep == n - 1 else own[lead < MARGIN].tolist():
                all_scores = row_scores(vectors, weight, corrections, first, row)
                rows[row] = top_k(all_scores, k, np.delete(np.arange(n), row))
                scores[row] = all_scores[rows[row]]

    if k:
        list(run_ranges(stripe, n, threads, ranges_per_thread=16))
    return Neighbors(rows, scores)
