"""The lists of all articles, made of the candidates that were collected while all pairs were scored.

The score of an article for a query is made of several similarities: of the article and of the neighbours that
expand it, each with the query and with the article that the query moves towards. Most of them are known,
because they belong to candidates. Any other similarity, less its penalty, is at most the floor of the
candidates. So every article has an upper bound, and the bound of almost all articles is that of the floors.
The articles whose bound reaches the list are scored exactly, the highest bound first (the threshold
algorithm: Fagin et al. 2003). If the bound of the floors reaches the list, the row is scored against all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TypeVar

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Corrections, Neighbors, top_k
from recommender.training.kernels import run_ranges
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.list_kernels import EXPANSION, fill_rows, write_corrected
from recommender.training.neighbors.pairs import MARKS
from recommender.training.neighbors.tiles import Plan

_LEADERS, _FOLLOWERS = 300, 200  # at least so many articles group the others, in groups of at most so many
_BLOCK = 8192  # rows at a time
_MARGIN = 1e-6  # more than the rounding error of a bound

Result = TypeVar("Result")


@dataclass(frozen=True)
class ReverseExpansion:
    """Which articles each article expands: those of row i are `rows[offsets[i]:offsets[i + 1]]`."""

    offsets: np.ndarray  # (n + 1,) int64
    rows: np.ndarray  # int32

    @classmethod
    def of(cls, corrections: Corrections) -> "ReverseExpansion":
        """Return the inverse of `expansion_rows`."""
        n, width = corrections.expansion_rows.shape
        expands = corrections.expansion_weights > 0
        neighbors = corrections.expansion_rows[expands]
        owners = np.repeat(np.arange(n, dtype=np.int32), width)[expands.ravel()]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(neighbors, minlength=n))])
        return cls(offsets, owners[np.argsort(neighbors, kind="stable")])


def exact_neighbors(
    vectors: Vectors,
    weight: float,
    plan: Plan | None,
    best: Candidates,
    corrections: Corrections,
    first: np.ndarray,
    k: int,
    threads: int,
    progress: Callable[[float], None] = lambda _: None,
    queries: np.ndarray | None = None,
) -> Neighbors:
    """Return the k best rows of each of the `queries` (default: all rows), best first.

    They are ordered by corrected score, equal scores in row order. `first` is that of the near-duplicates: a
    row and its copies expand no article in its list. `progress` is called with the share of the lists that
    has just been made. Without a `plan`, lists are made of the articles with a candidate in their score, and
    no row is scored against all.
    """
    n = len(best.rows)
    queries = np.arange(n) if queries is None else queries
    k = max(0, min(k, n - 1))
    rows = np.full((n, k), NO_ROW, dtype=np.int32)
    scores = np.full((n, k), -np.inf, dtype=np.float32)
    if not k or not len(queries):
        return Neighbors(rows[queries], scores[queries])
    lead = fill_lists(vectors, weight, best, corrections, first, threads, rows, scores, queries, progress)
    unsettled = np.flatnonzero(lead <= _MARGIN) if plan else np.zeros(0, np.int64)
    if not plan or not len(unsettled):
        return Neighbors(rows[queries], np.where(rows == NO_ROW, 0, scores)[queries])

    def best_of(row: int, of_row: np.ndarray) -> None:
        rows[row] = top_k(of_row, k, np.delete(np.arange(n), row))
        scores[row] = of_row[rows[row]]

    each_corrected(plan, corrections, first, unsettled, best_of, threads)
    return Neighbors(rows[queries], scores[queries])


def fill_lists(
    vectors: Vectors,
    weight: float,
    best: Candidates,
    corrections: Corrections,
    first: np.ndarray,
    threads: int,
    rows: np.ndarray,
    scores: np.ndarray,
    queries: np.ndarray,
    progress: Callable[[float], None] = lambda _: None,
) -> np.ndarray:
    """Write the lists of the `queries`, of the articles with a candidate in their score.

    `rows` and `scores` are (n, k). Return what each last score is above any other article, (n,), inf for
    other rows. If it is not above, some may be missing.
    """
    n, n_terms = len(best.rows), len(vectors.term_offsets) - 1
    lead = np.full(n, np.inf)
    reverse = ReverseExpansion.of(corrections)
    own = _self_similarity(vectors, weight)
    expansion = _records(corrections)
    longest = int(np.diff(vectors.offsets).max(initial=0))
    wanted = np.zeros(n, dtype=bool)
    wanted[queries] = True
    order = _neighbouring(vectors.latent)
    order = order[wanted[order]]
    alone = np.bincount(first, minlength=n)[first] == 1
    columns, rescale = by_frequency(vectors), factors(vectors)

    def part(start: int, end: int) -> None:
        fill_rows(
            order[start:end], vectors.offsets, columns, vectors.values, vectors.latent,
            np.float32(1 - weight), np.float32(weight), corrections.nearest, corrections.feedback,
            corrections.hubs, expansion, reverse.offsets, reverse.rows, first, alone, own, best.rows,
            best.similarity, best.counts, best.floors, np.zeros((n_terms, 2), dtype=np.float32),
            np.zeros(MARKS, dtype=np.uint8), np.full((n, 2), np.nan, dtype=np.float32),
            np.zeros(n, dtype=np.bool_), np.zeros(n), np.zeros(n, dtype=np.bool_),
            np.empty(n, dtype=np.int32), np.empty(longest + 1, dtype=np.int32),
            rescale, rows, scores, lead,
        )  # fmt: skip
        progress((end - start) / len(order))

    list(run_ranges(part, len(order), threads, ranges_per_thread=8))
    return lead


def each_corrected(
    plan: Plan,
    corrections: Corrections,
    first: np.ndarray,
    rows: np.ndarray,
    use: Callable[[int, np.ndarray], Result],
    threads: int,
) -> list[Result]:
    """Return `use(row, scores)` for each of the rows, with the score of every article, (n,) float32.

    Several threads call `use` at once, and the scores are overwritten afterwards.
    """
    nearest = np.where(corrections.nearest == NO_ROW, 0, corrections.nearest)
    expansion, step = _records(corrections), max(1, plan.rows_at_a_time // 2)
    results: list[Result] = []

    def of_lines(block: np.ndarray, similarity: np.ndarray, start: int, end: int) -> list[Result]:
        scores, plain, used = np.empty(len(plan), dtype=np.float32), np.empty(len(plan)), []
        for line in range(start, end):
            row = block[line]
            write_corrected(
                similarity[line], similarity[len(block) + line], np.float64(corrections.feedback[row]),
                corrections.hubs, expansion, first, first[row], plain, scores,
            )  # fmt: skip
            used.append(use(int(row), scores))
        return used

    for block in np.split(rows, range(step, len(rows), step)):
        similarity = plan.similarity(np.concatenate([block, nearest[block]]), threads)
        results.extend(
            chain.from_iterable(run_ranges(partial(of_lines, block, similarity), len(block), threads))
        )
    return results


def _neighbouring(latent: np.ndarray) -> np.ndarray:
    """Return all rows, (n,) int64, similar ones near each other, so that their candidates are in cache."""
    step = max(1, min(len(latent) // _LEADERS, _FOLLOWERS))
    blocks = (latent[start : start + _BLOCK] @ latent[::step].T for start in range(0, len(latent), _BLOCK))
    leaders = np.concatenate([np.argmax(block, axis=1) for block in blocks])
    return np.argsort(leaders, kind="stable")


def factors(vectors: Vectors) -> np.ndarray:
    """Return the `rescale` of all articles, (n,) float32, or (0,) if similarities are not rescaled."""
    return np.zeros(0, np.float32) if vectors.rescale is None else np.asarray(vectors.rescale)


def by_frequency(vectors: Vectors) -> np.ndarray:
    """Return the term of each entry, int32, numbered by frequency, so that those in use are in cache."""
    rank = np.empty(len(vectors.term_offsets) - 1, dtype=np.int32)
    rank[np.argsort(-np.diff(vectors.term_offsets), kind="stable")] = np.arange(len(rank))
    return np.asarray(rank[vectors.columns])


def _records(corrections: Corrections) -> np.ndarray:
    """Return what expands each article, (n, m), each row beside its weight: so one look-up reads both."""
    records = np.empty(corrections.expansion_rows.shape, dtype=EXPANSION)
    records["row"], records["weight"] = corrections.expansion_rows, corrections.expansion_weights
    return records


def _self_similarity(vectors: Vectors, weight: float) -> np.ndarray:
    """Return the similarity of each article to itself, (n,) float32."""
    squares = np.concatenate([[0], np.cumsum(vectors.values.astype(np.float64) ** 2)])
    terms = (squares[vectors.offsets[1:]] - squares[vectors.offsets[:-1]]).astype(np.float32)
    latent = np.einsum("ij,ij->i", vectors.latent, vectors.latent, dtype=np.float32)
    similarity = np.asarray(np.float32(1 - weight) * terms + np.float32(weight) * latent)
    return similarity if vectors.rescale is None else similarity * vectors.rescale
