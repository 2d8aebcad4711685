"""A frame of events is ranked as the service ranks events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recommender.model import NO_MOMENT
from recommender.training.backtest.ranked import rank_trending
from recommender.training.formats.files import CorpusError
from recommender.trending import Candidates, EventCounts, ranking, tick_of, windows

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def events(minutes_ago: list[int], ids: list[Any], **columns: Any) -> pd.DataFrame:
    times = [NOON - timedelta(minutes=minutes) for minutes in minutes_ago]
    return pd.DataFrame({"ts": times, "article_id": ids, **columns})


def test_ranks_are_those_of_the_service() -> None:
    generator = np.random.default_rng(0)
    ages, rows = generator.integers(1, 600, 500), generator.integers(0, 20, 500)
    names = [f"a{row:02}" for row in rows]

    frame = rank_trending(events(ages.tolist(), names), NOON)

    minute = int(NOON.timestamp()) // 60
    counts = EventCounts(rows.astype(np.int32), minute - ages, np.ones(500))
    ids = [f"a{row:02}" for row in range(20)]
    candidates = Candidates(ids, np.full(20, NO_MOMENT), np.full(20, -1, dtype=np.int32))
    expected = ranking(counts, candidates, tick_of(int(NOON.timestamp()) * 1_000_000), windows({})["1h"])
    assert frame["article_id"].tolist() == [ids[row] for row in expected.order]
    assert frame["score"].tolist() == expected.scores[expected.order].tolist()
    assert frame["rank"].tolist() == list(range(1, 21))


def test_types_counts_and_visitors_count_as_in_the_service() -> None:
    shared = events([5, 5, 5], ["a", "b", "b"], type=["share", "view", "view"])
    counted = events([5, 5], [1, 2], count=[2, 10])
    visits = events([5, 5, 5, 5], ["a", "a", "b", "b"], visitor_id=["x", "x", "y", "z"])

    assert rank_trending(shared, NOON)["article_id"].tolist() == ["a", "b"]
    assert rank_trending(counted, NOON)["article_id"].tolist() == ["2", "1"]
    best = rank_trending(visits, NOON, visitor_window_minutes=30)
    assert best["article_id"].tolist() == ["b", "a"]


def test_later_events_are_left_out_and_changes_are_shown() -> None:
    log = events([70, 70, 70, 5, -5], ["old", "old", "new", "new", "future"])

    frame = rank_trending(pa.Table.from_pandas(log), NOON).set_index("article_id")

    assert frame.index.tolist() == ["new", "old"]
    assert frame["change"].tolist() == [1, -1]
    assert frame["new"].tolist() == [False, False]


@pytest.mark.parametrize(
    ("frame", "options", "error", "message"),
    [
        (events([], []), {}, CorpusError, "no events"),
        (events([1], ["a"]).drop(columns="ts"), {}, CorpusError, "has no column ts"),
        (events([1], [None]), {}, CorpusError, "row 1 has no article_id"),
        (events([1], ["a"]).assign(ts="soon"), {}, CorpusError, "'soon'"),
        (events([1], ["a"], count=[-1]), {}, CorpusError, "count of row 1"),
        (events([1], ["a"]), {"window": "2h"}, ValueError, "window is '2h'"),
        (events([1, 2], ["a", "a"]).set_axis(["ts", "ts"], axis=1), {}, CorpusError, "two columns 'ts'"),
        (events([1], ["a"]), {"visitor_window_minutes": -1}, ValueError, "visitor_window_minutes is -1"),
        (events([1], ["a"]), {"half_life_minutes": 0}, ValueError, "half_life_minutes is 0"),
    ],
)
def test_wrong_events_are_a_clear_error(
    frame: pd.DataFrame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rank_trending(frame, NOON, **options)
