"""Where an article that the model was not trained on lies in it: what training computes, for one article."""

import struct
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from recommender.article import Article
from recommender.embedding import Embedding
from recommender.hubs import HubSample
from recommender.model import Model
from recommender.neighbors import NO_ROW, top_k

_COPIES_LOOKED_AT = 64  # nearest articles, among which the copies are
_HEAD = struct.Struct("<5i3d")
_sample = lru_cache(maxsize=2)(HubSample.of)


@dataclass(frozen=True, slots=True)
class FoldedArticle:
    """An article beside the articles of one model, as rows of the model.

    It depends on the article and the model alone, so that every worker has the same.
    """

    embedding: Embedding
    nearest: int  # towards which article it moves as a query, NO_ROW for none
    feedback: float  # and how far
    hub: float  # by how much it is set back
    near: np.ndarray  # (<= k,) int32, its most similar articles, best first
    near_scores: np.ndarray  # float32
    reached: np.ndarray  # (m,) int32, the articles to which it is similar
    reached_scores: np.ndarray  # float32
    copies: np.ndarray  # int32, of which it is a near-duplicate
    unknown_share: float  # of its distinct terms, how many the model does not know

    def to_bytes(self) -> bytes:
        """Return it for the store."""
        arrays = self._arrays()
        head = _HEAD.pack(
            self.nearest, len(self.embedding.columns), len(self.near), len(self.reached), len(self.copies),
            self.feedback, self.hub, self.unknown_share,
        )  # fmt: skip
        return head + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, blob: bytes, n_components: int) -> "FoldedArticle":
        """Return what `to_bytes` wrote. Raises ValueError for anything else."""
        if len(blob) < _HEAD.size:
            raise ValueError("a placement is cut short")
        nearest, terms, near, reached, copies, feedback, hub, unknown = _HEAD.unpack_from(blob)
        sizes = [
            (np.int32, terms), (np.float32, terms), (np.float32, n_components), (np.int32, near),
            (np.float32, near), (np.int32, reached), (np.float32, reached), (np.int32, copies),
        ]  # fmt: skip
        if min(terms, near, reached, copies) < 0 or len(blob) != _HEAD.size + 4 * sum(n for _, n in sizes):
            raise ValueError("a placement has another length than it says")
        arrays: list[np.ndarray] = []
        at = _HEAD.size
        for kind, size in sizes:
            arrays.append(np.frombuffer(blob, dtype=kind, count=size, offset=at))
            at += 4 * size
        columns, values, latent, near, near_scores, reached, reached_scores, copies = arrays
        return cls(
            Embedding(columns, values, latent), nearest, feedback, hub,
            near, near_scores, reached, reached_scores, copies, unknown,
        )  # fmt: skip

    def _arrays(self) -> list[np.ndarray]:
        own = self.embedding
        return [
            own.columns.astype(np.int32), own.values.astype(np.float32), own.latent.astype(np.float32),
            self.near, self.near_scores, self.reached, self.reached_scores, self.copies,
        ]  # fmt: skip


def fold_in(model: Model, article: Article) -> FoldedArticle:
    """Return where the article lies.

    What the model knows under the article's own id, an earlier state of it, counts for nothing.
    """
    counts = Counter(model.rules.terms(article.title, article.body, article.lang))
    own = model.vocabulary.embed_counts(counts)
    unknown = 1 - len(own.columns) / len(counts) if counts else 0.0
    row = model.articles.ids.find(article.id)
    former = [] if row is None else [row]
    likeness = model.vectors.scores(own, model.latent_weight)
    likeness[former] = -np.inf
    nearest, share = model.nearest(own, likeness, former)
    near, near_scores = _near(model, likeness, nearest, share)
    hub = _hub(model, likeness)
    reached, reached_scores = _reached(model, likeness, hub)
    return FoldedArticle(
        embedding=own,
        nearest=nearest,
        feedback=share,
        hub=hub,
        near=near,
        near_scores=near_scores,
        reached=reached,
        reached_scores=reached_scores,
        copies=_copies(model, own, likeness),
        unknown_share=unknown,
    )


def _near(model: Model, likeness: np.ndarray, nearest: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    moved = likeness
    if nearest != NO_ROW:
        towards = model.vectors.scores(model.vectors.of(nearest), model.latent_weight)
        moved = (likeness + share * towards) / (1 + share)
    scores = (moved - model.corrections.hubs).astype(np.float32)
    rows = top_k(scores, model.neighbors.rows.shape[1], np.flatnonzero(np.isfinite(scores)))
    return rows.astype(np.int32), scores[rows]


def _hub(model: Model, likeness: np.ndarray) -> float:
    manifest = model.manifest
    if not manifest.adapted.hub_correction:
        return 0.0
    sample = _sample(len(likeness), manifest.recipe.seed)
    known = np.where(np.isfinite(likeness), likeness, np.inf)  # the former state counts as a copy
    hubness = sample.hubness(known, manifest.recipe.neighbors.copy_similarity)
    return manifest.adapted.hub_correction * max(hubness - manifest.hub_floor, 0.0)


def _reached(model: Model, likeness: np.ndarray, hub: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the articles in whose lists it is `similar`, ascending, and its score there."""
    known = np.where(np.isfinite(likeness), likeness, 0.0)
    share = model.corrections.feedback.astype(np.float64)
    moved = (known + share * known[model.corrections.nearest]) / (1 + share)
    scores = (moved - hub).astype(np.float32)
    rows = np.flatnonzero((scores > model.manifest.similar_above) & np.isfinite(likeness)).astype(np.int32)
    return rows, scores[rows]


def _copies(model: Model, own: Embedding, likeness: np.ndarray) -> np.ndarray:
    least, weight = model.manifest.recipe.neighbors.copy_similarity, model.latent_weight
    looked_at = top_k(likeness, _COPIES_LOOKED_AT)
    # A cosine in the latent space is at least -1, so none below this bound can be a copy.
    near = looked_at[likeness[looked_at] >= (1 - weight) * least - weight]
    return np.array(
        [row for row in near.tolist() if own.cosine(model.vectors.of(row)) >= least], dtype=np.int32
    )
