"""Trending leaderboards: the ranks at one tick, from the counts in the store and one snapshot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic

import numpy as np

from recommender.model import from_microseconds, microseconds
from recommender.serving.index.documents import Documents
from recommender.serving.lists.related import Related
from recommender.serving.store import Store, StoreDownError
from recommender.serving.trending.replica import CountsReplica
from recommender.trending import (
    DEFAULT_WINDOW,
    ArticleRank,
    Candidates,
    EventCounts,
    Ranking,
    Window,
    ranking,
    tick_of,
)

_MINUTE = 60_000_000  # microseconds
_RETRY_SECONDS = 2.0  # after the store was down
_NO_ROW = -1
_TOP = 50
_SPARE_IDS = 100_000


class Leaderboard:
    """The ranking in one window. Articles are rows of the snapshot that it was made for."""

    def __init__(self, ranking: Ranking, rows: np.ndarray, categories: np.ndarray) -> None:
        self._ranking, self._categories = ranking, categories
        self._candidate_of = {row: candidate for candidate, row in enumerate(rows.tolist())}
        ranked = ranking.order[ranking.ranks[ranking.order] > 0]
        self.rows: np.ndarray = rows[ranked]  # (ranked,) int64: the ranked rows, best first
        self.top = tuple(self.rows[:_TOP].tolist())  # the first 50, for the lists of other articles

    def article_rank(self, row: int, category: int) -> ArticleRank:
        """Return the rank of the article in this row, whose primary category has this code."""
        candidate = self._candidate_of.get(row)
        if candidate is not None:
            return self._ranking.article_rank(candidate)
        same_category = self._categories[self._ranking.ranks > 0] == category if category >= 0 else ()
        return ArticleRank(
            None, self._ranking.ranked, None, int(np.count_nonzero(same_category)), 0.0, None, new=False
        )

    def rank(self, row: int) -> int | None:
        """Return the rank of the article in this row, from 1; None if it is unranked."""
        candidate = self._candidate_of.get(row)
        return None if candidate is None else int(self._ranking.ranks[candidate]) or None

    def first(self, related: Related, mask: np.ndarray, limit: int, now: datetime) -> list[int]:
        """Return the first `limit` rows in the mask (n,) bool: by rank, then unranked ones, newest first.

        Of a cluster of near-duplicates, only the first row is returned.
        """
        open_rows = mask.copy()
        result: list[int] = []
        rows = self.rows[mask[self.rows]].tolist()
        while len(result) < limit:
            for row in rows:
                if open_rows[row] and len(result) < limit:
                    result.append(row)
                    open_rows[[row, *related.copies(row, now)]] = False
            rows = related.timeline.page(open_rows, limit, now)
            if not rows:
                break
        return result


@dataclass(frozen=True)
class _CountedArticles:
    """The public articles of a snapshot that have counts, and these counts, weighted."""

    replica: CountsReplica | None
    rows_of_ids: np.ndarray  # (ids,) int64, the row of each id of the replica, -1 for none
    rows: np.ndarray  # (a,) int64, ascending
    published: np.ndarray  # (a,) int64
    categories: np.ndarray  # (a,) int32, codes of primary categories
    counts: EventCounts

    def same_ranks_as(self, other: "_CountedArticles") -> bool:
        """Return whether the rankings of `other`, which is from another snapshot, are valid for this one."""
        return (
            self.replica is other.replica
            and np.array_equal(self.rows_of_ids, other.rows_of_ids)
            and np.array_equal(self.published, other.published)
            and np.array_equal(self.categories, other.categories)
        )


class Leaderboards:
    """The leaderboard of each window, computed at one tick for one snapshot and the rules then active."""

    def __init__(
        self,
        related: Related,
        tick: int,
        windows: Mapping[str, Window],
        counted: _CountedArticles,
        *,
        is_old: bool,
    ) -> None:
        self.related, self.tick = related, tick
        self.is_old = is_old  # the store is down, so later events are missing
        self.counted, self._windows = counted, windows
        self.by_window: dict[str, Leaderboard] = {}  # those that were requested
        self._lock = Lock()

    @property
    def age(self) -> tuple[int, bool]:
        """The tick, and whether the store has been down since."""
        return self.tick, self.is_old

    @property
    def as_of(self) -> datetime | None:
        """The tick as a datetime."""
        return from_microseconds(self.tick * _MINUTE)

    def leaderboard(self, window: str) -> Leaderboard:
        """Return the leaderboard of a window, computed at its first use. Raises KeyError for other names."""
        leaderboard = self.by_window.get(window)
        if leaderboard is None:
            with self._lock:  # simultaneous requests compute it once
                leaderboard = self.by_window.get(window)
                if leaderboard is None:
                    leaderboard = self.by_window[window] = self._computed(window)
        return leaderboard

    def curves(self, rows: Sequence[int], hours: int) -> np.ndarray:
        """Return the weighted events of each hour before the tick, (rows, hours), the oldest first."""
        counted, first = self.counted, self.tick - 60 * hours
        curves = np.zeros((len(rows), hours))
        if not len(counted.rows):
            return curves
        events = counted.counts
        recent = np.flatnonzero((events.minutes >= first) & (events.minutes < self.tick))
        articles, in_hour = counted.rows[events.rows[recent]], (events.minutes[recent] - first) // 60
        for number, row in enumerate(rows):
            mask = articles == row
            curves[number] = np.bincount(in_hour[mask], events.counts[recent[mask]], minlength=hours)
        return curves

    def _computed(self, window: str) -> Leaderboard:
        counted, ids = self.counted, self.related.articles.ids
        candidate_ids = [ids[row] for row in counted.rows.tolist()]
        candidates = Candidates(candidate_ids, counted.published, counted.categories)
        ranks = ranking(counted.counts, candidates, self.tick, self._windows[window])
        return Leaderboard(ranks, counted.rows, counted.categories)


class RankTracker:
    """Reads the counts from the store every minute and makes leaderboards of a snapshot's articles.

    The ranks at a tick do not depend on earlier ones, so all workers compute the same.
    """

    def __init__(
        self,
        store: Store,
        *,
        weights: Mapping[str, float],
        windows: Mapping[str, Window],
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._store, self._weights, self._windows = store, weights, windows
        self._retry_seconds = retry_seconds
        self._lock = Lock()
        self._replica: CountsReplica | None = None
        self._tick = 0  # of the replica
        self._is_down = False
        self._next_try = 0.0
        self._row_cache = _RowCache()
        self._leaderboards: Leaderboards | None = None
        self.on_refresh: Callable[[float], object] | None = None  # is called with the seconds of each refresh

    def leaderboards(self, related: Related, now: datetime) -> Leaderboards:
        """Return the leaderboards of the current minute, or the last ones while another thread makes these.

        While the store is down, they stay those of the last minute that was read.
        """
        tick, leaderboards = tick_of(microseconds(now)), self._leaderboards
        if leaderboards is not None and leaderboards.related is related:
            if self._is_current(tick):
                return leaderboards
            if not self._lock.acquire(blocking=False):
                return leaderboards
        else:
            self._lock.acquire()
        try:
            begun, is_due = monotonic(), not self._is_current(tick)
            if is_due:
                self._update(tick)
            leaderboards = self._leaderboards
            if (
                leaderboards is None
                or leaderboards.related is not related
                or leaderboards.age != (self._tick, self._is_down)
            ):
                leaderboards = self._leaderboards = self._new_leaderboards(related, now)
            if is_due and self.on_refresh is not None:
                self.on_refresh(monotonic() - begun)
            return leaderboards
        finally:
            self._lock.release()

    def current(self, related: Related, now: datetime) -> Leaderboards | None:
        """Return what `leaderboards` returns if it is already there; it never waits for the store."""
        leaderboards = self._leaderboards
        is_current = leaderboards is not None and leaderboards.related is related
        return leaderboards if is_current and self._is_current(tick_of(microseconds(now))) else None

    def latest(self, related: Related) -> Leaderboard | None:
        """Return the leaderboard of the default window if it is already computed, else None.

        It never waits for the store.
        """
        leaderboards = self._leaderboards
        return (
            leaderboards.by_window.get(DEFAULT_WINDOW)
            if leaderboards is not None and leaderboards.related is related
            else None
        )

    def _is_current(self, tick: int) -> bool:
        """Return whether the store need not be read now."""
        return monotonic() < self._next_try if self._is_down else self._tick == tick

    def _update(self, tick: int) -> None:
        try:
            changed = self._store.counts(0 if self._replica is None else self._replica.newest)
        except StoreDownError:
            self._is_down, self._next_try = True, monotonic() + self._retry_seconds
            if self._replica is None:
                self._tick = tick
            return
        replica = self._replica
        self._replica = CountsReplica.of(changed) if replica is None else replica.with_changes(changed)
        self._tick, self._is_down = tick, False

    def _new_leaderboards(self, related: Related, now: datetime) -> Leaderboards:
        counted = _counted_articles(self._replica, related, now, self._row_cache, self._weights)
        leaderboards = Leaderboards(related, self._tick, self._windows, counted, is_old=self._is_down)
        previous = self._leaderboards
        if (
            previous is not None
            and previous.age == leaderboards.age
            and counted.same_ranks_as(previous.counted)
        ):
            leaderboards.by_window = previous.by_window
        return leaderboards


class _RowCache:
    """Looks up the rows of ids, and caches those in the model until the model changes."""

    def __init__(self) -> None:
        self._trained: object = None
        self._trained_row_of: dict[str, int] = {}

    def rows(self, documents: Documents, article_ids: Sequence[str]) -> np.ndarray:
        """Return the row of the latest state of each id, (n,) int64; -1 if it is unknown."""
        if self._trained is not documents.trained:
            self._trained, self._trained_row_of = documents.trained, {}
        trained_row_of = self._trained_row_of
        if len(trained_row_of) > len(article_ids) + _SPARE_IDS:  # most of them no longer have counts
            trained_row_of.clear()
        for article_id in article_ids:
            if article_id not in trained_row_of:
                row = documents.trained.ids.find(article_id)
                trained_row_of[article_id] = _NO_ROW if row is None else row
        live_row_of = documents.row_of
        return np.array(
            [live_row_of.get(article_id, trained_row_of[article_id]) for article_id in article_ids],
            dtype=np.int64,
        )


def _counted_articles(
    replica: CountsReplica | None,
    related: Related,
    now: datetime,
    row_cache: _RowCache,
    weights: Mapping[str, float],
) -> _CountedArticles:
    if replica is None:
        none = np.empty(0, dtype=np.int64)
        return _CountedArticles(None, none, none, none, none, EventCounts(none, none, none))
    articles = related.articles
    rows = row_cache.rows(articles, replica.article_ids)
    rows[~related.public(now)[rows]] = (
        _NO_ROW  # -1 as an index selects the last row; such an entry stays -1 either way
    )
    candidates, numbers = np.unique(rows, return_inverse=True)
    if len(candidates) and candidates[0] == _NO_ROW:
        candidates, numbers = candidates[1:], numbers - 1
    candidate_of_bucket = numbers[replica.article_codes]
    is_candidate = candidate_of_bucket >= 0
    table = np.array([weights.get(event_type, 0.0) for event_type in replica.types])
    counts = EventCounts(
        rows=candidate_of_bucket[is_candidate].astype(np.int32),
        minutes=replica.minutes[is_candidate],
        counts=replica.counts[is_candidate] * table[replica.type_codes[is_candidate]],
    )
    return _CountedArticles(
        replica=replica,
        rows_of_ids=rows,
        rows=candidates,
        published=articles.published[candidates],
        categories=articles.category.codes[candidates],
        counts=counts,
    )
