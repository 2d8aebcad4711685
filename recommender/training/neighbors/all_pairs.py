"""The nearest neighbours of every article, exactly and in bounded memory.

The scores of all pairs, n x n, would not fit into memory. So a few rows are scored at a time, against all
rows before them, and each score is offered in both directions, because the similarity is symmetric. `tiles`
explains how rows are scored, `candidates` what is stored of the scores, and `exact` how lists are made of the
candidates, and why they are exact.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt
from threading import Lock
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from recommender.model import Vectors
from recommender.neighbors import Corrections, Neighbors
from recommender.training.kernels import Workers, run_all
from recommender.training.neighbors.candidates import CandidateLists, Candidates
from recommender.training.neighbors.exact import exact_neighbors
from recommender.training.neighbors.tiles import STRIPE, TILE, Plan, with_postings

_BLOCK, _ENTRIES = 8192, 4_000_000  # articles and terms of articles, about, in a block that workers receive
_CALLS_PER_SLOT = 4  # so that all workers end at about the same time


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
    stripes = stripes_of(np.arange(len(plan)))
    # Stripes of different tiles follow each other, so that threads seldom wait, and short ones come last.
    stripes.sort(key=lambda rows: (rows[0] % plan.tile, -rows[0]))
    offer_stripes(plan, best, stripes, threads, progress, earlier=True)
    best.settle(threads)


def stripes_of(rows: np.ndarray) -> list[np.ndarray]:
    """Return the rows in stripes."""
    return [rows[start : start + STRIPE] for start in range(0, len(rows), STRIPE)]


def offer_stripes(
    plan: Plan,
    best: Candidates,
    stripes: Sequence[np.ndarray],
    threads: int,
    progress: Callable[[float], None] = lambda _: None,
    *,
    limit: int | None = None,
    both_ways: bool = True,
    earlier: bool = False,
    **offer: Any,
) -> None:
    """Score stripes of rows against the first `limit` rows, and offer as `Candidates.offer` does.

    With `earlier`, the limit of a stripe is its own last row. `progress` is called with the
    share of all pairs that has just been scored. The candidates are not settled.
    """
    locks = [Lock() for _ in range(-(-len(plan) // plan.tile))]

    def score(rows: np.ndarray) -> None:
        stripe = plan.stripe(rows, int(rows[-1]) + 1 if earlier else limit)
        own = set((rows // plan.tile).tolist()) if both_ways else set()
        for tile in stripe.tiles:
            scores = stripe.scores(tile)
            with ExitStack() as held:
                for changed in sorted(own | {tile}):
                    held.enter_context(locks[changed])
                best.offer(scores, rows, tile * plan.tile, both_ways=both_ways, earlier=earlier, **offer)
        first, last = int(rows[0]), int(rows[-1]) + 1
        progress((last**2 - first**2 if earlier else len(rows) * len(plan)) / len(plan) ** 2)

    with threadpool_limits(1, user_api="blas"):  # our own threads divide the work
        list(run_all(((score, rows) for rows in stripes), threads))


def offer_by_workers(
    vectors: Vectors,
    weight: float,
    best: Candidates,
    threads: int,
    progress: Callable[[float], None] = lambda _: None,
    *,
    workers: Workers,
) -> None:
    """Offer every article to every other one, scored by workers; the result is that of `offer_all_pairs`.

    The articles are divided into blocks. A worker scores two blocks at a time, and needs the vectors of these
    only. It returns the best candidates that the articles of each block have in the other one.
    """
    n = len(best.rows)
    edges = _edges(n, len(vectors.columns), workers.slots)
    spans = list(pairwise(edges.tolist()))
    pairs = [(before, own) for own in range(len(spans)) for before in range(own + 1)]

    def calls() -> Iterator[tuple[Any, ...]]:
        held: list[Any] = []
        for before, own in pairs:
            if before == 0:
                held.append(workers.held(_Block.of(vectors, best, *spans[own])))
            yield held[before], held[own], weight, best.keep

    for (before, own), lists in zip(pairs, workers.map(_candidates_in, calls()), strict=True):
        best.offer_lists(lists, threads)
        sides = 1 if before == own else 2
        progress(sides * (np.diff(spans[before]) * np.diff(spans[own])).item() / n**2)
    best.settle(threads)


@dataclass(frozen=True)
class _Block:
    """What is needed to score the pairs of consecutive articles."""

    start: int  # the first of them
    n_terms: int  # of the whole corpus
    offsets: np.ndarray  # these arrays as in `Vectors`, of the block
    columns: np.ndarray
    values: np.ndarray
    latent: np.ndarray
    rescale: np.ndarray | None
    hubs: np.ndarray  # as in `Candidates`
    floors: np.ndarray

    @classmethod
    def of(cls, vectors: Vectors, best: Candidates, start: int, end: int) -> "_Block":
        first, beyond = vectors.offsets[[start, end]].tolist()
        return cls(
            start, len(vectors.term_offsets) - 1, vectors.offsets[start : end + 1] - first,
            vectors.columns[first:beyond], vectors.values[first:beyond], vectors.latent[start:end],
            None if vectors.rescale is None else vectors.rescale[start:end],
            best.hubs[start:end], best.floors[start:end],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.hubs)


def _edges(n: int, entries: int, slots: int) -> np.ndarray:
    """Return where blocks start, and the end of the last: several pairs of blocks for each slot."""
    blocks = max(ceil(n / _BLOCK), ceil(entries / _ENTRIES), ceil(sqrt(2 * _CALLS_PER_SLOT * slots)))
    return np.linspace(0, n, min(n, blocks) + 1).astype(np.int64)


def _candidates_in(before: _Block, own: _Block, weight: float, keep: int) -> CandidateLists:
    """Return the candidates that the articles of two blocks have in the other block, or in the only one."""
    blocks = [own] if before.start == own.start else [before, own]
    plan = Plan.of(_joined(blocks), weight)
    hubs, floors = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("hubs", "floors"))
    best = Candidates.empty(hubs, keep, floors)
    if len(blocks) == 1:
        offer_all_pairs(plan, best, threads=1)
    else:
        rows = np.arange(len(before), len(plan))
        offer_stripes(plan, best, stripes_of(rows), threads=1, limit=len(before))
        best.settle(threads=1)
    return best.lists(np.concatenate([np.arange(len(block)) + block.start for block in blocks]))


def _joined(blocks: Sequence[_Block]) -> Vectors:
    """Return the vectors of the blocks one after the other, and their postings."""
    columns, values, latent = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("columns", "values", "latent")
    )
    ends = np.cumsum([0, *(len(block.columns) for block in blocks)])
    parts = [block.offsets[1:] + start for block, start in zip(blocks, ends[:-1], strict=True)]
    offsets = np.concatenate([[0], *parts])
    shape = (len(latent), blocks[0].n_terms)
    factors = [block.rescale for block in blocks if block.rescale is not None]
    rescale = np.concatenate(factors) if factors else None
    return with_postings(csr_array((values, columns, offsets), shape=shape), latent, rescale)
