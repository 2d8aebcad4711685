"""What an incremental training keeps from the neighbour lists of a published version.

The candidates of all articles are published beside the model, for the next training only. Vectors in fixed
point have exact similarities, so those of two unchanged articles need not be computed again. Only pairs with
a new or changed article are scored. Two things are kept for unchanged articles, and so does a training with
the same vocabulary that scores all pairs:

- The hubness penalty. That of a new or changed article is computed as in serving, from a sample of the corpus
  and the floor of the published version.
- The floor of the candidates. It decides which candidates are stored, but not which lists are made of them.

Everything that is made of the candidates is computed again: near-duplicates, digests, corrections and lists.
"""

from dataclasses import dataclass

import numpy as np

from recommender.hubs import HubSample
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.tiles import Plan

EXACT_UP_TO = 120_000  # articles; in a larger corpus, only likely pairs are scored
_BLOCK = 4096  # articles whose candidates are copied at a time


@dataclass(frozen=True)
class StoredCandidates:
    """The candidates of all articles of a version; none in a corpus whose pairs are not all scored."""

    offsets: np.ndarray  # (n + 1,) int64; those of article i are rows[offsets[i]:offsets[i + 1]]
    rows: np.ndarray  # int32
    similarity: np.ndarray  # float32
    floors: np.ndarray  # (n,) float32; all other articles have a lower score
    hubs: np.ndarray  # (n,) float32, the hubness penalties, without those of digests

    @classmethod
    def of(cls, best: Candidates) -> "StoredCandidates":
        """Return settled candidates, without those that are equal to others for which there was no room."""
        n, is_exact = len(best.rows), len(best.rows) <= EXACT_UP_TO
        offsets, floors = np.zeros(n + 1, dtype=np.int64), np.full(n, -np.inf, dtype=np.float32)
        most = int(best.counts.sum()) if is_exact else 0
        rows, similarity = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.float32)
        for start in range(0, n if is_exact else 0, _BLOCK):
            own = slice(start, min(start + _BLOCK, n))
            is_full = best.counts[own] == best.keep
            above = np.nextafter(best.floors[own], np.float32(np.inf))
            floors[own] = np.where(is_full, above, best.floors[own])
            among, scores = best.rows[own, : best.keep], best.similarity[own, : best.keep]
            stored = np.arange(among.shape[1]) < best.counts[own, None]
            stored &= scores - best.hubs[among] >= floors[own, None]
            offsets[start + 1 : own.stop + 1] = offsets[start] + np.cumsum(stored.sum(axis=1))
            entries = slice(offsets[start], offsets[own.stop])
            rows[entries], similarity[entries] = among[stored], scores[stored]
        return cls(offsets, rows[: offsets[-1]], similarity[: offsets[-1]], floors, best.hubs)


@dataclass(frozen=True)
class KeptLists:
    """What is kept of a published version, and where its articles are now."""

    stored: StoredCandidates
    row_of: np.ndarray  # (n,) int64, the row in the version of each unchanged article, -1 for any other
    hub_floor: float  # the hubness up to which an article has no penalty
    score_all: bool = False  # score all pairs, as if no candidates were stored

    @property
    def changed(self) -> np.ndarray:
        """The rows of the new and changed articles, ascending."""
        return np.flatnonzero(self.row_of < 0)

    @property
    def is_complete(self) -> bool:
        """Whether the stored candidates are to be used instead of scoring all pairs."""
        return not self.score_all and len(self.stored.hubs) <= EXACT_UP_TO

    @property
    def floors(self) -> np.ndarray:
        """The floor of each article's candidates, (n,) float32, -inf for new and changed articles."""
        return self._continued(self.stored.floors, -np.inf)

    def penalties(self, plan: Plan, correction: float, seed: int, below: float, threads: int) -> np.ndarray:
        """Return the hubness penalty of each article, (n,) float32.

        `correction` is its weight. Articles as similar as `below` are near-duplicates and do not count.
        """
        hubs, changed = self._continued(self.stored.hubs, 0), self.changed
        sample = HubSample.of(len(plan), seed)
        for start in range(0, len(changed), plan.rows_at_a_time):
            rows = changed[start : start + plan.rows_at_a_time]
            similarity = plan.similarity(rows, threads)
            similarity[np.arange(len(rows)), rows] = np.inf
            hubness = np.array([sample.hubness(of_row, below) for of_row in similarity])
            hubs[rows] = correction * np.maximum(hubness - self.hub_floor, 0)
        return hubs

    def offer(self, plan: Plan, best: Candidates, threads: int) -> None:
        """Offer the stored candidates, then every new or changed article to every other one, and settle.

        `best` must have no candidates, and the kept `floors`.
        """
        self._copy(best)
        changed, n = self.changed, len(plan)
        floors = best.floors[changed].copy()
        best.floors[changed] = np.inf  # pairs of two changed articles are offered by column only
        for start in range(0, len(changed), plan.rows_at_a_time):
            part = slice(start, start + plan.rows_at_a_time)
            rows = changed[part]
            scores = plan.similarity(rows, threads)
            best.offer_rows(scores, rows, n, threads)
            best.floors[rows] = floors[part]
            best.offer_columns(scores, rows, threads)
            floors[part] = best.floors[rows]
            best.floors[rows] = np.inf
        best.floors[changed] = floors
        best.settle(threads)

    def _continued(self, values: np.ndarray, new: float) -> np.ndarray:
        """Return the values of unchanged articles, and `new` for the others, (n,) float32."""
        is_kept = self.row_of >= 0
        result = np.full(len(is_kept), new, dtype=np.float32)
        result[is_kept] = values[self.row_of[is_kept]]
        return result

    def _copy(self, best: Candidates) -> None:
        """Write the stored candidates that are unchanged, by their rows now."""
        stored, is_kept = self.stored, self.row_of >= 0
        row_now = np.full(len(stored.hubs), -1, dtype=np.int32)
        row_now[self.row_of[is_kept]] = np.flatnonzero(is_kept)
        for start in range(0, len(row_now), _BLOCK):
            offsets = stored.offsets[start : start + _BLOCK + 1]
            entries = slice(offsets[0], offsets[-1])
            owners = np.repeat(row_now[start : start + _BLOCK], np.diff(offsets))
            rows = row_now[stored.rows[entries]]
            used = (owners >= 0) & (rows >= 0)
            before = np.concatenate([[0], np.cumsum(used)])
            sizes = np.diff(before[offsets - offsets[0]])
            places = (before[:-1] - np.repeat(before[offsets[:-1] - offsets[0]], np.diff(offsets)))[used]
            best.rows[owners[used], places] = rows[used]
            best.similarity[owners[used], places] = stored.similarity[entries][used]
            own = row_now[start : start + _BLOCK]
            best.counts[own[own >= 0]] = sizes[own >= 0]
