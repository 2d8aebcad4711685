"""Scores of a few articles, without those of the rest of the corpus."""

import numpy as np

from recommender.embedding import Embedding
from recommender.serving.index.snapshot import Snapshot


class SimilarityScorer:
    """(1 - w) cosine of terms + w cosine in the latent space, of one point and some articles."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._vectors = snapshot.vectors
        self._weight = snapshot.latent_weight
        # One dense line of terms; only the pages that are written to take up memory.
        self._dense = np.zeros(len(snapshot.vocabulary.terms), dtype=np.float32)

    def of(self, point: Embedding, rows: np.ndarray) -> np.ndarray:
        """Return the score of each of the rows, (m,) float64; the same, bit for bit, in whatever company."""
        if not len(rows):
            return np.zeros(0)
        self._dense[point.columns] = point.values
        found = [self._vectors.of(row) for row in rows]
        columns = np.concatenate([each.columns for each in found])
        values = np.concatenate([each.values for each in found]).astype(np.float64)
        owners = np.repeat(np.arange(len(found)), [len(each.columns) for each in found])
        terms = np.bincount(owners, self._dense[columns] * values, minlength=len(found))
        self._dense[point.columns] = 0
        latent = np.array([each.latent for each in found], dtype=np.float64)
        near = np.einsum("ij,j->i", latent, point.latent.astype(np.float64))
        scores: np.ndarray = (1 - self._weight) * terms + self._weight * near
        return scores
