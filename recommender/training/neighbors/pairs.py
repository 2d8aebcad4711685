"""The similarity of pairs of articles, in double precision."""

import numpy as np

from recommender.model import Vectors
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32s,
    Int64s,
    OutFloat64s,
    exact_sum,
    inner,
    kernel,
)

MARKS = 4096  # bytes of the filter of `mark`


def pair_scores(vectors: Vectors, weight: float, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the similarity of each pair of rows `left[i]`, `right[i]`, (m,) float64.

    (1 - weight) x cosine of TF-IDF + weight x cosine in the latent space, rescaled, uncorrected.
    """
    scores = np.empty(len(left), dtype=np.float64)
    _score_pairs(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight,
        left.astype(np.int64), right.astype(np.int64), scores,
    )  # fmt: skip
    if vectors.rescale is not None:
        scores *= np.maximum(vectors.rescale[left], vectors.rescale[right])
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
        while a < a_end and b < b_end:  # without branches that depend on the terms, which are slow
            one, other = columns[a], columns[b]
            product = np.float64(values[a]) * np.float64(values[b])
            terms += product if one == other else 0.0
            a += one <= other
            b += other <= one
        space = 0.0
        for component in range(latent.shape[1]):
            space += np.float64(latent[left[pair], component]) * np.float64(latent[right[pair], component])
        scores[pair] = (1.0 - weight) * terms + weight * space


@exact_sum
def dot(one: np.ndarray, other: np.ndarray) -> np.float32:
    """Return the dot product of two vectors in fixed point, exactly."""
    total = np.float32(0.0)
    for at in range(len(one)):
        total += one[at] * other[at]
    return total


@inner
def rescaled(similarity: np.float32, rescale: np.ndarray, one: int, other: int) -> np.float32:
    """Return the similarity of two articles, multiplied by the larger of their factors, if there are any."""
    if not len(rescale):
        return similarity
    return similarity * max(rescale[one], rescale[other])  # type: ignore[no-any-return]  # compiled


@inner
def mark(offsets: np.ndarray, columns: np.ndarray, row: int, marks: np.ndarray) -> None:
    """Mark the terms of a row in a filter of 4 KiB (`MARKS`), which stays in the fastest cache."""
    for at in range(offsets[row], offsets[row + 1]):
        term = np.uint32(columns[at])
        marks[(term & np.uint32(0x7FFF)) >> np.uint32(3)] |= np.uint8(1) << np.uint8(term & np.uint32(7))


@inner
def unmark(offsets: np.ndarray, columns: np.ndarray, row: int, marks: np.ndarray) -> None:
    """Undo `mark` for all terms of a row, and of others that share their marks."""
    for at in range(offsets[row], offsets[row + 1]):
        marks[(np.uint32(columns[at]) & np.uint32(0x7FFF)) >> np.uint32(3)] = 0


@inner
def marked(
    offsets: np.ndarray, columns: np.ndarray, row: int, marks: np.ndarray, found: np.ndarray
) -> np.uint32:
    """Write which entries of a row have a marked term, counted from its first one; return their number.

    All entries with a term of the marked rows are among them, and a few others.
    """
    start, count = np.uint64(offsets[row]), np.uint32(0)
    for at in range(np.uint64(offsets[row + 1]) - start):
        term = np.uint32(columns[start + np.uint64(at)])
        found[count] = at
        byte = marks[(term & np.uint32(0x7FFF)) >> np.uint32(3)]
        count += np.uint32((byte >> np.uint8(term & np.uint32(7))) & np.uint8(1))
    return count
