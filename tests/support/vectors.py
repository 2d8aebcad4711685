"""Vectors for tests of nearest neighbours, and their scores by a slow, obvious computation."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from scipy.sparse import csc_array, csr_array

from recommender.model import Vectors
from recommender.neighbors import Corrections, Neighbors


def vectors_of(terms: np.ndarray, latent: np.ndarray) -> Vectors:
    """Return dense rows in the form that training stores, in fixed point."""
    terms, latent = fixed(terms), fixed(latent)
    rows, columns = csr_array(terms), csc_array(terms)
    return Vectors(
        offsets=rows.indptr.astype(np.int64),
        columns=rows.indices.astype(np.int32),
        values=rows.data,
        latent=latent,
        term_offsets=columns.indptr.astype(np.int64),
        term_rows=columns.indices.astype(np.int32),
        term_values=columns.data,
    )


def fixed(rows: np.ndarray) -> np.ndarray:
    """Return dense rows in fixed point, rounded down, so that none gets longer."""
    return np.asarray(np.trunc(rows * 4096) / 4096, dtype=np.float32)


def slow_scores(vectors: Vectors, weight: float) -> np.ndarray:
    """Return all scores in double precision, with minus infinity on the diagonal."""
    terms = np.zeros((len(vectors.offsets) - 1, len(vectors.term_offsets) - 1))
    for row, (start, end) in enumerate(pairwise(vectors.offsets.tolist())):
        terms[row, vectors.columns[start:end]] = vectors.values[start:end]
    latent = vectors.latent.astype(np.float64)
    scores: np.ndarray = (1 - weight) * (terms @ terms.T) + weight * (latent @ latent.T)
    np.fill_diagonal(scores, -np.inf)
    return scores


def slow_squares(vectors: Vectors, weight: float) -> np.ndarray:
    """Return the similarity of each row to itself, (n,)."""
    n = len(vectors.offsets) - 1
    rows = np.repeat(np.arange(n), np.diff(vectors.offsets))
    terms = np.bincount(rows, vectors.values.astype(np.float64) ** 2, minlength=n)
    return np.asarray((1 - weight) * terms + weight * (vectors.latent.astype(np.float64) ** 2).sum(axis=1))


def slow_expanded(
    scores: np.ndarray, corrections: Corrections, first: np.ndarray, queries: Iterable[int]
) -> np.ndarray:
    """Return the scores of all articles for each query, (m, n), after document expansion."""
    n = len(corrections.hubs)
    weights = np.zeros((n, n))
    np.add.at(weights, (np.arange(n)[:, None], corrections.expansion_rows), corrections.expansion_weights)
    expanded = []
    for query, own in zip(queries, scores, strict=True):
        usable = np.eye(n) + np.where(first == first[query], 0, weights)
        expanded.append(usable @ own / usable.sum(axis=1))
    return np.array(expanded)


def check_against(scores: np.ndarray, best: np.ndarray, neighbors: Neighbors) -> None:
    """Compare neighbours with all scores, and with `best`, the k highest scores of each row."""
    own = scores[np.arange(len(scores))[:, None], neighbors.rows]

    assert neighbors.rows.shape == neighbors.scores.shape == best.shape
    # Rows may differ from the best only if scores are equal; each score is that of its row; no row twice.
    np.testing.assert_allclose(own, best, rtol=0, atol=1e-6)
    np.testing.assert_allclose(neighbors.scores, own, rtol=0, atol=1e-6)
    assert all(len(set(rows)) == len(rows) for rows in neighbors.rows.tolist())
    # Best first, equal scores in row order.
    step = np.diff(neighbors.scores, axis=1)
    assert np.all((step < 0) | ((step == 0) & (np.diff(neighbors.rows, axis=1) > 0)))


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the k highest scores of each row, best first."""
    return -np.sort(np.partition(-scores, k - 1, axis=1)[:, :k], axis=1)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return the rows scaled to unit length; rows of zeros are unchanged."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))
