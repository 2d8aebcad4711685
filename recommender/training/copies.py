"""Near-duplicates: articles that are one text published more than once."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Copies, Neighbors
from recommender.training.allpairs import pair_scores


def find_copies(vectors: Vectors, neighbors: Neighbors, weight: float, similarity: float) -> Copies:
    """Return the articles whose terms have at least this cosine, and what is connected by such pairs.

    Only neighbours are looked at: of more copies than an article has neighbours, some may form another group.
    """
    n, k = neighbors.rows.shape
    # A cosine in the latent space is at least -1, so no pair below this bound can be one.
    near = (neighbors.rows != NO_ROW) & (neighbors.scores >= (1 - weight) * similarity - weight)
    left, right = np.repeat(np.arange(n), k)[near.ravel()], neighbors.rows[near]
    alike = pair_scores(vectors, 0.0, left, right) >= similarity
    pairs = (np.ones(int(alike.sum()), dtype=bool), (left[alike], right[alike]))
    _, group = connected_components(coo_array(pairs, shape=(n, n)), directed=False)
    lowest = np.full(n, n, dtype=np.int32)
    np.minimum.at(lowest, group, np.arange(n, dtype=np.int32))
    return Copies(lowest[group])
