"""Rank the articles of events by how much they are read now, as the service does."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from recommender.model import NO_MOMENT, microseconds
from recommender.training.backtest.click_log import EventSource, counted_events
from recommender.trending import (
    DEFAULT_WINDOW,
    NO_CATEGORY,
    Candidates,
    EventCounts,
    ranking,
    tick_of,
    windows,
)  # fmt: skip
from recommender.wrong_type import wrong_type


def rank_trending(
    events: EventSource,
    now: datetime,
    *,
    window: str = DEFAULT_WINDOW,
    half_life_minutes: float | None = None,
    visitor_window_minutes: int = 0,
) -> pd.DataFrame:
    """Rank the articles of events, with the definition of `GET /v1/trending`.

    `events` is a data frame or a file, with the columns of `read_events`; `visitor_window_minutes` is the
    time in which a visitor counts once per article. Events from the minute of `now` on are left out.
    `window` is `1h`, `24h` or `7d`, and `half_life_minutes` replaces its half-life.

    Columns of the result, best first: `article_id` (string), `rank` (int32, from 1), `score` (float64:
    expected weighted events per hour), `change` (Int32: places climbed since the period before, NA if it was
    unranked), `new` (bool: it was unranked). Equal scores are ordered by id. Raises CorpusError for an
    invalid event, and ValueError for an unknown window.

    >>> import datetime, pandas as pd
    >>> now = datetime.datetime(2027, 1, 1, 12, tzinfo=datetime.UTC)
    >>> times = pd.to_datetime(["2027-01-01T11:58Z", "2027-01-01T11:59Z", "2027-01-01T09:00Z"])
    >>> events = pd.DataFrame({"ts": times, "article_id": ["a", "a", "b"]})
    >>> recommender.rank_trending(events, now)["article_id"].tolist()
    ['a', 'b']
    """
    if not isinstance(now, datetime):
        raise wrong_type("rank_trending", "a datetime", now, "pass now=datetime.now(UTC)")
    known = windows({} if half_life_minutes is None else {window: half_life_minutes})
    if window not in known:
        raise ValueError(f"window is {window!r}; it must be one of {', '.join(known)}")
    if half_life_minutes is not None and not 0 < half_life_minutes < np.inf:
        raise ValueError(f"half_life_minutes is {half_life_minutes}; it must be above 0")
    counted = counted_events("rank_trending", events, visitor_window_minutes=visitor_window_minutes)
    codes, ids = pd.factorize(counted.ids, sort=True)
    counts = EventCounts(codes.astype(np.int32), counted.minutes, counted.counts)
    n = len(ids)
    undated = np.full(n, NO_MOMENT, dtype=np.int64)
    candidates = Candidates(list(ids), undated, np.full(n, NO_CATEGORY, dtype=np.int32))
    moment = now if now.tzinfo else now.replace(tzinfo=UTC)
    ranks = ranking(counts, candidates, tick_of(microseconds(moment)), known[window])
    return _table(ids, ranks)


def _table(ids: Any, ranks: Any) -> pd.DataFrame:
    rows = ranks.top(ranks.ranked)
    ranked = [ranks.article_rank(int(row)) for row in rows]
    return pd.DataFrame(
        {
            "article_id": pd.array([str(ids[row]) for row in rows], dtype="string"),
            "rank": np.array([rank.rank for rank in ranked], dtype=np.int32),
            "score": np.array([rank.score for rank in ranked], dtype=np.float64),
            "change": pd.array([rank.change for rank in ranked], dtype="Int32"),
            "new": np.array([rank.new for rank in ranked], dtype=bool),
        }
    )
