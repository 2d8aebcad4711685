"""What is read most now: the ranks of one tick, out of the counts of the store and of one edition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic

import numpy as np

from recommender.model import from_microseconds, microseconds
from recommender.serving.index.documents import Documents
from recommender.serving.lists.related import Related
from recommender.serving.store import Store, StoreDownError
from recommender.serving.trending.counts import Tally
from recommender.trending import (
    DEFAULT_WINDOW,
    EVENT_WEIGHTS,
    WINDOWS,
    ArticleRank,
    Candidates,
    Counts,
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
    """The ranking in one window. Its articles are rows of the edition that it was made for."""

    def __init__(self, found: Ranking, rows: np.ndarray, categories: np.ndarray) -> None:
        self._found, self._categories = found, categories
        self._candidate_of = {row: candidate for candidate, row in enumerate(rows.tolist())}
        ranked = found.order[found.ranks[found.order] > 0]
        self.rows: np.ndarray = rows[ranked]  # (ranked,) int64: what has a rank, best first
        self.top = tuple(self.rows[:_TOP].tolist())  # of them, for the lists of other articles

    def article_rank(self, row: int, category: int) -> ArticleRank:
        """Return where the article of a row stands, whose primary category has this code."""
        candidate = self._candidate_of.get(row)
        if candidate is not None:
            return self._found.article_rank(candidate)
        beside = self._categories[self._found.ranks > 0] == category if category >= 0 else ()
        return ArticleRank(
            None, self._found.ranked, None, int(np.count_nonzero(beside)), 0.0, None, new=False
        )

    def rank(self, row: int) -> int | None:
        """Return the rank of the article of a row, from 1; None without one."""
        candidate = self._candidate_of.get(row)
        return None if candidate is None else int(self._found.ranks[candidate]) or None

    def first(self, related: Related, mask: np.ndarray, limit: int, now: datetime) -> list[int]:
        """Return the first `limit` rows that the mask (n,) bool admits: by rank, then the newest without one.

        Of copies there is one, the first.
        """
        left = mask.copy()
        found: list[int] = []
        rows = self.rows[mask[self.rows]].tolist()
        while len(found) < limit:
            for row in rows:
                if left[row] and len(found) < limit:
                    found.append(row)
                    left[[row, *related.copies(row, now)]] = False
            rows = related.timeline.page(left, limit, now)
            if not rows:
                break
        return found


@dataclass(frozen=True)
class _Counted:
    """The public articles of an edition that have counts, and these counts, weighted."""

    tally: Tally | None
    rows_of_ids: np.ndarray  # (ids,) int64, of each id of the tally, -1 for none
    rows: np.ndarray  # (a,) int64, ascending
    published: np.ndarray  # (a,) int64
    categories: np.ndarray  # (a,) int32, codes of primary categories
    counts: Counts

    def is_like(self, other: "_Counted") -> bool:
        """Tell whether rankings of the other, in another edition, are rankings of this, too."""
        return (
            self.tally is other.tally
            and np.array_equal(self.rows_of_ids, other.rows_of_ids)
            and np.array_equal(self.published, other.published)
            and np.array_equal(self.categories, other.categories)
        )


class Leaderboards:
    """The rankings of one tick in all windows, for one edition and the rules that act on it."""

    def __init__(
        self, related: Related, tick: int, windows: Mapping[str, Window], counted: _Counted, *, is_old: bool
    ) -> None:
        self.related, self.tick = related, tick
        self.is_old = is_old  # the store does not tell what happened since
        self.counted, self._windows = counted, windows
        self.made: dict[str, Leaderboard] = {}  # by window

    @property
    def age(self) -> tuple[int, bool]:
        """The tick, and whether the store has been silent since."""
        return self.tick, self.is_old

    @property
    def as_of(self) -> datetime | None:
        """The moment of the tick."""
        return from_microseconds(self.tick * _MINUTE)

    def leaderboard(self, window: str) -> Leaderboard:
        """Return the ranking in a window. Raises KeyError for one that does not exist."""
        found = self.made.get(window)
        if found is None:
            counted, ids = self.counted, self.related.articles.ids
            named = [ids[row] for row in counted.rows.tolist()]
            candidates = Candidates(named, counted.published, counted.categories)
            ranks = ranking(counted.counts, candidates, self.tick, self._windows[window])
            found = self.made[window] = Leaderboard(ranks, counted.rows, counted.categories)
        return found


class RankTracker:
    """Follows the counts of the store, minute by minute, and ranks the articles of an edition by them.

    The ranks of a tick depend on no earlier ones, so that all workers come to the same.
    """

    def __init__(
        self,
        store: Store,
        *,
        weights: Mapping[str, float] = EVENT_WEIGHTS,
        windows: Mapping[str, Window] = WINDOWS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._store, self._weights, self._windows = store, weights, windows
        self._retry_seconds = retry_seconds
        self._lock = Lock()
        self._tally: Tally | None = None
        self._tick = 0  # that the tally is of
        self._is_down = False
        self._next_try = 0.0
        self._rows = _Rows()
        self._leaderboards: Leaderboards | None = None

    def leaderboards(self, related: Related, now: datetime) -> Leaderboards:
        """Return the rankings of the minute that has begun; while they are made, those of the one before.

        With the store down they stay those of the last minute that is known.
        """
        tick, found = tick_of(microseconds(now)), self._leaderboards
        if found is not None and found.related is related:
            if self._is_of(tick):
                return found
            if not self._lock.acquire(blocking=False):
                return found
        else:
            self._lock.acquire()
        try:
            if not self._is_of(tick):
                self._follow(tick)
            found = self._leaderboards
            if found is None or found.related is not related or found.age != (self._tick, self._is_down):
                found = self._leaderboards = self._ranked(related, now)
            return found
        finally:
            self._lock.release()

    def latest(self, related: Related) -> Leaderboard | None:
        """Return the ranking in the default window that is there already, None where there is none.

        It never waits for the store.
        """
        leaderboards = self._leaderboards
        return (
            leaderboards.made.get(DEFAULT_WINDOW)
            if leaderboards is not None and leaderboards.related is related
            else None
        )

    def _is_of(self, tick: int) -> bool:
        """Tell whether there is nothing to ask the store for."""
        return monotonic() < self._next_try if self._is_down else self._tick == tick

    def _follow(self, tick: int) -> None:
        try:
            changed = self._store.counts(0 if self._tally is None else self._tally.newest)
        except StoreDownError:
            self._is_down, self._next_try = True, monotonic() + self._retry_seconds
            if self._tally is None:
                self._tick = tick
            return
        self._tally = Tally.of(changed) if self._tally is None else self._tally.with_changes(changed)
        self._tick, self._is_down = tick, False

    def _ranked(self, related: Related, now: datetime) -> Leaderboards:
        counted, former = _counted(self._tally, related, now, self._rows, self._weights), self._leaderboards
        leaderboards = Leaderboards(related, self._tick, self._windows, counted, is_old=self._is_down)
        if former is not None and former.age == leaderboards.age and counted.is_like(former.counted):
            leaderboards.made = former.made
        return leaderboards


class _Rows:
    """The rows of ids. What the model knows of them is remembered for as long as it is the same."""

    def __init__(self) -> None:
        self._head: object = None
        self._in_head: dict[str, int] = {}

    def of(self, documents: Documents, article_ids: Sequence[str]) -> np.ndarray:
        """Return the row of each id in its latest state, (n,) int64; -1 where it is unknown."""
        if self._head is not documents.head:
            self._head, self._in_head = documents.head, {}
        known = self._in_head
        if len(known) > len(article_ids) + _SPARE_IDS:  # most of them have no counts any longer
            known.clear()
        for article_id in article_ids:
            if article_id not in known:
                row = documents.head.ids.find(article_id)
                known[article_id] = _NO_ROW if row is None else row
        live = documents.row_of
        return np.array([live.get(each, known[each]) for each in article_ids], dtype=np.int64)


def _counted(
    tally: Tally | None, related: Related, now: datetime, rows_of: _Rows, weights: Mapping[str, float]
) -> _Counted:
    if tally is None:
        none = np.empty(0, dtype=np.int64)
        return _Counted(None, none, none, none, none, Counts(none, none, none))
    articles = related.articles
    rows = rows_of.of(articles, tally.article_ids)
    rows[~related.public(now)[rows]] = _NO_ROW  # where it is that already, it stays so
    candidates, numbers = np.unique(rows, return_inverse=True)
    if len(candidates) and candidates[0] == _NO_ROW:
        candidates, numbers = candidates[1:], numbers - 1
    of_bucket = numbers[tally.articles]
    kept = of_bucket >= 0
    table = np.array([weights.get(kind, 0.0) for kind in tally.types])
    counts = Counts(
        rows=of_bucket[kept].astype(np.int32),
        minutes=tally.minutes[kept],
        counts=tally.counts[kept] * table[tally.kinds[kept]],
    )
    return _Counted(
        tally=tally,
        rows_of_ids=rows,
        rows=candidates,
        published=articles.published[candidates],
        categories=articles.category.codes[candidates],
        counts=counts,
    )
