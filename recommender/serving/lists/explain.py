"""Why an item stands where it does: its score, told in parts that add up to it."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from recommender.embedding import Embedding
from recommender.model import Query, Topic
from recommender.serving.index.snapshot import Snapshot
from recommender.stems import ELLIPSIS

MAX_TERMS = 8
MAX_TOPICS = 3
_LEAST_SHARE = 0.1  # a topic that both articles are said to have


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of a score, whose sum it is. Those named come largest first."""

    terms: tuple[tuple[str, float], ...]  # that both texts hold
    other_terms: float
    topics: tuple[tuple[Topic, float], ...]  # that both texts have, for their nearness in the latent space
    other_topics: float
    feedback: float
    hub: float
    freshness: float  # what age takes away, at most 0
    boost: float  # what the boosts of editors add


def why(snapshot: Snapshot, query: Query, row: int, blind: float, fresh: float, score: float) -> Explanation:
    """Return why the article of a row has this score beside the query.

    `blind` is the model's score, without age, and `fresh` the score before any boost.

    A shared term counts (1 - w) x its weight in one text x its weight in the other. Of what the latent space
    counts, w x the cosine, each topic is allotted the share of itself that both texts have at least.
    """
    weight, own, other = snapshot.latent_weight, query.own, snapshot.vectors.of(row)
    terms, other_terms = _terms(snapshot, own, other, 1 - weight)
    near = weight * _inner(own.latent, other.latent)
    topics = _topics(snapshot, own, other, near)
    likeness = sum(part for _, part in terms) + other_terms + near
    return Explanation(
        terms=terms,
        other_terms=other_terms,
        topics=topics,
        other_topics=near - sum(part for _, part in topics),
        feedback=_likeness(query.moved, other, weight) - likeness,
        hub=-float(snapshot.hubs[row]),
        freshness=fresh - blind,
        boost=score - fresh,
    )


def _likeness(point: Embedding, other: Embedding, weight: float) -> float:
    return (1 - weight) * point.cosine(other) + weight * _inner(point.latent, other.latent)


def _inner(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.astype(np.float64) @ b.astype(np.float64))


def _terms(
    snapshot: Snapshot, query: Embedding, other: Embedding, weight: float
) -> tuple[tuple[tuple[str, float], ...], float]:
    """Return the shared terms that count most, ties by their bytes, and the sum of the others.

    Pieces of words are among the others: nobody reads them.
    """
    shared, ours, theirs = np.intersect1d(
        query.columns, other.columns, assume_unique=True, return_indices=True
    )
    parts = weight * query.values[ours].astype(np.float64) * other.values[theirs]
    terms = [snapshot.vocabulary.terms[int(column)] for column in shared]
    whole = (at for at in np.argsort(-parts, kind="stable").tolist() if ELLIPSIS not in terms[at])
    first = list(islice(whole, MAX_TERMS))
    named = tuple((snapshot.vocabulary.spelt(terms[at]), float(parts[at])) for at in first)
    return named, float(np.delete(parts, first).sum())


def _topics(
    snapshot: Snapshot, query: Embedding, other: Embedding, near: float
) -> tuple[tuple[Topic, float], ...]:
    """Return the topics that have most of both texts, each with its share of `near`, where that adds."""
    if near <= 0:
        return ()
    shares = np.minimum(snapshot.topic_space.shares(query.latent), snapshot.topic_space.shares(other.latent))
    first = np.argsort(-shares, kind="stable")[:MAX_TOPICS]
    return tuple(
        (snapshot.manifest.topics[int(at)], near * float(shares[at]))
        for at in first
        if shares[at] >= _LEAST_SHARE
    )
