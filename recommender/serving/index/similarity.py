"""Similarity scores of selected articles, without scoring the whole corpus."""

import numpy as np

from recommender.embedding import Embedding
from recommender.serving.index.snapshot import Snapshot


class SimilarityScorer:
    """Scores articles against one embedding: (1 - w) x cosine of terms + w x cosine in the latent space."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._vectors = snapshot.vectors
        self._weight = snapshot.latent_weight
        # One dense row of terms. The system allocates only the memory pages that are written to.
        self._dense = np.zeros(len(snapshot.vocabulary.terms), dtype=np.float32)

    def of(self, point: Embedding, rows: np.ndarray) -> np.ndarray:
        """Return the score of each row, (m,) float64. It does not depend on the other rows, bit for bit."""
        if not len(rows):
            return np.zeros(0)
        self._dense[point.columns] = point.values
        embeddings = [self._vectors.of(row) for row in rows]
        columns = np.concatenate([embedding.columns for embedding in embeddings])
        values = np.concatenate([embedding.values for embedding in embeddings]).astype(np.float64)
        owners = np.repeat(np.arange(len(embeddings)), [len(embedding.columns) for embedding in embeddings])
        term_scores = np.bincount(owners, self._dense[columns] * values, minlength=len(embeddings))
        self._dense[point.columns] = 0
        latent = np.array([embedding.latent for embedding in embeddings], dtype=np.float64)
        latent_scores = np.einsum("ij,j->i", latent, point.latent.astype(np.float64))
        scores: np.ndarray = (1 - self._weight) * term_scores + self._weight * latent_scores
        return scores
