"""Fold-in: the embedding and neighbours of an article that the model was not trained on.

The article is scored against the whole model once, in both directions: for its own neighbours, and for the
articles in whose lists it is `similar`. The result depends on the article and the model alone, because
feedback and hubness are computed from articles of the model. So it is the same in every worker, whatever
arrived before. It is stored in the database with the article, and computed only once.
"""

import struct
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from recommender.article import Article
from recommender.digests import NEAREST, penalty, title_keys
from recommender.embedding import Embedding
from recommender.hubs import HubSample
from recommender.model import Model
from recommender.neighbors import NO_ROW, top_k

_COPY_CANDIDATES = 64  # the most similar articles, which are checked for near-duplicates
_EXPANDING_TERMS = 64  # the heaviest terms of each neighbour that expand a live article
_HEAD = struct.Struct("<6i3d")
_sample = lru_cache(maxsize=2)(HubSample.of)


@dataclass(frozen=True, slots=True)
class FoldedArticle:
    """An article folded into a model; all rows are rows of the model."""

    embedding: Embedding
    nearest: int  # the row that its query moves towards (pseudo-relevance feedback), or NO_ROW
    feedback: float  # the weight of that row in the query
    expanded: Embedding  # what it is scored by: its embedding moved towards its neighbours
    hub: float  # subtracted from its scores: the weighted mean of its own penalty and its neighbours' ones
    neighbors: np.ndarray  # (<= k,) int32, its most similar articles, best first
    neighbor_scores: np.ndarray  # float32
    reverse_neighbors: np.ndarray  # (m,) int32, the articles in whose lists it is `similar`, ascending
    reverse_scores: np.ndarray  # float32
    copies: np.ndarray  # int32, its near-duplicates
    unknown_share: float  # share of its distinct terms that are not in the vocabulary

    @classmethod
    def empty(cls, model: Model) -> "FoldedArticle":
        """Return the fold-in of an article that is similar to no other, and has no neighbours."""
        rows, scores = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        embedding = _embedding(model, rows, scores, np.zeros(model.vectors.latent.shape[1], np.float32))
        return cls(embedding, NO_ROW, 0.0, embedding, 0.0, rows, scores, rows, scores, rows, 0.0)

    def to_bytes(self) -> bytes:
        """Return its serialized form for the store."""
        arrays = self._arrays()
        head = _HEAD.pack(
            self.nearest, len(self.embedding.columns), len(self.expanded.columns), len(self.neighbors),
            len(self.reverse_neighbors), len(self.copies), self.feedback, self.hub, self.unknown_share,
        )  # fmt: skip
        return head + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, blob: bytes, model: Model) -> "FoldedArticle":
        """Return the article that `to_bytes` serialized. Raises ValueError for anything else."""
        n_components = model.vectors.latent.shape[1]
        if len(blob) < _HEAD.size:
            raise ValueError(f"a folded-in article has {len(blob)} bytes, fewer than its header")
        nearest, terms, expanded, neighbors, reverse, copies, feedback, hub, unknown = _HEAD.unpack_from(blob)
        sizes = [
            (np.int32, terms), (np.float32, terms), (np.float32, n_components),
            (np.int32, expanded), (np.float32, expanded), (np.float32, n_components), (np.int32, neighbors),
            (np.float32, neighbors), (np.int32, reverse), (np.float32, reverse), (np.int32, copies),
        ]  # fmt: skip
        expected = _HEAD.size + 4 * sum(size for _, size in sizes)
        if min(terms, expanded, neighbors, reverse, copies) < 0 or len(blob) != expected:
            raise ValueError(f"a folded-in article has {len(blob)} bytes, but its header says {expected}")
        arrays: list[np.ndarray] = []
        offset = _HEAD.size
        for dtype, size in sizes:
            arrays.append(np.frombuffer(blob, dtype=dtype, count=size, offset=offset))
            offset += 4 * size
        embedding, expanded = _embedding(model, *arrays[:3]), _embedding(model, *arrays[3:6])
        rows, scores, reverse_rows, reverse_scores, copy_rows = arrays[6:]
        return cls(
            embedding, nearest, feedback, expanded, hub,
            rows, scores, reverse_rows, reverse_scores, copy_rows, unknown,
        )  # fmt: skip

    def _arrays(self) -> list[np.ndarray]:
        return [
            *_arrays_of(self.embedding), *_arrays_of(self.expanded), self.neighbors, self.neighbor_scores,
            self.reverse_neighbors, self.reverse_scores, self.copies,
        ]  # fmt: skip


def _embedding(model: Model, columns: np.ndarray, values: np.ndarray, latent: np.ndarray) -> Embedding:
    adapted = model.manifest.adapted
    rescale = float(adapted.rescale(latent)) if adapted.vector_length else 1.0
    return Embedding(columns, values, latent, rescale)


def _arrays_of(own: Embedding) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return own.columns.astype(np.int32), own.values.astype(np.float32), own.latent.astype(np.float32)


def fold_in(model: Model, article: Article) -> FoldedArticle:
    """Return the article folded into the model, computed as in training.

    If the model contains an earlier state of the article, with the same id, that row is ignored.
    """
    counts = Counter(model.rules.terms(article.title, article.body, article.lang))
    own = model.with_vector(model.vocabulary.embed_counts(counts), article.vector)
    unknown = 1 - len(own.columns) / len(counts) if counts else 0.0
    row = model.articles.ids.find(article.id)
    ignored = [] if row is None else [row]
    similarities = model.vectors.scores(own, model.latent_weight)
    nearest = model.nearest(article, own, similarities, ignored)
    feedback = model.manifest.adapted.feedback * similarities[nearest[:1]].astype(np.float32)
    moves = bool(feedback.any())
    first, share = (int(nearest[0]), float(feedback[0])) if moves else (NO_ROW, 0.0)
    copies = _copies(model, article, own, similarities, ignored)
    hidden = [*ignored, *copies.tolist()]
    neighbors, neighbor_scores = _neighbors(model, similarities, first, share, hidden, ignored)
    weights = model.manifest.adapted.expansion * similarities[nearest] / np.arange(1, len(nearest) + 1)
    hub = _hub(model, similarities, ignored) + _digest_penalty(model, article.title, similarities, hidden)
    scored = _Scored(model, own, nearest, weights, hub)
    expanded, mean_hub = scored.expanded(np.ones(len(nearest), dtype=bool))
    reverse_neighbors, reverse_scores = scored.reverse_neighbors(expanded, mean_hub, ignored)
    return FoldedArticle(
        embedding=own,
        nearest=first,
        feedback=share,
        expanded=expanded,
        hub=mean_hub,
        neighbors=neighbors,
        neighbor_scores=neighbor_scores,
        reverse_neighbors=reverse_neighbors,
        reverse_scores=reverse_scores,
        copies=copies,
        unknown_share=unknown,
    )


@dataclass(frozen=True, slots=True)
class _Scored:
    """An article as a candidate in the lists of the model's articles."""

    model: Model
    own: Embedding
    nearest: np.ndarray  # (<= 3,) int64, the rows that expand it
    weights: np.ndarray  # (<= 3,) float64
    hub: float  # its own penalty

    def expanded(self, used: np.ndarray) -> tuple[Embedding, float]:
        """Return the embedding moved towards the `used` of the nearest rows, and the mean of their penalties.

        Only the largest terms of each neighbour are used: with all of them, postings are four times as long.
        """
        rows, weights = self.nearest[used], self.weights[used]
        neighbors = (self.model.vectors.of(row).heaviest(_EXPANDING_TERMS) for row in rows.tolist())
        moved = (
            self.own.moved(list(zip(neighbors, weights.tolist(), strict=True))) if weights.any() else self.own
        )
        return moved, float((self.hub + weights @ self.model.corrections.hubs[rows]) / (1 + weights.sum()))

    def reverse_neighbors(
        self, expanded: Embedding, hub: float, ignored: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the articles in whose lists it is `similar`, ascending, and its scores there.

        `expanded` and `hub` are its embedding and penalty with all of the nearest rows.
        """
        model = self.model
        known = model.vectors.scores(expanded, model.latent_weight)
        share = model.corrections.feedback.astype(np.float64)
        moved = (known + share * known[model.corrections.nearest]) / (1 + share)
        scores = (moved - hub).astype(np.float32)
        for row in self.nearest.tolist():  # a query and its copies expand no article
            others, penalty_of_others = self.expanded(
                model.copies.first[self.nearest] != model.copies.first[row]
            )
            for query in (row, *model.copies.of(row)):
                similarity = others.similarity(model.query_of(query).moved, model.latent_weight)
                scores[query] = similarity - penalty_of_others
        is_similar = scores > model.manifest.similar_above
        is_similar[ignored] = False
        rows = np.flatnonzero(is_similar).astype(np.int32)
        return rows, scores[rows]


def _neighbors(
    model: Model, similarities: np.ndarray, nearest: int, share: float, hidden: list[int], ignored: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    scores = model.corrections.scores(model.moved(similarities, nearest, share), hidden)
    rows = top_k(scores, model.neighbors.rows.shape[1], np.delete(np.arange(len(scores)), ignored))
    return rows.astype(np.int32), scores[rows]


def _hub(model: Model, similarities: np.ndarray, ignored: list[int]) -> float:
    manifest = model.manifest
    if not manifest.adapted.hub_correction:
        return 0.0
    sample = _sample(len(similarities), manifest.recipe.seed)
    others = similarities.copy()
    others[ignored] = np.inf  # like a near-duplicate, which the sample leaves out
    nearness = sample.hubness(others, manifest.recipe.neighbors.copy_similarity)
    return manifest.adapted.hub_correction * max(nearness - manifest.hub_floor, 0.0)


def _digest_penalty(model: Model, title: str, similarities: np.ndarray, hidden: list[int]) -> float:
    if title_keys(title).isdisjoint(model.manifest.digests):
        return 0.0
    scores = similarities - model.corrections.hubs
    nearest = top_k(scores, NEAREST, np.delete(np.arange(len(scores)), hidden)).tolist()
    pairs = combinations([model.vectors.of(row) for row in nearest], 2)
    among = float(np.mean([left.similarity(right, model.latent_weight) for left, right in pairs]))
    return float(penalty(float(similarities[nearest].max()), among))


def _copies(
    model: Model, article: Article, own: Embedding, similarities: np.ndarray, ignored: list[int]
) -> np.ndarray:
    least, weight = model.manifest.recipe.neighbors.copy_similarity, model.latent_weight
    candidates = top_k(similarities, _COPY_CANDIDATES, np.delete(np.arange(len(similarities)), ignored))
    # A cosine in the latent space is at least -1, so an article below this bound cannot be a near-duplicate.
    possible = candidates[similarities[candidates] >= (1 - weight) * least - weight]
    return np.array(list(model.copies_of(article, own, possible.tolist())), dtype=np.int32)
