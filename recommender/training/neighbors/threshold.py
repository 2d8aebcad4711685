"""From which score an article is `similar` to another: the highest scores of random pairs."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from recommender.model import Vectors
from recommender.neighbors import Corrections, NearDuplicates
from recommender.recipe import Recipe
from recommender.training.neighbors.exact import each_corrected
from recommender.training.neighbors.tiles import Plan, with_postings

_QUERIES, _OTHERS = 500, 4000  # at most: the articles of the random pairs
_SIMILAR_AT_LEAST = 9  # other articles that an average article is `similar` to, even in a small corpus
_MARGIN = 1.1e-5  # of all these scores; more than the rounding error of a score in serving


def similarity_threshold(
    vectors: Vectors,
    weight: float,
    copies: NearDuplicates,
    corrections: Corrections,
    recipe: Recipe,
    threads: int,
) -> float:
    """Return the `similar_percentile` of the scores of random pairs of articles, without near-duplicates.

    The pairs are those of up to 500 random queries with up to 4,000 random articles. In a corpus of fewer
    than about 9,000 articles the percentile is lower, so that an average article exceeds the threshold with
    nine others: there, related pairs are a larger share of all pairs. The threshold is midway between two
    scores that are far enough apart, because serving computes a score in a different order than training, and
    rounding must not decide.
    """
    n = len(vectors.offsets) - 1
    if n == 1:
        return 0.0
    percentile = min(recipe.neighbors.similar_percentile, 100 * max(0.0, 1 - _SIMILAR_AT_LEAST / (n - 1)))
    draw = np.random.default_rng(recipe.seed)
    queries = np.sort(draw.choice(n, min(n, _QUERIES), replace=False))
    others = np.sort(draw.choice(n, min(n, _OTHERS), replace=False))
    # Only these articles, and what their scores depend on, are scored.
    needed = np.zeros(n, dtype=bool)
    needed[queries] = needed[others] = True
    needed[np.maximum(corrections.nearest[queries], 0)] = True
    needed[corrections.expansion_rows[others]] = True
    rows = np.flatnonzero(needed)
    place = np.zeros(n, dtype=np.int32)
    place[rows] = np.arange(len(rows))
    first = copies.first
    plan = Plan.of(_part_of(vectors, rows), weight)

    def of_pairs(query: int, of_query: np.ndarray) -> np.ndarray:
        return np.asarray(of_query[place[others]][first[others] != first[rows[query]]])

    part = _part_of_corrections(corrections, rows, place)
    scores = np.concatenate(each_corrected(plan, part, first[rows], place[queries], of_pairs, threads))
    if not len(scores):
        return 0.0
    above = max(float(np.percentile(scores, percentile)), 0.0)
    ascending = np.unique(np.append(scores[scores > above].astype(np.float64), above))
    gaps = np.flatnonzero(np.diff(ascending) > 2 * _MARGIN)
    return float(np.float32(ascending[gaps[0] : gaps[0] + 2].mean() if len(gaps) else above))


def _part_of(vectors: Vectors, rows: np.ndarray) -> Vectors:
    """Return the vectors of some rows, ascending, with only the terms that these have."""
    lengths = np.diff(vectors.offsets)[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    entries = np.repeat(vectors.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    present = np.zeros(len(vectors.term_offsets), dtype=bool)
    present[vectors.columns[entries]] = True
    place = np.cumsum(present) - 1
    terms = place[vectors.columns[entries]].astype(np.int32)
    shape = (len(rows), np.count_nonzero(present))
    rescale = None if vectors.rescale is None else vectors.rescale[rows]
    return with_postings(
        csr_array((vectors.values[entries], terms, offsets), shape=shape), vectors.latent[rows], rescale
    )


def _part_of_corrections(corrections: Corrections, rows: np.ndarray, place: np.ndarray) -> Corrections:
    """Return the corrections of some rows by their new places; what is not among them has place 0."""
    nearest = corrections.nearest[rows]
    return replace(
        corrections,
        nearest=np.where(nearest < 0, nearest, place[nearest]),
        feedback=corrections.feedback[rows],
        hubs=corrections.hubs[rows],
        expansion_rows=place[corrections.expansion_rows[rows]],
        expansion_weights=corrections.expansion_weights[rows],
    )
