"""Explanations of scores: the parts that add up to the score of a similar article."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from recommender.manifest import Topic
from recommender.model import Query
from recommender.serving.index.similarity import SharedTerms, SimilarityScorer
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


class Explainer:
    """Explains the scores of articles against one query.

    A shared term contributes (1 - w) x its weight in one text x its weight in the other. The latent
    similarity, w x the cosine, is split among the topics: each topic gets the share of it that both texts
    have at least. Given vectors contribute their weight x their cosine, and reduce the other weights.
    """

    def __init__(self, snapshot: Snapshot, query: Query) -> None:
        self._snapshot, self._query = snapshot, query
        self._scorer = SimilarityScorer(snapshot)
        self._own_shares = snapshot.topic_space.shares(query.own.latent)
        self._names: dict[int, str | None] = {}  # of terms; None for those that are never named

    def of(
        self, rows: np.ndarray, model_scores: np.ndarray, fresh_scores: np.ndarray, scores: np.ndarray
    ) -> list[Explanation]:
        """Return the explanations of the scores (m,) of the articles in `rows` (m,), in this order.

        `model_scores` are the scores without freshness, and `fresh_scores` the scores before boosts.
        """
        if not len(rows):
            return []
        snapshot, own, weight = self._snapshot, self._query.own, self._snapshot.latent_weight
        gathered = self._scorer.gathered(rows)
        ours, theirs = SharedTerms(own).of(gathered.columns)
        columns, owners = own.columns[ours], gathered.owners[theirs]
        rescale = np.maximum(gathered.rescale, own.rescale)
        of_terms = (1 - weight) * rescale[owners] * own.values[ours] * gathered.values[theirs]
        of_dimensions = (weight * rescale)[:, None] * gathered.latent * own.latent.astype(np.float64)
        width = len(own.latent) - snapshot.manifest.adapted.vector_length
        latent, vector = of_dimensions[:, :width].sum(axis=1), of_dimensions[:, width:].sum(axis=1)
        similarity = np.bincount(owners, of_terms, minlength=len(rows)) + latent + vector
        moved = self._scorer.of_gathered(self._query.moved, gathered)
        starts = np.searchsorted(owners, np.arange(1, len(rows)))
        terms = list(map(self._terms, np.split(columns, starts), np.split(of_terms, starts)))
        # The model's vectors have single precision, and the shares of topics depend on it.
        topics = list(map(self._topics, gathered.latent.astype(np.float32), latent.tolist()))
        parts = (  # in the order of the fields of `Explanation`
            [other for _, other in terms],
            latent - [sum(part for _, part in of_topics) for of_topics in topics],
            vector,
            moved - similarity,
            self._expansions(rows, moved, model_scores),
            -snapshot.hubs[rows],
            fresh_scores - model_scores,
            scores - fresh_scores,
        )
        numbers = np.column_stack(parts).tolist()
        return [
            Explanation(named, other_terms, of_topics, *others)
            for (named, _), of_topics, (other_terms, *others) in zip(terms, topics, numbers, strict=True)
        ]

    def _expansions(self, rows: np.ndarray, moved: np.ndarray, model_scores: np.ndarray) -> np.ndarray:
        """Return what document expansion adds to the score of each row, (m,), from its similarity `moved`.

        For a live article it is what remains of the score, because its fold-in keeps only the result.
        """
        corrections, is_trained = self._snapshot.model.corrections, rows < len(self._snapshot.model.articles)
        own = moved - self._snapshot.hubs[rows]
        expansions: np.ndarray = model_scores - own
        trained, own = rows[is_trained], own[is_trained]
        neighbors = corrections.expansion_rows[trained]
        if neighbors.size:
            distinct, places = np.unique(neighbors, return_inverse=True)
            scores = self._scorer.of(self._query.moved, distinct) - corrections.hubs[distinct]
            shares = corrections.expansion_weights[trained].astype(np.float64)
            shares[np.isin(neighbors, self._query.hidden)] = 0
            expanded = own + (shares * scores[places.reshape(shares.shape)]).sum(axis=1)
            expansions[is_trained] = expanded / (1 + shares.sum(axis=1)) - own
        return expansions

    def _terms(self, columns: np.ndarray, parts: np.ndarray) -> tuple[tuple[tuple[str, float], ...], float]:
        """Return the shared terms that contribute most, ties in byte order, and the sum of all other terms.

        Word pieces are never named, because readers cannot make sense of them.
        """
        # Only the terms that may be named are read: reading all of them takes most of the time of a list.
        ranked = ((at, self._name(int(columns[at]))) for at in np.argsort(-parts, kind="stable").tolist())
        named = list(islice(((at, name) for at, name in ranked if name is not None), MAX_TERMS))
        others = parts.copy()
        others[[at for at, _ in named]] = 0
        return tuple((name, float(parts[at])) for at, name in named), float(others.sum())

    def _name(self, column: int) -> str | None:
        """Return a term as it is shown; None for a piece of a word."""
        if column not in self._names:
            vocabulary = self._snapshot.vocabulary
            term = vocabulary.terms[column]
            self._names[column] = None if ELLIPSIS in term else vocabulary.spelt(term)
        return self._names[column]

    def _topics(self, vector: np.ndarray, latent: float) -> tuple[tuple[Topic, float], ...]:
        """Return the largest topics of both texts with their parts of `latent`; none unless it is positive.

        `vector` is that of the article in the latent space.
        """
        if latent <= 0:
            return ()
        snapshot = self._snapshot
        shares = np.minimum(self._own_shares, snapshot.topic_space.shares(vector))
        first = np.argsort(-shares, kind="stable")[:MAX_TOPICS]
        return tuple(
            (snapshot.manifest.topics[int(at)], latent * float(shares[at]))
            for at in first
            if shares[at] >= _LEAST_SHARE
        )
