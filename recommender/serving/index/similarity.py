"""Similarity scores of selected articles, without scoring the whole corpus."""

from dataclasses import dataclass

import numpy as np

from recommender.embedding import Embedding
from recommender.serving.index.snapshot import Snapshot

_SLOTS_PER_TERM = 64  # of a table of terms; so one in 64 terms of others is looked up in vain


@dataclass(frozen=True, slots=True)
class GatheredRows:
    """The vectors of some rows, side by side; the terms of all rows are in the same arrays."""

    columns: np.ndarray  # (terms,) int32, ascending in each row
    values: np.ndarray  # (terms,) float64
    owners: np.ndarray  # (terms,) positions among the rows
    latent: np.ndarray  # (rows, dimensions) float64
    rescale: np.ndarray  # (rows,) float64, as in `Vectors`

    @classmethod
    def of(cls, snapshot: Snapshot, rows: np.ndarray) -> "GatheredRows":
        """Return the vectors of rows of a snapshot, in this order, at least one."""
        embeddings = [snapshot.vectors.of(row) for row in rows.tolist()]
        sizes = [len(embedding.columns) for embedding in embeddings]
        return cls(
            columns=np.concatenate([embedding.columns for embedding in embeddings]),
            values=np.concatenate([embedding.values for embedding in embeddings], dtype=np.float64),
            owners=np.repeat(np.arange(len(rows)), sizes),
            latent=np.array([embedding.latent for embedding in embeddings], dtype=np.float64),
            rescale=np.array([embedding.rescale for embedding in embeddings]),
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.latent)


class SharedTerms:
    """Finds the terms that an embedding shares with many articles.

    Most terms of others are ruled out by the last bits of their numbers, in a small table of those that the
    embedding has. An array with a place for each term of the vocabulary would have millions.
    """

    def __init__(self, point: Embedding) -> None:
        self._columns = point.columns
        self._last_bits = np.int64((1 << (_SLOTS_PER_TERM * max(len(point.columns), 1) - 1).bit_length()) - 1)
        self._is_known = np.zeros(int(self._last_bits) + 1, dtype=bool)
        self._is_known[point.columns & self._last_bits] = True

    def of(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the shared terms: in the embedding, and ascending in `columns`, (m,)."""
        if not len(self._columns):
            return (nothing := np.empty(0, dtype=np.int64)), nothing
        possible = np.flatnonzero(self._is_known.take(columns & self._last_bits))
        wanted = columns[possible]
        places = np.minimum(np.searchsorted(self._columns, wanted), len(self._columns) - 1)
        is_shared = self._columns[places] == wanted
        return places[is_shared], possible[is_shared]


class SimilarityScorer:
    """Scores articles against one embedding: (1 - w) x cosine of terms + w x cosine in the latent space."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot, self._weight = snapshot, snapshot.latent_weight

    def of(self, point: Embedding, rows: np.ndarray) -> np.ndarray:
        """Return the score of each row, (m,) float64. It does not depend on the other rows, bit for bit."""
        return self.of_gathered(point, self.gathered(rows)) if len(rows) else np.zeros(0)

    def gathered(self, rows: np.ndarray) -> GatheredRows:
        """Return the vectors of the rows, at least one, side by side, to score them several times."""
        return GatheredRows.of(self._snapshot, rows)

    def of_gathered(self, point: Embedding, rows: GatheredRows) -> np.ndarray:
        """Return the score of each row, as `of` does."""
        ours, theirs = SharedTerms(point).of(rows.columns)
        products = point.values[ours] * rows.values[theirs]
        term_scores = np.bincount(rows.owners[theirs], products, minlength=len(rows))
        latent_scores = np.einsum("ij,j->i", rows.latent, point.latent.astype(np.float64))
        scores: np.ndarray = (1 - self._weight) * term_scores + self._weight * latent_scores
        return np.asarray(scores * np.maximum(rows.rescale, point.rescale))
