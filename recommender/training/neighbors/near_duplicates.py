"""Near-duplicates: the same text published more than once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, NearDuplicates
from recommender.training.kernels import run_ranges
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.pairs import pair_scores

_BLOCK = 65_536  # pairs that are Python objects at a time; a text published often has millions
_MARGIN = 1e-4  # more than the length of a vector that fixed point takes away, and rounding

SameText = Callable[[int, int], bool]


def find_near_duplicates(
    vectors: Vectors,
    best: Candidates,
    weight: float,
    similarity: float,
    same_text: SameText = lambda *_: True,
    threads: int = 1,
) -> NearDuplicates:
    """Return the clusters of articles that are connected by near-duplicates.

    Two articles are near-duplicates if their TF-IDF cosine is at least `similarity`, and `same_text`, called
    with their rows, is true. Only the candidates in `best` are checked. If an article has more
    near-duplicates than candidates, some of them may form another cluster.
    """
    n = len(best.rows)
    # The latent cosine is at least -1, so the similarity of near-duplicates is at least this lower bound.
    possible = (best.rows != NO_ROW) & (best.similarity >= (1 - weight) * similarity - weight - _MARGIN)
    left, places = np.nonzero(possible)
    right = best.rows[left, places]
    terms = replace(vectors, rescale=None)

    def cosines(start: int, end: int) -> np.ndarray:
        return pair_scores(terms, 0.0, left[start:end], right[start:end])

    alike = np.concatenate(list(run_ranges(cosines, len(left), threads))) >= similarity
    left, right = left[alike], right[alike]
    pairs = np.unique(np.minimum(left, right) * n + np.maximum(left, right))  # each pair as one number
    first = list(range(n))  # a lower row of the same cluster, or the row itself

    def lowest(row: int) -> int:
        while first[row] != row:
            first[row] = row = first[first[row]]
        return row

    for start in range(0, len(pairs), _BLOCK):
        for pair in pairs[start : start + _BLOCK].tolist():
            one, other = divmod(pair, n)
            low, high = sorted((lowest(one), lowest(other)))
            if low != high and same_text(one, other):
                first[high] = low
    return NearDuplicates(np.array([lowest(row) for row in range(n)], dtype=np.int32))
