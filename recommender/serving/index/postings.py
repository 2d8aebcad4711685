"""The vectors of a snapshot: those of the model, followed by those of live articles in segments."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from recommender.embedding import Embedding, sums_of_postings
from recommender.model import Vectors

_MERGE_RATIO = 8  # a new segment merges the previous one if it has at least an eighth of its articles


@dataclass(frozen=True)
class Postings:
    """Posting lists of some articles, one per term, so that scoring reads only the terms of the query."""

    columns: np.ndarray  # (t,) int32, the terms that occur, ascending
    offsets: np.ndarray  # (t + 1,) int64; term i has entries offsets[i]:offsets[i + 1]
    rows: np.ndarray  # (entries,) int32, ascending in each term
    values: np.ndarray  # (entries,) float32
    latent: np.ndarray  # (m, n_components) float32
    rescale: np.ndarray  # (m,) float32, as in `Vectors`

    @classmethod
    def of(cls, embeddings: Sequence[Embedding]) -> "Postings":
        """Return the postings of at least one article; row i is embedding i."""
        columns = np.concatenate([embedding.columns for embedding in embeddings])
        values = np.concatenate([embedding.values for embedding in embeddings])
        sizes = [len(embedding.columns) for embedding in embeddings]
        rows = np.repeat(np.arange(len(embeddings), dtype=np.int32), sizes)
        order = np.argsort(columns, kind="stable")
        terms, counts = np.unique(columns, return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        latent = np.stack([embedding.latent for embedding in embeddings])
        rescale = np.array([embedding.rescale for embedding in embeddings], dtype=np.float32)
        return cls(terms, offsets, rows[order], values[order], latent, rescale)

    def __len__(self) -> int:
        """Return the number of articles."""
        return len(self.latent)

    def postings(self, terms: range) -> tuple[np.ndarray, np.ndarray]:
        """Return the postings of these articles, as `Vectors.postings` does."""
        first, last = np.searchsorted(self.columns, [terms.start, terms.stop])
        inside = slice(self.offsets[first], self.offsets[last])
        return self.rows[inside], self.values[inside]

    def scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the similarity of every article to the query, (m,) float64, like `Vectors.scores`."""
        scores: np.ndarray = weight * (self.latent @ query.latent).astype(np.float64)
        if len(self.columns):
            positions = np.minimum(np.searchsorted(self.columns, query.columns), len(self.columns) - 1)
            is_shared = self.columns[positions] == query.columns
            shared, weights = positions[is_shared], query.values[is_shared].astype(np.float64)
            starts, ends = self.offsets[shared], self.offsets[shared + 1]
            sums = sums_of_postings(self.rows, self.values, starts, ends, weights, len(scores))
            scores += (1 - weight) * sums
        return np.asarray(scores * np.maximum(self.rescale, query.rescale))


@dataclass(frozen=True)
class SnapshotVectors:
    """The embeddings of all articles of a snapshot: n of the model, then m of live articles."""

    model: Vectors
    live: tuple[Embedding, ...] = ()
    expanded: tuple[Embedding, ...] = ()  # what live articles are scored by
    segments: tuple[Postings, ...] = ()  # of the live articles' own terms
    scored: tuple[Postings, ...] = ()  # the same segments, of the expanded embeddings

    @property
    def n_live(self) -> int:
        """The number of live articles."""
        return len(self.live)

    @property
    def segment_starts(self) -> list[int]:
        """The number of the first live article in each segment."""
        return list(accumulate(map(len, self.segments), initial=0))[:-1]

    def of(self, row: int) -> Embedding:
        """Return the embedding of a row."""
        n = len(self.model.latent)
        return self.model.of(row) if row < n else self.live[row - n]

    def latent(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of some rows in the latent space, (len(rows), n_components) float32."""
        return np.stack([self.of(row).latent for row in rows.tolist()])

    def scores_of_live(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the similarity of every live article, not expanded, to the query, (m,) float64."""
        return np.concatenate([np.empty(0), *(segment.scores(query, weight) for segment in self.segments)])

    def live_scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the similarity of every live article, expanded, to the query, (m,) float64."""
        return np.concatenate([np.empty(0), *(segment.scores(query, weight) for segment in self.scored)])

    def postings(self, terms: range) -> tuple[np.ndarray, np.ndarray]:
        """Return the postings of all articles, as `Vectors.postings` does."""
        n = len(self.model.latent)
        entries = [self.model.postings(terms)]
        for start, segment in zip(self.segment_starts, self.segments, strict=True):
            rows, values = segment.postings(terms)
            entries.append((rows + np.int32(n + start), values))
        if len(entries) == 1:
            return entries[0]
        return np.concatenate([rows for rows, _ in entries]), np.concatenate(
            [values for _, values in entries]
        )

    def with_articles(
        self, embeddings: Sequence[Embedding], expanded: Sequence[Embedding]
    ) -> "SnapshotVectors":
        """Return the vectors with these embeddings of live articles, at least one, added."""
        live, all_expanded = (*self.live, *embeddings), (*self.expanded, *expanded)
        segments = list(self.segments)
        start, end = self.n_live, len(live)
        while segments and _MERGE_RATIO * (end - start) >= len(segments[-1]):
            start -= len(segments.pop())
        segments.append(Postings.of(live[start:]))
        scored = (*self.scored[: len(segments) - 1], Postings.of(all_expanded[start:]))
        return SnapshotVectors(self.model, live, all_expanded, tuple(segments), scored)
