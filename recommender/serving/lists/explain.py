"""Explanations of scores: the parts that add up to the score of a similar article."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from recommender.embedding import Embedding
from recommender.manifest import Topic
from recommender.model import Query
from recommender.serving.index.snapshot import Snapshot
from recommender.stems import ELLIPSIS

MAX_TERMS = 8
MAX_TOPICS = 3
_LEAST_SHARE = 0.1  # a topic is named only if both articles have this share of it


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of a score, which add up to it. Named parts are sorted, largest first."""

    terms: tuple[tuple[str, float], ...]  # in both texts
    other_terms: float
    topics: tuple[tuple[Topic, float], ...]  # of both texts; parts of the latent similarity
    other_topics: float
    vector: float  # the cosine of the given vectors
    feedback: float
    expansion: float
    hub: float
    freshness: float  # at most 0
    boost: float


def explanation(
    snapshot: Snapshot, query: Query, row: int, model_score: float, fresh_score: float, score: float
) -> Explanation:
    """Return the explanation of the score of the article of a row against the query.

    `model_score` is the score without freshness, and `fresh_score` the score before boosts.

    A shared term contributes (1 - w) x its weight in one text x its weight in the other. The latent
    similarity, w x the cosine, is split among the topics: each topic gets the share of it that both texts
    have at least. Given vectors contribute their weight x their cosine, and reduce the other weights.
    """
    weight, own, other = snapshot.latent_weight, query.own, snapshot.vectors.of(row)
    rescale = max(own.rescale, other.rescale)
    terms, other_terms = _terms(snapshot, own, other, (1 - weight) * rescale)
    width = len(own.latent) - snapshot.manifest.adapted.vector_length
    latent = weight * rescale * _inner(own.latent[:width], other.latent[:width])
    vector = weight * rescale * _inner(own.latent[width:], other.latent[width:])
    topics = _topics(snapshot, own, other, latent)
    similarity = sum(part for _, part in terms) + other_terms + latent + vector
    moved, hub = query.moved.similarity(other, weight), float(snapshot.hubs[row])
    return Explanation(
        terms=terms,
        other_terms=other_terms,
        topics=topics,
        other_topics=latent - sum(part for _, part in topics),
        vector=vector,
        feedback=moved - similarity,
        expansion=_expansion(snapshot, query, row, moved, model_score),
        hub=-hub,
        freshness=fresh_score - model_score,
        boost=score - fresh_score,
    )


def _expansion(snapshot: Snapshot, query: Query, row: int, similarity: float, model_score: float) -> float:
    """Return what document expansion adds to the score of a row, from its `similarity` to the moved query.

    For a live article it is what remains of the score, because its fold-in keeps only the result.
    """
    if row >= len(snapshot.model.articles):
        return model_score - (similarity - float(snapshot.hubs[row]))
    corrections = snapshot.model.corrections
    own = similarity - float(corrections.hubs[row])
    expanded, total = own, 1.0
    neighbors, shares = corrections.expansion_rows[row], corrections.expansion_weights[row]
    for neighbor, share in zip(neighbors.tolist(), shares.tolist(), strict=True):
        if neighbor not in query.hidden:
            part = query.moved.similarity(snapshot.vectors.of(neighbor), snapshot.latent_weight)
            expanded += share * (part - float(corrections.hubs[neighbor]))
            total += share
    return expanded / total - own


def _inner(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.astype(np.float64) @ b.astype(np.float64))


def _terms(
    snapshot: Snapshot, query: Embedding, other: Embedding, weight: float
) -> tuple[tuple[tuple[str, float], ...], float]:
    """Return the shared terms that contribute most, ties in byte order, and the sum of all other terms.

    Word pieces are never named, because readers cannot make sense of them.
    """
    ours, theirs = query.shared(other)
    shared = query.columns[ours]
    parts = weight * query.values[ours].astype(np.float64) * other.values[theirs]
    vocabulary = snapshot.vocabulary
    # Only the terms that may be named are read: reading all shared terms takes most of the time of a list.
    ranked = ((at, vocabulary.terms[int(shared[at])]) for at in np.argsort(-parts, kind="stable").tolist())
    named = list(islice(((at, term) for at, term in ranked if ELLIPSIS not in term), MAX_TERMS))
    others = np.delete(parts, [at for at, _ in named])
    return tuple((vocabulary.spelt(term), float(parts[at])) for at, term in named), float(others.sum())


def _topics(
    snapshot: Snapshot, query: Embedding, other: Embedding, latent: float
) -> tuple[tuple[Topic, float], ...]:
    """Return the largest topics of both texts with their parts of `latent`; none unless it is positive."""
    if latent <= 0:
        return ()
    shares = np.minimum(snapshot.topic_space.shares(query.latent), snapshot.topic_space.shares(other.latent))
    first = np.argsort(-shares, kind="stable")[:MAX_TOPICS]
    return tuple(
        (snapshot.manifest.topics[int(at)], latent * float(shares[at]))
        for at in first
        if shares[at] >= _LEAST_SHARE
    )
