"""Scores in double precision: of pairs, of candidate lists, and of a row against all articles."""

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import Corrections
from recommender.training.kernels import kernel


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
    vectors: Vectors, weight: float, corrections: Corrections, rows: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Return the score of each candidate for its row, (m, width) float32; minus infinity for NO_ROW.

    `rows` is (m,), `candidates` (m, width).
    """
    scores = np.empty(candidates.shape, dtype=np.float32)
    n_terms = len(vectors.term_offsets) - 1
    _score_lists(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, rows, candidates, np.zeros(n_terms, dtype=np.float32),
        np.zeros(n_terms // 8 + 1, dtype=np.uint8), scores,
    )  # fmt: skip
    return scores


def row_scores(vectors: Vectors, weight: float, corrections: Corrections, row: int) -> np.ndarray:
    """Return the score of every article for a row, (n,) float32, bit-identical to `list_scores`."""
    scores = np.zeros(len(vectors.offsets) - 1, dtype=np.float64)
    _score_row(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, vectors.term_offsets, vectors.term_rows,
        vectors.term_values, row, scores,
    )  # fmt: skip
    return scores.astype(np.float32)


@kernel
def _score_pairs(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    left: np.ndarray,
    right: np.ndarray,
    scores: np.ndarray,
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
def _moved_terms(
    offsets: np.ndarray, columns: np.ndarray, values: np.ndarray, row: int, other: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of a row moved towards another row, ascending, and their float32 values."""
    a, a_end = offsets[row], offsets[row + 1]
    b, b_end = (offsets[other], offsets[other + 1]) if other >= 0 else (0, 0)
    terms = np.empty(a_end - a + b_end - b, dtype=np.int32)
    moved = np.empty(len(terms), dtype=np.float32)
    out = 0
    while a < a_end or b < b_end:
        value = 0.0
        term = columns[a] if a < a_end and (b >= b_end or columns[a] <= columns[b]) else columns[b]
        if a < a_end and columns[a] == term:
            value += np.float64(values[a])
            a += 1
        if b < b_end and columns[b] == term:
            value += share * np.float64(values[b])
            b += 1
        terms[out], moved[out] = term, np.float32(value / (1.0 + share))
        out += 1
    return terms[:out], moved[:out]


@kernel
def _moved_latent(latent: np.ndarray, row: int, other: int, share: float) -> np.ndarray:
    """Return the latent vector of a row moved towards another row, float32."""
    moved = np.empty(latent.shape[1], dtype=np.float32)
    for component in range(latent.shape[1]):
        value = np.float64(latent[row, component])
        if other >= 0:
            value += share * np.float64(latent[other, component])
        moved[component] = np.float32(value / (1.0 + share))
    return moved


@kernel
def _score_lists(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    nearest: np.ndarray,
    feedback: np.ndarray,
    hubs: np.ndarray,
    rows: np.ndarray,
    candidates: np.ndarray,
    line: np.ndarray,
    marks: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Score candidates against each row's moved vector, written densely to `line`.

    `line` and `marks` must be zero. `marks` has one bit per term that is set if the row has the term: the
    bits fit into a processor's cache, so most lookups in `line` are avoided.
    """
    for at in range(len(rows)):
        row, other = rows[at], nearest[rows[at]]
        share = np.float64(feedback[row])
        terms, moved = _moved_terms(offsets, columns, values, row, other, share)
        direction = _moved_latent(latent, row, other, share)
        for i in range(len(terms)):
            line[terms[i]] = moved[i]
            marks[terms[i] >> 3] |= np.uint8(1 << (terms[i] & 7))
        for place in range(candidates.shape[1]):
            candidate = candidates[at, place]
            if candidate < 0:
                scores[at, place] = -np.inf
                continue
            total = 0.0
            for entry in range(offsets[candidate], offsets[candidate + 1]):
                term = columns[entry]
                if marks[term >> 3] >> (term & 7) & 1:
                    total += np.float64(line[term]) * np.float64(values[entry])
            space = 0.0
            for component in range(latent.shape[1]):
                space += np.float64(direction[component]) * np.float64(latent[candidate, component])
            similarity = (1.0 - weight) * total + weight * space
            scores[at, place] = np.float32(similarity - np.float64(hubs[candidate]))
        for i in range(len(terms)):
            line[terms[i]] = 0.0
            marks[terms[i] >> 3] = 0


@kernel
def _score_row(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    nearest: np.ndarray,
    feedback: np.ndarray,
    hubs: np.ndarray,
    term_offsets: np.ndarray,
    term_rows: np.ndarray,
    term_values: np.ndarray,
    row: int,
    scores: np.ndarray,
) -> None:
    """Score a row against all, adding up in the same order as `_score_lists`; `scores` must be zero."""
    share = np.float64(feedback[row])
    terms, moved = _moved_terms(offsets, columns, values, row, nearest[row], share)
    direction = _moved_latent(latent, row, nearest[row], share)
    for i in range(len(terms)):
        value = np.float64(moved[i])
        for posting in range(term_offsets[terms[i]], term_offsets[terms[i] + 1]):
            scores[term_rows[posting]] += value * np.float64(term_values[posting])
    for other in range(len(scores)):
        space = 0.0
        for component in range(latent.shape[1]):
            space += np.float64(direction[component]) * np.float64(latent[other, component])
        scores[other] = (1.0 - weight) * scores[other] + weight * space - np.float64(hubs[other])
