"""The related lists of all articles: near-duplicates, feedback, hubness correction and document expansion.

The similarity s of two articles is (1 - w) x cosine of TF-IDF + w x cosine in the latent space. It is a
single dot product: of vectors that contain sqrt(1 - w) x the terms beside sqrt(w) x the latent coordinates.
Named topics play no part in it. In the recipe w is 0.25, by measurement. Three corrections turn a similarity
into a score:

- Pseudo-relevance feedback moves the query q towards j, its nearest neighbour that is not a near-duplicate
  (Rocchio's method). The weight of j is its similarity to q:
  score(q, d) = (s(q, d) + s(q, j) s(j, d)) / (1 + s(q, j)). `feedback` multiplies the weight s(q, j).
- Hubs are articles that are similar to many others. Without a correction they would appear in too many lists.
  So the score of d is reduced by 0.65 n / (n + 4,000) times the hubness of d (see `HubSample`) above the
  first percentile of all articles.
- Document expansion moves the scored article, too: with b the score so far, N(d) the 3 articles with the
  highest similarity to d less their penalty, without near-duplicates of d or q, and a_i = 0.8 max(s(d, i), 0)
  divided by the rank of i:
  score(q, d) = (b(q, d) + sum of a_i b(q, i)) / (1 + sum of a_i).

The penalty of a digest, such as a morning briefing, is larger (see `recommender.digests`).

Training computes these corrections once. Serving reads them as arrays (`Corrections`).

An article is `similar` if its score is above the 99.9th percentile of random pairs, or above a lower
percentile in a small corpus (see `similarity_threshold`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from recommender.hubs import HubSample
from recommender.model import CANDIDATES, EXPANSION, Adapted, Vectors
from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors
from recommender.recipe import Recipe
from recommender.training.kernels import run_ranges
from recommender.training.neighbors.all_pairs import candidates, exact_neighbors
from recommender.training.neighbors.digest_penalties import digest_penalties
from recommender.training.neighbors.near_duplicates import SameText, find_near_duplicates
from recommender.training.neighbors.pairs import list_scores, pair_scores
from recommender.training.neighbors.tiles import MARGIN, TILE, Best, Plan

_FLOOR_PERCENTILE = 1  # percentile of hubness up to which an article has no penalty
_SPARE = 4  # candidates beyond those that count, because single precision may misorder near ties
_RANDOM_PAIRS, _PAIRS_PER_QUERY = 200_000, 10  # at most, of which with one query
_PAIRS_PER_ARTICLE = 80  # in a small corpus, where the threshold is exceeded by a larger share of pairs
_SIMILAR_AT_LEAST = 9  # other articles that an average article is `similar` to, even in a small corpus


@dataclass(frozen=True)
class RelatedLists:
    """The neighbour lists of all articles, and what their scores depend on."""

    neighbors: Neighbors
    copies: NearDuplicates
    corrections: Corrections
    similar_above: float  # the score that random pairs of articles hardly ever reach
    hub_floor: float  # the hubness up to which an article has no penalty
    digests: list[str]  # the keys of titles of digests


def build_related_lists(
    vectors: Vectors,
    adapted: Adapted,
    recipe: Recipe,
    threads: int,
    tile: int = TILE,
    progress: Callable[[float], None] = lambda _: None,
    same_text: SameText = lambda *_: True,
    titles: Sequence[str] = (),
) -> RelatedLists:
    """Return the lists of all articles.

    The module describes the score. `progress` is called with the share of all pairs that has just been
    scored. `same_text` is called with the rows of two articles that may be near-duplicates. Digests are
    recognized by their `titles`, unless the hubness correction is off.
    """
    weight, lists = adapted.latent_weight, recipe.neighbors
    plan = Plan.of(vectors, weight)
    hubs, floor = hubness_penalties(plan, vectors, adapted, recipe, threads, tile)
    best = candidates(plan, hubs, CANDIDATES * lists.k, threads, tile, progress)
    copies = find_near_duplicates(vectors, best, hubs, weight, lists.copy_similarity, same_text)
    judged = titles if adapted.hub_correction else ()
    digests, keys = digest_penalties(vectors, weight, best, copies.first, judged)
    # The candidates were found without these penalties, so any other row scores even less than their bound.
    penalized = replace(best, scores=best.scores - digests[best.rows])
    corrections = corrected(vectors, adapted, penalized, hubs + digests, copies)
    return RelatedLists(
        exact_neighbors(vectors, weight, best, corrections, copies.first, lists.k, threads),
        copies,
        corrections,
        similarity_threshold(vectors, weight, copies, corrections, recipe, threads),
        floor,
        keys,
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


def corrected(
    vectors: Vectors, adapted: Adapted, best: Best, hubs: np.ndarray, copies: NearDuplicates
) -> Corrections:
    """Return the corrections: what each article moves towards as a query, and what expands it when scored.

    These are its candidates with the highest similarity minus hubness penalty that are not near-duplicates of
    it: the first for feedback, the first `EXPANSION` to expand it. Their weights are the adapted `feedback`
    and `expansion` times their similarity, at least 0; to expand, divided by their rank.
    """
    n, first = len(hubs), np.asarray(copies.first)
    usable = (best.rows != NO_ROW) & (first[best.rows] != first[:, None])
    approximate = np.where(usable, best.scores, -np.inf)
    size = min(EXPANSION, approximate.shape[1])
    lowest = -np.partition(-approximate, size - 1, axis=1)[:, size - 1] if size else np.zeros(n)
    rows, places = np.nonzero(usable & (approximate >= lowest[:, None] - MARGIN))
    candidate_rows = best.rows[rows, places]
    similarity = pair_scores(vectors, adapted.latent_weight, rows, candidate_rows)
    scores = (similarity - hubs[candidate_rows]).astype(np.float32)
    order = np.lexsort((candidate_rows, -scores, rows))
    rows, candidate_rows, similarity = rows[order], candidate_rows[order], similarity[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    chosen = rank < size
    nearest = np.zeros((n, size), dtype=np.int32)
    weights = np.zeros((n, size), dtype=np.float32)
    nearest[rows[chosen], rank[chosen]] = candidate_rows[chosen]
    weights[rows[chosen], rank[chosen]] = np.maximum(similarity[chosen], 0)
    share = adapted.feedback * weights[:, :1].max(axis=1, initial=0)
    towards = np.where(share > 0, nearest[:, :1].max(axis=1, initial=0), NO_ROW).astype(np.int32)
    expansion = (adapted.expansion * weights / np.arange(1, size + 1)).astype(np.float32)
    if not expansion.any():
        nearest, expansion = nearest[:, :0], expansion[:, :0]
    nearest = np.where(expansion > 0, nearest, 0)
    return Corrections(towards, share.astype(np.float32), hubs, nearest, expansion)


def similarity_threshold(
    vectors: Vectors,
    weight: float,
    copies: NearDuplicates,
    corrections: Corrections,
    recipe: Recipe,
    threads: int,
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
    left, right = _random_pairs(n, recipe.seed)

    def stripe(start: int, end: int) -> np.ndarray:
        rows, others = left[start:end], right[start:end]
        scores = list_scores(vectors, weight, corrections, copies.first, rows, others)
        return np.asarray(scores[copies.first[rows][:, None] != copies.first[others]])

    scores = np.concatenate(list(run_ranges(stripe, len(left), threads)))
    if not len(scores):
        return 0.0
    above = max(float(np.percentile(scores, percentile)), 0.0)
    higher = scores[scores > above + MARGIN]
    return float(np.float32((above + higher.min()) / 2 if len(higher) else above))


def _random_pairs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return queries, (m,), and other articles for each, (m, width); up to 81 articles, all pairs."""
    draw, left, width = np.random.default_rng(seed), np.arange(n), _PAIRS_PER_ARTICLE
    if n <= width + 1:
        return left, (left[:, None] + np.arange(1, n)) % n
    if n * width > _RANDOM_PAIRS:
        left, width = draw.integers(0, n, _RANDOM_PAIRS // _PAIRS_PER_QUERY), _PAIRS_PER_QUERY
    return left, (left[:, None] + draw.integers(1, n, (len(left), width))) % n


def _exact_similarities(vectors: Vectors, weight: float, best: Best, threads: int) -> np.ndarray:
    """Return the similarity of each candidate, best first, (n, keep) float32; minus infinity for NO_ROW."""
    keep = best.rows.shape[1]

    def stripe(start: int, end: int) -> np.ndarray:
        candidates = best.rows[start:end].ravel()
        scores = pair_scores(
            vectors, weight, np.repeat(np.arange(start, end), keep), np.maximum(candidates, 0)
        )
        return np.where(candidates == NO_ROW, -np.inf, scores).astype(np.float32).reshape(-1, keep)

    scores = np.concatenate(list(run_ranges(stripe, len(best.rows), threads, ranges_per_thread=8)))
    return -np.sort(-scores, axis=1)
