"""Which series of a corpus are digests, and the penalty of their articles; `recommender.digests` says why."""

from collections.abc import Collection, Sequence

import numpy as np

from recommender.digests import NEAREST, is_digest, penalty, series_of, title_keys
from recommender.model import Vectors
from recommender.neighbors import NO_ROW
from recommender.training.kernels import run_all
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.pairs import pair_scores

_JUDGED = 32  # members of a series, evenly chosen, by which it is judged


def digest_penalties(
    vectors: Vectors, weight: float, best: Candidates, first: np.ndarray, titles: Sequence[str], threads: int
) -> tuple[np.ndarray, list[str]]:
    """Return the penalty of each article, (n,) float32, 0 unless it is a digest, and the keys of the digests.

    `best` has the candidates of each article, `first` is that of the near-duplicates.
    """

    def judge(key: str, members: np.ndarray) -> tuple[str, np.ndarray, np.ndarray] | None:
        judged = members[:: -(-len(members) // _JUDGED)]
        _, similarity, among = _nearest_of(vectors, weight, best, first, members, judged)
        if not is_digest(similarity.mean(axis=1), among):
            return None
        rows, similarity, among = _nearest_of(vectors, weight, best, first, members, members)
        return key, rows, penalty(similarity.max(axis=1), among)

    penalties = np.zeros(len(first), dtype=np.float32)
    keys = []
    calls = ((judge, key, members) for key, members in series_of(titles).items())
    for key, rows, own in filter(None, run_all(calls, threads)):
        penalties[rows] = np.maximum(penalties[rows], own)
        keys.append(key)
    return penalties, keys


def known_digest_penalties(
    vectors: Vectors,
    weight: float,
    best: Candidates,
    first: np.ndarray,
    titles: Sequence[str],
    rows: np.ndarray,
    keys: Collection[str],
) -> np.ndarray:
    """Return the penalty of these rows, (m,) float32, 0 unless their title has a key of known digests.

    An article is compared with its nearest others, of its own series too, as in serving.
    """
    penalties = np.zeros(len(rows), dtype=np.float32)
    for place, row in enumerate(rows.tolist()):
        if not title_keys(titles[row]).isdisjoint(keys):
            own = np.array([row])
            nearest, similarity, among = _nearest_of(vectors, weight, best, first, own, own)
            if len(nearest):
                penalties[place] = penalty(similarity.max(axis=1), among)[0]
    return penalties


def _nearest_of(
    vectors: Vectors,
    weight: float,
    best: Candidates,
    first: np.ndarray,
    members: np.ndarray,
    judged: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the judged members of a series with enough candidates outside of it, (m,), and two similarities.

    These are each one's similarity to its nearest candidates, (m, `NEAREST`), and their mean similarity to
    each other, (m,).
    """
    rows, nearest, similarity = _nearest_outside(best, first, members, judged)
    left, right = np.triu_indices(NEAREST, 1)
    others = pair_scores(vectors, weight, nearest[:, left].ravel(), nearest[:, right].ravel())
    return rows, similarity, others.reshape(len(rows), len(left)).mean(axis=1)


def _nearest_outside(
    best: Candidates, first: np.ndarray, members: np.ndarray, judged: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the judged members with enough candidates outside, these candidates, and their similarity."""
    candidates, similarity = best.rows[judged], best.similarity[judged]
    usable = (candidates != NO_ROW) & ~np.isin(candidates, members)
    usable &= first[candidates] != first[judged][:, None]
    enough = usable.sum(axis=1) >= NEAREST
    scores = np.where(usable, similarity - best.hubs[candidates], -np.inf)[enough]
    order = np.lexsort((candidates[enough], -scores))[:, :NEAREST]
    return (
        judged[enough],
        np.take_along_axis(candidates[enough], order, axis=1),
        np.take_along_axis(similarity[enough], order, axis=1),
    )
