"""Compiled scoring for an evaluation: pairs of articles in many lists, and queries against all articles."""

from collections.abc import Sequence

import numpy as np

from recommender.embedding import Embedding
from recommender.model import Vectors
from recommender.training.kernels import (
    Float32s,
    Int32s,
    Int64Rows,
    Int64s,
    OutFloat32s,
    OutFloat64Rows,
    OutFloat64s,
    kernel,
)


def group_cosines(vectors: Vectors, groups: np.ndarray) -> np.ndarray:
    """Return the TF-IDF cosine of every pair in each group, (g, pairs) float64, NaN for a missing row.

    `groups` is (g, m) of rows, padded with NO_ROW; the pairs are in the order of `np.triu_indices(m, 1)`.
    """
    missing = groups < 0
    begins, ends = (np.where(missing, 0, vectors.offsets[groups + end]) for end in (0, 1))
    left, right = np.triu_indices(groups.shape[1], 1)
    cosines = np.empty((len(groups), len(left)))
    dense = np.zeros(len(vectors.term_offsets) - 1, dtype=np.float32)
    _score_groups(begins, ends, vectors.columns, vectors.values, dense, cosines)
    cosines[missing[:, left] | missing[:, right]] = np.nan
    return cosines


def scores_of_all(vectors: Vectors, queries: Sequence[Embedding], weight: float) -> np.ndarray:
    """Return the similarity of every article to each query, (queries, n) float64, as `Vectors.scores`.

    Queries are multiplied with the latent space together, so a score may differ from that of a query alone
    by a rounding error.
    """
    terms = np.zeros((len(queries), len(vectors.offsets) - 1))
    for query, scores in zip(queries, terms, strict=True):
        _add_postings(
            vectors.term_offsets, vectors.term_rows, vectors.term_values,
            query.columns.astype(np.int64), query.values, scores,
        )  # fmt: skip
    latent = vectors.latent @ np.stack([query.latent for query in queries], axis=1)
    scores = np.asarray((1 - weight) * terms + weight * latent.T.astype(np.float64))
    if vectors.rescale is None:
        return scores
    return np.asarray(scores * np.maximum([[query.rescale] for query in queries], vectors.rescale))


@kernel
def _score_groups(
    begins: Int64Rows,
    ends: Int64Rows,
    columns: Int32s,
    values: Float32s,
    dense: OutFloat32s,
    cosines: OutFloat64Rows,
) -> None:
    """Score each pair of each group, adding up terms in ascending order; `dense` is (terms,), all zero.

    `begins` and `ends`, (g, m), are the places of each article's entries in `columns` and `values`.
    """
    for group in range(len(begins)):
        pair = 0
        for first in range(begins.shape[1]):
            for entry in range(begins[group, first], ends[group, first]):
                dense[columns[entry]] = values[entry]
            for second in range(first + 1, begins.shape[1]):
                total = 0.0
                for entry in range(begins[group, second], ends[group, second]):
                    total += np.float64(values[entry]) * np.float64(dense[columns[entry]])
                cosines[group, pair] = total
                pair += 1
            for entry in range(begins[group, first], ends[group, first]):
                dense[columns[entry]] = 0.0


@kernel
def _add_postings(
    term_offsets: Int64s,
    term_rows: Int32s,
    term_values: Float32s,
    columns: Int64s,
    weights: Float32s,
    scores: OutFloat64s,
) -> None:
    """Add the product of each of the query's terms to the score of every article that contains it."""
    for term in range(len(columns)):
        weight = np.float64(weights[term])
        for entry in range(term_offsets[columns[term]], term_offsets[columns[term] + 1]):
            scores[term_rows[entry]] += weight * np.float64(term_values[entry])
