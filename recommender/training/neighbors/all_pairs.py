"""The nearest neighbours of every article, exactly and in bounded memory.

The scores of all pairs, n x n, would not fit into memory. So a few rows are scored at a time, against all
rows before them, and each score is offered in both directions, because the similarity is symmetric. `tiles`
explains how rows are scored, `candidates` what is stored of the scores, and `exact` how lists are made of the
candidates, and why they are exact.
"""

from collections.abc import Callable

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import Corrections, Neighbors
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.exact import exact_neighbors
from recommender.training.neighbors.tiles import TILE, Plan


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
    has just been scored. Raises ValueError if the vectors are not in fixed point.
    """
    n = len(vectors.offsets) - 1
    plain = Corrections.none(n)
    plan = Plan.of(vectors, weight, tile)
    best = Candidates.empty(plain.hubs, max(1, min(k, n - 1)))
    offer_all_pairs(plan, best, threads, progress)
    return exact_neighbors(vectors, weight, plan, best, plain, np.arange(n, dtype=np.int32), k, threads)


def offer_all_pairs(
    plan: Plan, best: Candidates, threads: int, progress: Callable[[float], None] = lambda _: None
) -> None:
    """Offer every article to every other one."""
    n, step = len(plan), plan.rows_at_a_time
    for start in range(0, n, step):
        end = min(start + step, n)
        rows = np.arange(start, end)
        scores = plan.similarity(rows, threads, limit=end)
        best.offer_columns(scores, rows, threads)
        best.offer_rows(scores, rows, start, threads)
        progress((end**2 - start**2) / n**2)
    best.settle(threads)
