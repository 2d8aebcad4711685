"""What an incremental training keeps from the neighbour lists of a published version.

The candidates of all articles are published beside the model, for the next training only. Vectors in fixed
point have exact similarities, so those of two unchanged articles need not be computed again. Only pairs with
a new or changed article are scored. Two things are kept for unchanged articles, and so does a training with
the same vocabulary that scores all pairs:

- The penalties of hubs and digests. Those of a new or changed article are computed as in serving, from a
  sample of the corpus, and from the floor and the keys of digests of the published version.
- The floor of the candidates. It decides which candidates are stored, but not which lists are made of them.

Near-duplicates and corrections are made of the candidates again. They decide whose score may differ:
that of a new or changed article, and of an article whose penalty, expansion or copies differ. In the lists
of all other queries, only these articles get a new score. If fewer than k scores are then at least as high
as the last one before, or if the query itself differs, a list is made from all candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.hubs import HubSample
from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors
from recommender.training.kernels import run_ranges
from recommender.training.neighbors.all_pairs import offer_stripes, stripes_of
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.digest_penalties import known_digest_penalties
from recommender.training.neighbors.exact import exact_neighbors
from recommender.training.neighbors.tiles import Plan

EXACT_UP_TO = 120_000  # articles; in a larger corpus, only likely pairs are scored
_BLOCK = 4096  # articles whose candidates are copied at a time
_MOST_DIFFERENT = 8  # beyond one article in 8 whose score may differ, all lists are made from candidates


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
    neighbors: Neighbors
    corrections: Corrections
    copies: NearDuplicates
    row_of: np.ndarray  # (n,) int64, the row in the version of each unchanged article, -1 for any other
    hub_floor: float  # the hubness up to which an article has no penalty
    digests: list[str]  # the keys of titles of digests
    similar_above: float  # the score that random pairs of articles hardly ever reach
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

    def all_penalties(
        self, vectors: Vectors, weight: float, best: Candidates, first: np.ndarray, titles: Sequence[str]
    ) -> np.ndarray:
        """Return the hubness penalty of each article and that of digests, (n,) float32.

        Without `titles`, a new or changed article is no digest.
        """
        changed, hubs = self.changed, self._continued(self.corrections.hubs, 0)
        hubs[changed] = best.hubs[changed]
        if titles:
            hubs[changed] += known_digest_penalties(
                vectors, weight, best, first, titles, changed, self.digests
            )
        return hubs

    def offer(self, plan: Plan, best: Candidates, threads: int) -> None:
        """Offer the stored candidates, then every new or changed article to every other one, and settle.

        `best` must have no candidates, and the kept `floors`.
        """
        self._copy(best)
        closed = np.zeros(len(plan), dtype=bool)
        closed[self.changed] = True  # a pair of two changed articles is scored from both sides
        offer_stripes(plan, best, stripes_of(self.changed), threads, closed=closed)
        best.settle(threads)

    def lists(
        self,
        vectors: Vectors,
        weight: float,
        plan: Plan,
        best: Candidates,
        corrections: Corrections,
        first: np.ndarray,
        k: int,
        threads: int,
    ) -> Neighbors:
        """Return what `exact_neighbors` returns, but keep the entries whose scores cannot differ."""
        n, width = len(self.row_of), corrections.expansion_rows.shape[1]
        if self.neighbors.rows.shape[1] != min(k, n - 1) or self.corrections.expansion_rows.shape[1] != width:
            return exact_neighbors(vectors, weight, plan, best, corrections, first, k, threads)
        may_differ, query_differs = self._differences(corrections, first)
        different = np.flatnonzero(may_differ)
        if _MOST_DIFFERENT * len(different) > n:
            return exact_neighbors(vectors, weight, plan, best, corrections, first, k, threads)
        merged = _Merged.of(self, may_differ, query_differs)
        step = max(1, plan.rows_at_a_time // (1 + width))
        for start in range(0, len(different), step):
            merged.offer(plan, corrections, first, different[start : start + step], threads)
        rows, scores, again = merged.result()
        made = exact_neighbors(vectors, weight, plan, best, corrections, first, k, threads, queries=again)
        rows[again], scores[again] = made.rows, made.scores
        return Neighbors(rows, scores)

    def _differences(self, corrections: Corrections, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whose score as a candidate may differ, and whose as a query, (n,) bool each."""
        row_now, old, before = self._row_now, self.row_of, self.corrections
        is_new = old < 0
        cluster = row_now[self.copies.first[old]] != first
        part = is_new | cluster | (before.hubs[old] != corrections.hubs)
        expands = corrections.expansion_weights > 0
        same = before.expansion_weights[old] == corrections.expansion_weights
        same &= ~expands | (row_now[before.expansion_rows[old]] == corrections.expansion_rows)
        score = part | ~same.all(axis=1) | (expands & part[corrections.expansion_rows]).any(axis=1)
        towards = before.nearest[old]
        nearest = np.where(towards == NO_ROW, NO_ROW, row_now[towards]) != corrections.nearest
        gone = (towards != NO_ROW) & (row_now[towards] < 0)
        query = is_new | cluster | nearest | gone | (before.feedback[old] != corrections.feedback)
        return score, query

    @property
    def _row_now(self) -> np.ndarray:
        """The row of each article of the version if it is unchanged, else -1, (n_before,) int32."""
        is_kept = self.row_of >= 0
        row_now = np.full(len(self.stored.hubs), -1, dtype=np.int32)
        row_now[self.row_of[is_kept]] = np.flatnonzero(is_kept)
        return row_now

    def _continued(self, values: np.ndarray, new: float) -> np.ndarray:
        """Return the values of unchanged articles, and `new` for the others, (n,) float32."""
        is_kept = self.row_of >= 0
        result = np.full(len(is_kept), new, dtype=np.float32)
        result[is_kept] = values[self.row_of[is_kept]]
        return result

    def _copy(self, best: Candidates) -> None:
        """Write the stored candidates that are unchanged, by their rows now."""
        stored, row_now = self.stored, self._row_now
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


@dataclass(frozen=True)
class _Merged:
    """Lists of a version, without the entries whose scores may differ, and new scores for them."""

    rows: np.ndarray  # (n, k) int32, NO_ROW for none
    scores: np.ndarray  # (n, k) float32
    last_scores: np.ndarray  # (n,) float32: any other article has a lower score, unless it may differ,
    last_rows: np.ndarray  # (n,) int32, or an equal score and a higher row than this; NO_ROW: any row
    again: np.ndarray  # (n,) bool, the lists to make from candidates in any case
    added: list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # queries, rows and their scores

    @classmethod
    def of(cls, kept: KeptLists, may_differ: np.ndarray, query_differs: np.ndarray) -> "_Merged":
        """Take the lists of the version, by the rows now."""
        before, old = kept.neighbors.rows[kept.row_of], kept._row_now  # noqa: SLF001 of the same module
        rows = np.where(before == NO_ROW, NO_ROW, old[before])
        rows = np.where((rows == NO_ROW) | may_differ[rows], NO_ROW, rows).astype(np.int32)
        scores = kept.neighbors.scores[kept.row_of]
        again = query_differs | (before[:, -1] == NO_ROW)
        return cls(rows, scores, np.where(again, np.inf, scores[:, -1]), rows[:, -1].copy(), again, [])

    def offer(
        self, plan: Plan, corrections: Corrections, first: np.ndarray, candidates: np.ndarray, threads: int
    ) -> None:
        """Score these candidates for all queries, and add them to the lists that they reach."""
        n = len(self.rows)
        parts, places = np.unique(
            np.concatenate([candidates[:, None], corrections.expansion_rows[candidates]], axis=1),
            return_inverse=True,
        )
        places = places.reshape(len(candidates), -1)
        similarity = plan.similarity(parts, threads)
        share = corrections.feedback.astype(np.float64)
        towards = np.where(corrections.nearest == NO_ROW, np.arange(n), corrections.nearest)

        def score(start: int, end: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            added = []
            for at in range(start, end):
                candidate = candidates[at]
                total, sums = np.ones(n), np.zeros(n)
                for number, place in enumerate(places[at]):
                    part, known = parts[place], similarity[place] - corrections.hubs[parts[place]]
                    two = np.where(share > 0, known[towards], np.float32(0)).astype(np.float64)
                    plain = (known.astype(np.float64) + share * two) / (1 + share)
                    if number == 0:
                        sums += plain
                        continue
                    own = np.float64(corrections.expansion_weights[candidate, number - 1])
                    expands = np.where(first == first[part], 0, own)
                    total += expands
                    sums += expands * plain
                scores = (sums / total).astype(np.float32)
                reached = scores >= self.last_scores
                reached[candidate] = False
                queries = np.flatnonzero(reached)
                added.append((queries, np.full(len(queries), candidate), scores[queries]))
            return added

        for part in run_ranges(score, len(candidates), threads):
            self.added.extend(part)

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows and the scores of the lists, (n, k), and which of them must be made again."""
        n, k = self.rows.shape
        queries, rows, scores = map(np.concatenate, zip(*self.added, (_NOTHING,) * 3, strict=True))
        affected = (self.rows == NO_ROW).any(axis=1)
        affected[queries.astype(np.int64)] = True
        affected &= ~self.again
        again = self.again.copy()
        left, places = np.nonzero(affected[:, None] & (self.rows != NO_ROW))
        queries = np.concatenate([left, queries]).astype(np.int64)
        rows = np.concatenate([self.rows[left, places], rows]).astype(np.int32)
        scores = np.concatenate([self.scores[left, places], scores]).astype(np.float32)
        last, is_last = self.last_scores[queries], self.last_rows[queries]
        certain = (scores > last) | ((scores == last) & (is_last != NO_ROW) & (rows <= is_last))
        queries, rows, scores = queries[certain], rows[certain], scores[certain]
        order = np.lexsort((rows, -scores, queries))
        queries, rows, scores = queries[order], rows[order], scores[order]
        sizes = np.bincount(queries, minlength=n)
        ranks = np.arange(len(queries)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        again |= affected & (sizes < k)
        used = (ranks < k) & ~again[queries]
        lists, list_scores = self.rows.copy(), self.scores.copy()
        lists[queries[used], ranks[used]] = rows[used]
        list_scores[queries[used], ranks[used]] = scores[used]
        return lists, list_scores, np.flatnonzero(again)


_NOTHING = np.zeros(0, dtype=np.int64)
