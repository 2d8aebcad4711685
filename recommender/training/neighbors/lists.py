"""The related lists of all articles: hubness correction, near-duplicates and pseudo-relevance feedback.

The similarity s of two articles is (1 - w) x cosine of TF-IDF + w x cosine in the latent space. It is a
single dot product: of vectors that contain sqrt(1 - w) x the terms beside sqrt(w) x the latent coordinates.
Named topics play no part in it. In the recipe w is 0.25, by measurement. Two corrections turn a similarity
into a score:

- Pseudo-relevance feedback moves the query q towards j, its nearest neighbour that is not a near-duplicate
  (Rocchio's method). The weight of j is its similarity to q:
  score(q, d) = (s(q, d) + s(q, j) s(j, d)) / (1 + s(q, j)). `feedback` multiplies the weight s(q, j).
- Hubs are articles that are similar to many others. Without a correction they would appear in too many lists.
  So the score of d is reduced by 0.65 n / (n + 4,000) times the hubness of d (see `HubSample`) above the
  first percentile of all articles.

Training computes both corrections once. Serving reads them as three arrays of n numbers (`Corrections`).

An article is `similar` if its score is above the 99.9th percentile of random pairs, or above a lower
percentile in a small corpus (see `similarity_threshold`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.hubs import HubSample
from recommender.model import CANDIDATES, Adapted, Vectors
from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors
from recommender.recipe import Recipe
from recommender.training.kernels import run_ranges
from recommender.training.neighbors.all_pairs import candidates, exact_neighbors
from recommender.training.neighbors.exact import list_scores, pair_scores
from recommender.training.neighbors.near_duplicates import SameText, find_near_duplicates
from recommender.training.neighbors.tiles import TILE, Best, Plan

_FLOOR_PERCENTILE = 1  # percentile of hubness up to which an article has no penalty
_SPARE = 4  # candidates beyond those that count, because single precision may misorder near ties
_RANDOM_PAIRS = 200_000
_SIMILAR_AT_LEAST = 9  # other articles that an average article is `similar` to, even in a small corpus
_NEAR_TIE = 2e-5  # more than the error of a score in single precision


@dataclass(frozen=True)
class RelatedLists:
    """The neighbour lists of all articles, and what their scores depend on."""

    neighbors: Neighbors
    copies: NearDuplicates
    corrections: Corrections
    similar_above: float  # the score that random pairs of articles hardly ever reach
    hub_floor: float  # the hubness up to which an article has no penalty


def build_related_lists(
    vectors: Vectors,
    adapted: Adapted,
    recipe: Recipe,
    threads: int,
    tile: int = TILE,
    progress: Callable[[float], None] = lambda _: None,
    same_text: SameText = lambda *_: True,
) -> RelatedLists:
    """Return the lists of all articles.

    A score is the similarity to the query after pseudo-relevance feedback, minus the hubness penalty of the
    scored article. `progress` is called with the share of all pairs that has just been scored. `same_text`
    is called with the rows of two articles that may be near-duplicates.
    """
    weight, lists = adapted.latent_weight, recipe.neighbors
    plan = Plan.of(vectors, weight)
    hubs, floor = hubness_penalties(plan, vectors, adapted, recipe, threads, tile)
    best = candidates(plan, hubs, CANDIDATES * lists.k, threads, tile, progress)
    copies = find_near_duplicates(vectors, best, hubs, weight, lists.copy_similarity, same_text)
    feedback = lists.feedback if adapted.feedback is None else adapted.feedback
    corrections = feedback_corrections(vectors, weight, best, hubs, copies, feedback)
    return RelatedLists(
        exact_neighbors(vectors, weight, best, corrections, lists.k, threads),
        copies,
        corrections,
        similarity_threshold(vectors, weight, copies, corrections, recipe),
        floor,
    )


def hubness_penalties(
    plan: Plan,
    vectors: Vectors,
    adapted: Adapted,
    recipe: Recipe,
    threads: int,
    tile: int = TILE,
) -> tuple[np.ndarray, float]:
    """Return the hubness penalty of each article, (n,) float32, and the hubness floor.

    The penalty is `hub_correction` times the part of the article's hubness (see `HubSample`) above the floor.
    The floor is the first percentile of hubness; it keeps penalties at 0 or more, so that no score exceeds
    the similarity.
    """
    n = len(plan)
    correction = adapted.hub_correction
    if not correction or n < 2:  # noqa: PLR2004 a single article has no neighbours
        return np.zeros(n, dtype=np.float32), 0.0
    sample = HubSample.of(n, recipe.seed)
    best = Best.empty(n, min(sample.count + _SPARE, len(sample.rows)))
    zeros = np.zeros(n, dtype=np.float32)
    with threadpool_limits(1, user_api="blas"):
        for columns in plan.tiles(tile):
            inside = np.arange(columns.start, columns.end)
            for start in range(0, len(sample.rows), tile):
                rows = sample.rows[start : start + tile]
                scores = plan.scores(rows, columns, threads)
                best.offer(scores.T, inside, rows, zeros, threads, below=recipe.neighbors.copy_similarity)
    similarity = _exact_similarities(vectors, adapted.latent_weight, best, threads)[:, : sample.count]
    exists = np.isfinite(similarity)
    hubness = np.where(exists, similarity, 0).sum(axis=1) / np.maximum(exists.sum(axis=1), 1)
    floor = float(np.percentile(hubness, _FLOOR_PERCENTILE))
    return np.asarray(correction * np.maximum(hubness - floor, 0), dtype=np.float32), floor


def feedback_corrections(
    vectors: Vectors, weight: float, best: Best, hubs: np.ndarray, copies: NearDuplicates, feedback: float
) -> Corrections:
    """Return the corrections, with the neighbour that each article moves towards as a query, and its weight.

    The neighbour is the candidate with the highest similarity minus hubness penalty that is not a
    near-duplicate of the article. Its weight is `feedback` times its similarity.
    """
    n = len(hubs)
    first = np.asarray(copies.first)
    usable = (best.rows != NO_ROW) & (first[best.rows] != first[:, None])
    approximate = np.where(usable, best.scores, -np.inf)
    highest = approximate.max(axis=1, initial=-np.inf)
    close = usable & (approximate >= highest[:, None] - _NEAR_TIE)
    rows, candidate_rows = np.nonzero(close)[0], best.rows[close]
    similarity = pair_scores(vectors, weight, rows, candidate_rows)
    scores = (similarity - hubs[candidate_rows]).astype(np.float32)
    order = np.lexsort((candidate_rows, -scores, rows))
    nearest = np.full(n, NO_ROW, dtype=np.int32)
    share = np.zeros(n, dtype=np.float32)
    queries, firsts = np.unique(rows[order], return_index=True)
    nearest[queries] = candidate_rows[order][firsts]
    share[queries] = feedback * np.maximum(similarity[order][firsts], 0)
    return Corrections(np.where(share > 0, nearest, NO_ROW).astype(np.int32), share, hubs)


def similarity_threshold(
    vectors: Vectors, weight: float, copies: NearDuplicates, corrections: Corrections, recipe: Recipe
) -> float:
    """Return the `similar_percentile` of the scores of random pairs of articles, without near-duplicates.

    In a corpus of fewer than about 9,000 articles the percentile is lower, so that an average article exceeds
    the threshold with nine others: there, related pairs are a larger share of all pairs. The threshold is
    midway between two scores, because serving computes a score in a different order than training, and
    rounding must not decide.
    """
    n = len(vectors.offsets) - 1
    if n == 1:
        return 0.0
    percentile = min(recipe.neighbors.similar_percentile, 100 * max(0.0, 1 - _SIMILAR_AT_LEAST / (n - 1)))
    draw = np.random.default_rng(recipe.seed)
    left = draw.integers(0, n, _RANDOM_PAIRS)
    right = (left + draw.integers(1, n, _RANDOM_PAIRS)) % n
    apart = copies.first[left] != copies.first[right]
    if not apart.any():
        return 0.0
    # Each distinct pair is scored once: a small corpus has fewer pairs than are drawn.
    pairs, drawn = np.unique(left[apart] * n + right[apart], return_inverse=True)
    left, right = np.divmod(pairs, n)
    share, nearest = corrections.feedback[left], corrections.nearest[left]
    scores = pair_scores(vectors, weight, left, right)
    scores = (scores + share * pair_scores(vectors, weight, nearest, right)) / (1 + share)
    scores = (scores - corrections.hubs[right])[drawn]
    above = max(float(np.percentile(scores, percentile)), 0.0)
    higher = scores[scores > above + _NEAR_TIE]
    return float(np.float32((above + higher.min()) / 2 if len(higher) else above))


def _exact_similarities(vectors: Vectors, weight: float, best: Best, threads: int) -> np.ndarray:
    """Return the similarity of each candidate, best first, (n, keep) float32; minus infinity for NO_ROW."""
    plain = Corrections.none(len(best.rows))

    def stripe(start: int, end: int) -> np.ndarray:
        rows = np.arange(start, end)
        return list_scores(vectors, weight, plain, rows, best.rows[start:end])

    scores = np.concatenate(list(run_ranges(stripe, len(best.rows), threads, ranges_per_thread=8)))
    return -np.sort(-scores, axis=1)
