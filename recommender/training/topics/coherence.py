"""Topic coherence: how often the terms of a topic occur together in the articles of the corpus."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csc_array


def co_occurrences(by_term: csc_array, columns: Sequence[int]) -> np.ndarray:
    """Return the number of articles with each pair of the terms, (m, m) int64; the diagonal is their df.

    `by_term` is (n, terms), 1 if an article has the term.
    """
    rows_of = [by_term.indices[slice(*by_term.indptr[column : column + 2])] for column in columns]
    place_of = np.zeros(by_term.shape[0], dtype=np.int64)  # among the articles that have any of the terms
    for rows in rows_of:
        place_of[rows] = 1
    place_of = np.cumsum(place_of) - 1
    present = np.zeros((len(columns), place_of[-1] + 1 if len(place_of) else 0), dtype=np.float32)
    for number, rows in enumerate(rows_of):
        present[number, place_of[rows]] = 1
    return np.asarray(present @ present.T).astype(np.int64)  # float32 is exact up to 2^24 articles


def npmi(counts: np.ndarray, n: int) -> float:
    """Return the mean normalized pointwise mutual information of all pairs of terms in n articles.

    It is 1 if the terms only occur together, 0 if they are independent, -1 if they never occur together; 0
    for a single term. `counts` is the result of `co_occurrences`. Bouma 2009; for topics Lau, Newman and
    Baldwin 2014.
    """
    left, right = np.triu_indices(len(counts), 1)
    if not len(left):
        return 0.0
    df = np.diag(counts).astype(np.float64)
    share = counts[left, right] / n
    with np.errstate(divide="ignore", invalid="ignore"):  # shares 0 and 1 are set below
        pairs = np.log(share * n * n / (df[left] * df[right])) / -np.log(share)
    pairs[share == 0] = -1.0
    pairs[share == 1] = 1.0
    return float(pairs.mean())
