"""The similarities and the scores of pairs of articles, in double precision."""

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import Corrections
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32Rows,
    Int32s,
    Int64Rows,
    Int64s,
    OutFloat64Rows,
    OutFloat64s,
    kernel,
)


def pair_scores(vectors: Vectors, weight: float, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the similarity of each pair of rows `left[i]`, `right[i]`, (m,) float64.

    (1 - weight) x cosine of TF-IDF + weight x cosine in the latent space, uncorrected.
    """
    scores = np.empty(len(left), dtype=np.float64)
    _score_pairs(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight,
        left.astype(np.int64), right.astype(np.int64), scores,
    )  # fmt: skip
    return scores


def list_scores(
    vectors: Vectors,
    weight: float,
    corrections: Corrections,
    first: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    """Return the scores of the articles `right`, (m, width), in the lists of `left`, (m,); float64.

    `first` is that of the near-duplicates: an article and its copies expand no article in its list.
    """
    scores = np.empty(right.shape, dtype=np.float64)
    line = np.zeros(len(vectors.term_offsets) - 1, dtype=np.float64)
    _score_lists(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, corrections.expansion_rows, corrections.expansion_weights,
        first, left.astype(np.int64), right.astype(np.int64), line, scores,
    )  # fmt: skip
    return scores


@kernel
def _score_pairs(
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    weight: float,
    left: Int64s,
    right: Int64s,
    scores: OutFloat64s,
) -> None:
    """Score each pair, adding up terms in ascending order."""
    for pair in range(len(left)):
        a, b = offsets[left[pair]], offsets[right[pair]]
        a_end, b_end = offsets[left[pair] + 1], offsets[right[pair] + 1]
        terms = 0.0
        while a < a_end and b < b_end:
            if columns[a] == columns[b]:
                terms += np.float64(values[a]) * np.float64(values[b])
                a += 1
                b += 1
            elif columns[a] < columns[b]:
                a += 1
            else:
                b += 1
        space = 0.0
        for component in range(latent.shape[1]):
            space += np.float64(latent[left[pair], component]) * np.float64(latent[right[pair], component])
        scores[pair] = (1.0 - weight) * terms + weight * space


@kernel
def _score_lists(  # noqa: C901 one loop over articles, one compiled function
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    weight: float,
    nearest: Int32s,
    feedback: Float32s,
    hubs: Float32s,
    expansion_rows: Int32Rows,
    expansion_weights: Float32Rows,
    first: Int32s,
    left: Int64s,
    right: Int64Rows,
    line: OutFloat64s,
    scores: OutFloat64Rows,
) -> None:
    """Score each row of `right` with the query of `left` in the dense line, which must be zero."""
    direction = np.empty(latent.shape[1], dtype=np.float64)
    for at in range(len(left)):
        query, other = left[at], nearest[left[at]]
        share = np.float64(feedback[query]) if other >= 0 else 0.0
        direction[:] = 0.0
        for part in range(2 if other >= 0 else 1):
            row, part_share = (other, share) if part else (query, 1.0)
            for entry in range(offsets[row], offsets[row + 1]):
                line[columns[entry]] += part_share * values[entry] / (1.0 + share)
            for component in range(len(direction)):
                direction[component] += part_share * latent[row, component] / (1.0 + share)
        for place in range(right.shape[1]):
            score, total = 0.0, 0.0
            for neighbor in range(-1, expansion_rows.shape[1]):
                candidate, part_share = right[at, place], 1.0
                if neighbor >= 0:
                    part_share = np.float64(expansion_weights[candidate, neighbor])
                    candidate = expansion_rows[candidate, neighbor]
                    if first[candidate] == first[query] or part_share == 0.0:
                        continue
                terms, space = 0.0, 0.0
                for entry in range(offsets[candidate], offsets[candidate + 1]):
                    terms += line[columns[entry]] * values[entry]
                for component in range(len(direction)):
                    space += direction[component] * latent[candidate, component]
                score += part_share * ((1.0 - weight) * terms + weight * space - hubs[candidate])
                total += part_share
            scores[at, place] = score / total
        for row in (query, max(other, 0)):
            for entry in range(offsets[row], offsets[row + 1]):
                line[columns[entry]] = 0.0
