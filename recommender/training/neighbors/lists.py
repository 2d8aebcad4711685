"""The related lists of all articles: near-duplicates, feedback, hubness correction and document expansion.

The similarity s of two articles is (1 - w) x cosine of TF-IDF + w x cosine in the latent space. It is a
single dot product: of vectors that contain sqrt(1 - w) x the terms beside sqrt(w) x the latent coordinates.
Named topics play no part in it. In the recipe w is 0.25, by measurement. Given vectors are further latent
coordinates, and w is then the weight of both (see `recommender.given_vectors`). Three corrections turn a
similarity into a score; an article with a given vector is moved and expanded by others with one, an article
without by others without:

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

from recommender.hubs import HubSample
from recommender.manifest import Adapted
from recommender.model import CANDIDATES, EXPANSION, Vectors
from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors, top_k
from recommender.recipe import Recipe
from recommender.training.kernels import Workers, run_ranges
from recommender.training.neighbors.all_pairs import (
    offer_all_pairs,
    offer_by_workers,
    offer_stripes,
    stripes_of,
)
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.digest_penalties import digest_penalties
from recommender.training.neighbors.exact import each_corrected, exact_neighbors
from recommender.training.neighbors.kept import EXACT_UP_TO, KeptLists, StoredCandidates
from recommender.training.neighbors.near_duplicates import SameText, find_near_duplicates
from recommender.training.neighbors.threshold import similarity_threshold
from recommender.training.neighbors.tiles import TILE, Plan

_FLOOR_PERCENTILE = 1  # percentile of hubness up to which an article has no penalty
_SPARE = 32  # articles of the sample that are stored beyond those that are needed
_SURPLUS = 1.1  # times the candidates that are kept: how many the first floor lets through
_PAIRS_SHARE = 0.8  # of the step's progress
_RECALL_AT, _RECALL_ROWS = 20, 500  # how many rows are scored against all to measure the recall
_BLOCK = 4096  # articles, about, whose candidates are compared at a time


@dataclass(frozen=True)
class RelatedLists:
    """The neighbour lists of all articles, and what their scores depend on."""

    neighbors: Neighbors
    copies: NearDuplicates
    corrections: Corrections
    similar_above: float  # the score that random pairs of articles hardly ever reach
    hub_floor: float  # the hubness up to which an article has no penalty
    digests: list[str]  # the keys of titles of digests
    recall_at_20: float  # the share of the true first 20 neighbours in the lists; 1 if they are exact
    candidates: StoredCandidates  # for the next training, if it is incremental


def build_related_lists(
    vectors: Vectors,
    adapted: Adapted,
    recipe: Recipe,
    threads: int,
    tile: int = TILE,
    progress: Callable[[float], None] = lambda _: None,
    same_text: SameText = lambda *_: True,
    titles: Sequence[str] = (),
    workers: Workers | None = None,
    kept: KeptLists | None = None,
) -> RelatedLists:
    """Return the lists of all articles.

    The module describes the score. `progress` is called with the share of all pairs that has just been
    scored. `same_text` is called with the rows of two articles that may be near-duplicates. Digests are
    recognized by their `titles`, unless the hubness correction is off. The pairs of up to `EXACT_UP_TO`
    articles are scored by the `workers`, if there are any. What is `kept` of a published version is not
    computed again.
    """
    weight, lists = adapted.dense_weight, recipe.neighbors
    plan, best, floor = _candidates(
        vectors, adapted, recipe, threads, tile, lambda share: progress(_PAIRS_SHARE * share), kept, workers
    )
    copies = find_near_duplicates(vectors, best, weight, lists.copy_similarity, same_text, threads)
    judged = titles if adapted.hub_correction else ()
    if kept:
        hubs, keys = kept.all_penalties(vectors, weight, best, copies.first, judged), kept.digests
    else:
        digests, keys = digest_penalties(vectors, weight, best, copies.first, judged, threads)
        hubs = best.hubs + digests
    # The candidates were found without digests' penalties; any other article scores even less than its floor.
    penalized = replace(best, hubs=hubs)
    corrections = corrected(adapted, penalized, copies, vectors.rescale, threads)
    if kept and kept.is_complete and plan:
        neighbors = kept.lists(vectors, weight, plan, penalized, corrections, copies.first, lists.k, threads)
    else:
        neighbors = exact_neighbors(
            vectors, weight, plan, penalized, corrections, copies.first, lists.k, threads,
            lambda share: progress((1 - _PAIRS_SHARE) * share),
        )  # fmt: skip
    is_exact = plan is not None
    del plan, penalized
    stored = StoredCandidates.of(best)
    del best
    if kept:
        above = kept.similar_above
    else:
        above = similarity_threshold(vectors, weight, copies, corrections, recipe, threads)
    recall = 1.0
    if not is_exact:
        recall = measured_recall(vectors, weight, neighbors, corrections, copies.first, recipe, threads)
    return RelatedLists(neighbors, copies, corrections, above, floor, keys, recall, stored)


def _candidates(
    vectors: Vectors,
    adapted: Adapted,
    recipe: Recipe,
    threads: int,
    tile: int,
    progress: Callable[[float], None],
    kept: KeptLists | None,
    workers: Workers | None,
) -> tuple[Plan | None, Candidates, float]:
    """Return the vectors arranged for scoring, the candidates of all articles, and the hubness floor.

    In a large corpus, there is no plan, and the candidates are chosen among likely pairs only.
    """
    weight, lists = adapted.dense_weight, recipe.neighbors
    plan = Plan.of(vectors, weight, tile)
    if kept:
        floor, floors = kept.hub_floor, kept.floors
        hubs = kept.penalties(plan, adapted.hub_correction, recipe.seed, lists.copy_similarity, threads)
    else:
        hubs, floor, floors = hubness_penalties(plan, adapted, recipe, threads)
    if len(plan) > EXACT_UP_TO:
        del plan  # its memory is needed for the candidates
        from recommender.training.neighbors.likely_pairs import (  # noqa: PLC0415 compiled when used
            likely_candidates,
        )

        return None, likely_candidates(vectors, weight, hubs, recipe.seed, threads, progress), floor
    best = Candidates.empty(hubs, CANDIDATES * lists.k, floors)
    if kept and kept.is_complete:
        kept.offer(plan, best, threads)
        progress(1)
    elif workers:
        offer_by_workers(vectors, weight, best, threads, progress, workers=workers)
    else:
        offer_all_pairs(plan, best, threads, progress)
    return plan, best, floor


def measured_recall(
    vectors: Vectors,
    weight: float,
    neighbors: Neighbors,
    corrections: Corrections,
    first: np.ndarray,
    recipe: Recipe,
    threads: int,
) -> float:
    """Return the share of the true first 20 neighbours in the lists, in a random sample of rows."""
    n, plan = len(first), Plan.of(vectors, weight)
    draw = np.random.default_rng(recipe.seed)
    rows = np.sort(draw.choice(n, min(n, _RECALL_ROWS), replace=False))
    size = min(_RECALL_AT, neighbors.rows.shape[1])

    def found(row: int, scores: np.ndarray) -> int:
        true = top_k(scores, size, np.delete(np.arange(n), row))
        return len(np.intersect1d(true, neighbors.rows[row, :size]))

    return float(sum(each_corrected(plan, corrections, first, rows, found, threads)) / (len(rows) * size))


def hubness_penalties(
    plan: Plan, adapted: Adapted, recipe: Recipe, threads: int
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the hubness penalty of each article, (n,) float32, the hubness floor, and floors of candidates.

    The penalty is `hub_correction` times the part of the article's hubness (see `HubSample`) above the floor.
    The floor is the first percentile of hubness; it keeps penalties at 0 or more, so that no score exceeds
    the similarity. The floor of each article's candidates, (n,) float32, lets through about as many as are
    kept, by the same sample.
    """
    n = len(plan)
    if n < 2:  # noqa: PLR2004 a single article has no neighbours
        return np.zeros(n, dtype=np.float32), 0.0, np.full(n, -np.inf, dtype=np.float32)
    sample = HubSample.of(n, recipe.seed)
    place = int(np.ceil(_SURPLUS * CANDIDATES * recipe.neighbors.k * len(sample.rows) / n))
    keep = min(max(sample.count, place) + _SPARE, len(sample.rows))
    nearest = Candidates.empty(np.zeros(n, dtype=np.float32), keep)
    below = recipe.neighbors.copy_similarity
    offer_stripes(plan, nearest, stripes_of(sample.rows), threads, both_ways=False, below=below)
    nearest.settle(threads)
    exists = np.arange(nearest.rows.shape[1]) < nearest.counts[:, None]
    similarity = -np.sort(-np.where(exists, nearest.similarity, -np.inf), axis=1)[:, : sample.count]
    exists_among = np.isfinite(similarity)
    hubness = np.where(exists_among, similarity, 0).sum(axis=1) / np.maximum(exists_among.sum(axis=1), 1)
    floor = float(np.percentile(hubness, _FLOOR_PERCENTILE))
    hubs = np.asarray(adapted.hub_correction * np.maximum(hubness - floor, 0), dtype=np.float32)
    scores = np.where(exists, nearest.similarity - hubs[nearest.rows], -np.inf)
    floors = (
        -np.partition(-scores, place - 1, axis=1)[:, place - 1] if place <= keep else scores[:, 0] - np.inf
    )
    return hubs, floor, floors.astype(np.float32)


def corrected(
    adapted: Adapted,
    best: Candidates,
    copies: NearDuplicates,
    rescale: np.ndarray | None = None,
    threads: int = 1,
) -> Corrections:
    """Return the corrections: what each article moves towards as a query, and what expands it when scored.

    These are its candidates with the highest similarity minus hubness penalty that are not near-duplicates of
    it, and that have a given vector exactly if it has one: the first for feedback, the first `EXPANSION` to
    expand it. Their weights are the adapted `feedback` and `expansion` times their similarity, at least 0; to
    expand, divided by their rank.
    """
    n, first = len(best.rows), np.asarray(copies.first)
    nearest, weights = np.zeros((n, EXPANSION), dtype=np.int32), np.zeros((n, EXPANSION), dtype=np.float32)

    def choose(start: int, end: int) -> None:
        own = slice(start, end)
        rows, similarity = best.rows[own, : best.keep], best.similarity[own, : best.keep]
        usable = (rows != NO_ROW) & (first[rows] != first[own, None])
        if rescale is not None:
            usable &= rescale[rows] == rescale[own, None]
        scores = np.where(usable, similarity - best.hubs[rows], -np.inf)
        for rank in range(min(EXPANSION, rows.shape[1])):
            highest = scores.max(axis=1, initial=-np.inf)
            lowest_row = np.where(scores == highest[:, None], rows, n).min(axis=1)
            chosen = (scores == highest[:, None]) & (rows == lowest_row[:, None])
            exists = np.isfinite(highest)
            nearest[own, rank] = np.where(exists, lowest_row, 0)
            weights[own, rank] = np.where(exists, np.maximum((similarity * chosen).max(axis=1), 0), 0)
            scores[chosen] = -np.inf

    list(run_ranges(choose, n, threads, ranges_per_thread=max(1, n // (threads * _BLOCK))))
    share = adapted.feedback * weights[:, 0]
    towards = np.where(share > 0, nearest[:, 0], NO_ROW).astype(np.int32)
    expansion = (adapted.expansion * weights / np.arange(1, EXPANSION + 1)).astype(np.float32)
    if not expansion.any():
        nearest, expansion = nearest[:, :0], expansion[:, :0]
    nearest = np.where(expansion > 0, nearest, 0)
    return Corrections(towards, share.astype(np.float32), best.hubs, nearest, expansion)
