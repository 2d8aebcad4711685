"""Similarity scores of selected articles, without scoring the whole corpus."""

from dataclasses import dataclass

import numpy as np

from recommender.embedding import Embedding
from recommender.serving.index.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class GatheredRows:
    """The vectors of some rows, side by side; the terms of all rows are in the same arrays."""

    columns: np.ndarray  # (terms,) int32
    values: np.ndarray  # (terms,) float64
    owners: np.ndarray  # (terms,) positions among the rows
    latent: np.ndarray  # (rows, dimensions) float64
    rescale: np.ndarray  # (rows,) float64, as in `Vectors`


class SimilarityScorer:
    """Scores articles against one embedding: (1 - w) x cosine of terms + w x cosine in the latent space."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._vectors = snapshot.vectors
        self._weight = snapshot.latent_weight
        # One dense row of terms. The system allocates only the memory pages that are written to.
        self._dense = np.zeros(len(snapshot.vocabulary.terms), dtype=np.float32)

    def of(self, point: Embedding, rows: np.ndarray) -> np.ndarray:
        """Return the score of each row, (m,) float64. It does not depend on the other rows, bit for bit."""
        return self.of_gathered(point, self.gathered(rows)) if len(rows) else np.zeros(0)

    def gathered(self, rows: np.ndarray) -> GatheredRows:
        """Return the vectors of the rows, at least one, side by side, to score them several times."""
        embeddings = [self._vectors.of(row) for row in rows]
        return GatheredRows(
            columns=np.concatenate([embedding.columns for embedding in embeddings]),
            values=np.concatenate([embedding.values for embedding in embeddings]).astype(np.float64),
            owners=np.repeat(np.arange(len(rows)), [len(embedding.columns) for embedding in embeddings]),
            latent=np.array([embedding.latent for embedding in embeddings], dtype=np.float64),
            rescale=np.array([embedding.rescale for embedding in embeddings]),
        )

    def of_gathered(self, point: Embedding, rows: GatheredRows) -> np.ndarray:
        """Return the score of each row, as `of` does."""
        self._dense[point.columns] = point.values
        term_scores = np.bincount(
            rows.owners, self._dense[rows.columns] * rows.values, minlength=len(rows.latent)
        )
        self._dense[point.columns] = 0
        latent_scores = np.einsum("ij,j->i", rows.latent, point.latent.astype(np.float64))
        scores: np.ndarray = (1 - self._weight) * term_scores + self._weight * latent_scores
        return np.asarray(scores * np.maximum(rows.rescale, point.rescale))
