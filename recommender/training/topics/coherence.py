"""Topic coherence: how often the terms of a topic occur together in the articles of the corpus."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csc_array


def co_occurrences(by_term: csc_array, columns: Sequence[int]) -> np.ndarray:
    """Return the number of articles with each pair of the terms, (m, m) int64; the diagonal is their df.

    `by_term` is (n, terms), 1 if an article has the term.
    """
    present = np.zeros((len(columns), by_term.shape[0]), dtype=np.float32)  # which counts exactly to 2^24
    for place, column in enumerate(columns):
        present[place, by_term.indices[by_term.indptr[column] : by_term.indptr[column + 1]]] = 1
    return np.asarray(present @ present.T).astype(np.int64)


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
