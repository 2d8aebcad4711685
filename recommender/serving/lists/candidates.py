"""The similar articles of a list: from the neighbours computed at training, or from the whole corpus.

Filters are applied before the list is cut, so a filter never leaves a list short:
returned == min(requested, eligible) for all parameters. To avoid scoring the whole corpus for each request,
three steps are tried, and all give the same list:

- The candidates are the k neighbours computed at training (100 by default) and the live articles. No other
  article scores higher than the last neighbour, so if that is not `similar`, no other article is. Age and
  diversity never raise a score; a boost does, so the bound is multiplied by the greatest boost. If the last
  item of the list has a higher score than this bound, the list is complete, too.
- Otherwise the other articles that are new or boosted enough to exceed that item's score are scored one by
  one, up to 400. Among 37,854 news articles this is needed for one list in fifty with the default parameters,
  for a median of 40 articles.
- If that does not settle the list either, or if filters or caps leave too few candidates, the whole corpus is
  scored.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from recommender.model import Query
from recommender.serving.index.similarity import SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.ranking import CandidateRanker, RankedCandidates

MAX_RIVALS = 400  # articles scored individually; with more of them the whole corpus is scored
# float32 rounding makes scores differ between training and serving, on another CPU by up to 1e-5.
TOLERANCE = 1e-5


class SimilarCandidates:
    """Finds and ranks the similar articles of one snapshot.

    The list is the same whether the neighbours computed at training were enough or the corpus was scored.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._similar_above = snapshot.manifest.similar_above

    def from_neighbors(
        self, row: int, query: ListQuery, mask: np.ndarray, ranker: CandidateRanker
    ) -> RankedCandidates | None:
        """Rank by the neighbours computed at training. Return None if the list may need other articles."""
        near, near_scores = self._snapshot.neighbors(row)
        live, live_scores = self._snapshot.live_similar(row)
        rows, scores = np.concatenate([near, live]), np.concatenate([near_scores, live_scores])
        rows, scores = _by_row(rows, scores, self._is_similar(scores, query) & mask[rows])
        top = ranker.top(rows, scores)
        if self._is_complete(row, near_scores, query):
            return RankedCandidates(top, len(rows), partial(self.nearest, row))
        if query.fallback == "none" or len(rows) < ranker.limit:
            return None
        highest = float(near_scores[-1]) + TOLERANCE  # no other article of the model scores more
        if not ranker.is_settled(top, highest * ranker.greatest_factor):
            others = mask[: len(self._snapshot.model.articles)].copy()
            others[near] = False
            beyond = np.flatnonzero(others)
            upper_bounds = highest * ranker.factors(beyond)
            rivals = beyond[upper_bounds >= top.floor]
            if len(rivals) > MAX_RIVALS:
                return None
            rivals, rival_scores = self._similar_rivals(row, rivals, query)
            highest = float(upper_bounds[upper_bounds < top.floor].max(initial=0.0))
            rows, scores = np.concatenate([rows, rivals]), np.concatenate([scores, rival_scores])
            top = ranker.top(*_by_row(rows, scores))
            if not ranker.is_settled(top, highest):
                return None
            return RankedCandidates(top, len(rows), partial(self.nearest, row), is_scored=True)
        return RankedCandidates(top, len(rows), partial(self.nearest, row))

    def from_scores(
        self,
        scores: np.ndarray,
        nearest: Callable[[], np.ndarray],
        query: ListQuery,
        mask: np.ndarray,
        ranker: CandidateRanker,
    ) -> RankedCandidates:
        """Rank by the scores of the whole corpus, (n,) float32."""
        similar = np.flatnonzero(mask & self._is_similar(scores, query))
        top = ranker.top(similar, scores[similar])
        return RankedCandidates(top, len(similar), nearest, is_scored=True)

    def nearest(self, row: int) -> np.ndarray:
        """Return the known neighbours of the article of a row, nearest first: trained and live ones."""
        near, near_scores = self._snapshot.neighbors(row)
        live, live_scores = self._snapshot.live_similar(row)
        both = np.concatenate([near, live])
        rows: np.ndarray = both[np.argsort(-np.concatenate([near_scores, live_scores]), kind="stable")]
        return rows

    def scores(self, row: int, article_query: Query) -> np.ndarray:
        """Return the score of every article for the article of a row, (n,) float32.

        Neighbours keep their known scores. No other article of the model scores more than the last
        neighbour, and no other live article is similar.
        """
        near, near_scores = self._snapshot.neighbors(row)
        live, live_scores = self._snapshot.live_similar(row)
        scores = self._snapshot.scores(article_query)
        n = len(self._snapshot.model.articles)
        if len(near_scores):
            scores[:n] = np.minimum(scores[:n], near_scores[-1])
        scores[n:] = np.minimum(scores[n:], self._similar_above)
        scores[near], scores[live] = near_scores, live_scores
        return scores

    def _similar_rivals(
        self, row: int, rivals: np.ndarray, query: ListQuery
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rivals that are similar to the article of a row, and their scores.

        Rivals are articles of the model that are not neighbours, so they score no more than the last one.
        """
        last = self._snapshot.neighbors(row)[1][-1]
        corrections = self._snapshot.model.corrections
        needed = np.unique(np.concatenate([rivals, corrections.expansion_rows[rivals].ravel()]))
        similarities = np.zeros(len(corrections.hubs))
        scorer = SimilarityScorer(self._snapshot)
        source = self._snapshot.query_of(row)
        similarities[needed] = scorer.of(source.moved, needed)
        scores = np.minimum(corrections.scores(similarities, source.hidden, rivals), last)
        similar = self._is_similar(scores, query)
        return rivals[similar], scores[similar]

    def _is_complete(self, row: int, near_scores: np.ndarray, query: ListQuery) -> bool:
        """Return whether all similar articles of the model are among the neighbours, best first."""
        is_pending = not len(near_scores)
        if is_pending or len(near_scores) >= self._snapshot.count_others(row):
            return True
        return not self._is_similar(near_scores[-1:] + TOLERANCE, query)[0]

    def _is_similar(self, scores: np.ndarray, query: ListQuery) -> np.ndarray:
        similar: np.ndarray = scores > self._similar_above
        return similar if query.min_similarity is None else similar & (scores >= query.min_similarity)


def _by_row(
    rows: np.ndarray, scores: np.ndarray, admitted: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the admitted rows in ascending order with their scores; by default all are admitted."""
    if admitted is not None:
        rows, scores = rows[admitted], scores[admitted]
    order = np.argsort(rows)
    return rows[order], scores[order]
