"""Floods of events beside a portal's clicks, sent through a proxy, hardly change the ranks.

The clicks come from RECOMMENDER_TEST_DATA, by day and by night; without it, they are generated.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.training.train import train
from tests.support.portal import BEGIN, portal
from tests.support.service import WITH_KEY, ServiceUnderTest, get_json, item_ids

BEFORE, HOURS = 2, 6  # of clicks alone, and of floods beside them
FLOOD = 20_000
FEW, ONE = "asked by few visitors", "asked from one address"
MINUTE = timedelta(minutes=1)
Minute = list[dict[str, str]]  # the views of one minute


def clicks(start: str) -> Iterator[tuple[datetime, Minute]]:
    """Yield each minute of those hours, from `start` on, with its views."""
    begins, minutes_all = datetime.fromisoformat(start).replace(tzinfo=UTC), (BEFORE + HOURS) * 60
    if "RECOMMENDER_TEST_DATA" in os.environ:
        log = pd.read_parquet(Path(os.environ["RECOMMENDER_TEST_DATA"]) / "clicks.parquet")
        log = log[(log["ts"] >= begins) & (log["ts"] < begins + minutes_all * MINUTE)]
        minutes, articles, visitors = log["ts"].dt.floor("min"), log["article_id"], log["visitor_id"]
    else:
        made = portal(minutes_all, 20)
        at = np.repeat(np.arange(len(made.minutes)), made.counts.astype(int))
        minutes = pd.Series(pd.to_datetime((made.minutes[at] - BEGIN) * 60, unit="s", utc=True, origin=start))
        articles, visitors = pd.Series(made.columns[at]), pd.Series(np.arange(len(at)))
    of_minute: dict[datetime, Minute] = {begins + number * MINUTE: [] for number in range(minutes_all)}
    for minute, article, visitor in zip(minutes, articles, visitors, strict=True):
        of_minute[minute.to_pydatetime()].append(
            {"article_id": str(article), "visitor_id": str(visitor), "type": "view"}
        )
    yield from of_minute.items()


def flood(room: ServiceUnderTest, minute: int) -> None:
    """Send one minute's share of both floods, as the proxy forwards them."""
    views_per_minute = -(-FLOOD // (HOURS * 60))
    for visitor in range(5):
        views = [{"article_id": FEW, "type": "view", "visitor_id": f"v{visitor}"}] * (views_per_minute // 5)
        room.send(*views, X_Forwarded_For=f"1.2.3.4, 198.51.100.{visitor}")
    fresh = [
        {"article_id": ONE, "type": "view", "visitor_id": f"{minute} {number}"}
        for number in range(views_per_minute)
    ]
    room.send(*fresh, X_Forwarded_For="203.0.113.1")


@pytest.fixture(scope="module")
def articles_read() -> list[tuple[str, list[tuple[datetime, Minute]]]]:
    return [(start, list(clicks(start))) for start in ("2017-10-02T10:00", "2017-10-04T03:00")]


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 1], ids=["by day", "by night"])
def test_flooded_articles_stay_out_of_the_first_ten_and_other_ranks_hardly_move(
    tmp_path: Path, articles_read: list[tuple[str, list[tuple[datetime, Minute]]]], window: int
) -> None:
    start, minutes = articles_read[window]
    begins = minutes[0][0]
    known = [*sorted({view["article_id"] for _, views in minutes for view in views}), FEW, ONE]
    texts = [
        Article(
            id=article_id, title=f"Report {number} of {number % 97}", published_at=begins - timedelta(days=1)
        )
        for number, article_id in enumerate(known)
    ]
    publish(train(texts, now=begins).model, tmp_path / "models", now=begins)
    clean, flooded = (
        ServiceUnderTest(
            tmp_path / "models",
            database_url=f"sqlite:///{tmp_path / name}.db",
            state_file=tmp_path / f"{name}.json",
            trusted_proxies="127.0.0.1",
            address_event_limit="1000000/second",  # hours pass in seconds here
        )
        for name in ("clean", "flooded")
    )
    moves: list[float] = []
    for number, (minute, views) in enumerate(minutes):
        for room in (clean, flooded):
            room.now = minute
            for first in range(0, len(views), 1000):
                room.send(*views[first : first + 1000], **WITH_KEY)
        if number >= BEFORE * 60:
            flood(flooded, number)
        if number >= BEFORE * 60 and number % 10 == 9:
            clean.now = flooded.now = minute + MINUTE
            assert not {FEW, ONE} & set(item_ids(get_json(flooded, "/v1/trending?limit=10"))), (start, number)
            moves.append(_moved(clean, flooded))

    assert len(moves) == HOURS * 6
    assert float(np.mean(moves)) < 1
    assert 0 < flooded.counts()[ONE, "view"] < FLOOD / 100
    assert 0 < flooded.counts()[FEW, "view"] < FLOOD / 100
    honest = {key: count for key, count in flooded.counts().items() if key[0] not in {FEW, ONE}}
    assert honest == clean.counts()


def _moved(clean: ServiceUnderTest, flooded: ServiceUnderTest) -> float:
    """Return by how many places the first fifty articles have moved, on average."""
    ranks = {
        item["id"]: item["trending_rank"] for item in get_json(flooded, "/v1/trending?limit=50")["items"]
    }
    items = get_json(clean, "/v1/trending?limit=50")["items"]
    read = [item for item in items if item["source"] == "trending"]
    return float(np.mean([abs(ranks.get(item["id"], 51) - item["trending_rank"]) for item in read] or [0]))
