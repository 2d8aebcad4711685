"""Which series of a corpus are digests, and the penalty of their articles; `recommender.digests` says why."""

from collections.abc import Sequence

import numpy as np

from recommender.digests import NEAREST, is_digest, penalty, series_of
from recommender.model import Vectors
from recommender.neighbors import NO_ROW
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.pairs import pair_scores


def digest_penalties(
    vectors: Vectors, weight: float, best: Candidates, first: np.ndarray, titles: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return the penalty of each article, (n,) float32, 0 unless it is a digest, and the keys of the digests.

    `best` has the candidates of each article, `first` is that of the near-duplicates.
    """
    penalties = np.zeros(len(first), dtype=np.float32)
    keys = []
    for key, members in series_of(titles).items():
        rows, nearest = _nearest_outside(best, first, members)
        if not len(rows):
            continue
        own = np.repeat(rows, NEAREST)
        similarity = pair_scores(vectors, weight, own, nearest.ravel()).reshape(nearest.shape)
        left, right = np.triu_indices(NEAREST, 1)
        others = pair_scores(vectors, weight, nearest[:, left].ravel(), nearest[:, right].ravel())
        among = others.reshape(len(rows), -1).mean(axis=1)
        if is_digest(similarity.mean(axis=1), among):
            penalties[rows] = np.maximum(penalties[rows], penalty(similarity.max(axis=1), among))
            keys.append(key)
    return penalties, keys


def _nearest_outside(
    best: Candidates, first: np.ndarray, members: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the members that have enough candidates outside their series, and the nearest of these."""
    candidates = best.rows[members]
    usable = (candidates != NO_ROW) & ~np.isin(candidates, members)
    usable &= first[candidates] != first[members][:, None]
    enough = usable.sum(axis=1) >= NEAREST
    scores = best.similarity[members] - best.hubs[candidates]
    scores = np.where(usable, scores, -np.inf)[enough]
    order = np.lexsort((candidates[enough], -scores))[:, :NEAREST]
    return members[enough], np.take_along_axis(candidates[enough], order, axis=1)
