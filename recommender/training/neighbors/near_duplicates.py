"""Near-duplicates: the same text published more than once."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, NearDuplicates
from recommender.training.neighbors.exact import pair_scores
from recommender.training.neighbors.tiles import Best

_MARGIN = 1e-4  # more than the error of a score in single precision


def find_near_duplicates(
    vectors: Vectors, best: Best, hubs: np.ndarray, weight: float, similarity: float
) -> NearDuplicates:
    """Return the clusters of articles connected by pairs whose TF-IDF cosine is at least `similarity`.

    Only the candidates in `best` are checked; their scores have the hubness penalties `hubs` subtracted. If
    an article has more near-duplicates than candidates, some of them may form another cluster.
    """
    n, keep = best.rows.shape
    # The latent cosine is at least -1, so the similarity of near-duplicates is at least this lower bound.
    similarities = best.scores + hubs[best.rows]
    possible = (best.rows != NO_ROW) & (similarities >= (1 - weight) * similarity - weight - _MARGIN)
    left, right = np.repeat(np.arange(n), keep)[possible.ravel()], best.rows[possible]
    duplicates = pair_scores(vectors, 0.0, left, right) >= similarity
    pairs = (np.ones(int(duplicates.sum()), dtype=bool), (left[duplicates], right[duplicates]))
    _, group = connected_components(coo_array(pairs, shape=(n, n)), directed=False)
    lowest = np.full(n, n, dtype=np.int32)
    np.minimum.at(lowest, group, np.arange(n, dtype=np.int32))
    return NearDuplicates(lowest[group])
