"""The vectors of an edition: those of the model, and of the live articles below them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.embedding import Embedding
from recommender.model import Vectors

_MERGE = 8  # a block of postings takes up the one below, once that has an eighth of its articles


@dataclass(frozen=True)
class Postings:
    """Some articles term by term, so that scoring reads only the terms of the query."""

    columns: np.ndarray  # (t,) int32, the terms that they have, ascending
    offsets: np.ndarray  # (t + 1,) int64; term i has entries offsets[i]:offsets[i + 1]
    rows: np.ndarray  # (entries,) int32, ascending in each term
    values: np.ndarray  # (entries,) float32
    latent: np.ndarray  # (m, n_components) float32

    @classmethod
    def of(cls, embeddings: Sequence[Embedding]) -> "Postings":
        """Return the postings of at least one article; row i is embedding i."""
        columns = np.concatenate([each.columns for each in embeddings])
        values = np.concatenate([each.values for each in embeddings])
        rows = np.repeat(np.arange(len(embeddings), dtype=np.int32), [len(e.columns) for e in embeddings])
        order = np.argsort(columns, kind="stable")
        terms, counts = np.unique(columns, return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        latent = np.stack([each.latent for each in embeddings])
        return cls(terms, offsets, rows[order], values[order], latent)

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.latent)

    def holding(self, terms: range) -> tuple[np.ndarray, np.ndarray]:
        """Return what `Vectors.holding` does, of these articles."""
        first, last = np.searchsorted(self.columns, [terms.start, terms.stop])
        inside = slice(self.offsets[first], self.offsets[last])
        return self.rows[inside], self.values[inside]

    def scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the likeness of every article to the query, (m,) float64, as `Vectors.scores`."""
        scores: np.ndarray = weight * (self.latent @ query.latent).astype(np.float64)
        at = np.minimum(np.searchsorted(self.columns, query.columns), max(len(self.columns) - 1, 0))
        shared = self.columns[at] == query.columns if len(self.columns) else np.zeros(len(at), dtype=bool)
        found = at[shared]
        if not len(found):
            return scores
        starts, ends = self.offsets[found], self.offsets[found + 1]
        spans = [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        rows = np.concatenate([self.rows[span] for span in spans])
        weights = np.repeat(query.values[shared].astype(np.float64), ends - starts)
        products = np.concatenate([self.values[span] for span in spans]) * weights
        scores += (1 - weight) * np.bincount(rows, products, minlength=len(scores))
        return scores


@dataclass(frozen=True)
class LiveVectors:
    """The embeddings of all articles of an edition: n of a model, and below them those of live articles."""

    model: Vectors
    tail: list[Embedding]  # shared with later editions; may be longer than what this edition sees of it
    blocks: tuple[Postings, ...] = ()

    @property
    def live(self) -> int:
        """How many live articles there are."""
        return sum(map(len, self.blocks))

    def of(self, row: int) -> Embedding:
        """Return the embedding of a row."""
        n = len(self.model.latent)
        return self.model.of(row) if row < n else self.tail[row - n]

    def latent(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of some rows in the latent space, (len(rows), n_components) float32."""
        return np.stack([self.of(row).latent for row in rows.tolist()])

    def scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the likeness of every article to the query, (n + m,) float64."""
        return np.concatenate([self.model.scores(query, weight), self.live_scores(query, weight)])

    def holding(self, terms: range) -> tuple[np.ndarray, np.ndarray]:
        """Return what `Vectors.holding` does, of all articles."""
        n = len(self.model.latent)
        found = [self.model.holding(terms)]
        for (start, _), block in zip(self.spans, self.blocks, strict=True):
            rows, values = block.holding(terms)
            found.append((rows + np.int32(n + start), values))
        if len(found) == 1:
            return found[0]
        return np.concatenate([rows for rows, _ in found]), np.concatenate([values for _, values in found])

    def live_scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the likeness of the live articles alone, (m,) float64."""
        return np.concatenate([np.empty(0), *(block.scores(query, weight) for block in self.blocks)])

    @property
    def spans(self) -> list[tuple[int, int]]:
        """From which live article to which each block goes."""
        ends = np.cumsum([len(block) for block in self.blocks]).tolist()
        return list(zip([0, *ends], ends, strict=False))

    def grown(self, count: int) -> "LiveVectors":
        """Return the vectors of an edition that sees so many more of the tail, at least one."""
        end = self.live + count
        start, blocks = self.live, list(self.blocks)
        while blocks and _MERGE * (end - start) >= len(blocks[-1]):
            start -= len(blocks.pop())
        blocks.append(Postings.of(self.tail[start:end]))
        return LiveVectors(self.model, self.tail, tuple(blocks))
