"""What is past is forgotten, on SQLite and on PostgreSQL."""

import pytest
from sqlalchemy import create_engine, text

from recommender.serving.store import Event, Store
from tests.serving.store.test_counting import HOUR, MINUTE, NOW, buckets, totals, view

DAY = 24 * HOUR


def rows(url: str, table: str) -> int:
    """Return how many rows a table has."""
    engine = create_engine(url)
    with engine.connect() as connection:
        n = int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 our own
    engine.dispose()
    return n


def seen(url: str) -> tuple[int, int, int]:
    """Return how many ids of events, visitors and sources are remembered."""
    return rows(url, "seen_events"), rows(url, "seen_visitors"), rows(url, "sources")


def known(minutes: int = 0) -> Event:
    return view(at=NOW + minutes * MINUTE, event_id=str(minutes), visitor=b"%d" % minutes, source=b"s")


def test_each_is_forgotten_when_its_window_is_past(store: Store, database_url: str) -> None:
    store.count([known()], NOW)

    store.prune(NOW + 25 * MINUTE)
    assert seen(database_url) == (1, 1, 1)
    store.prune(NOW + 30 * MINUTE)
    assert seen(database_url) == (1, 0, 0)
    store.prune(NOW + 48 * HOUR)
    assert seen(database_url) == (0, 0, 0)


def test_more_than_are_forgotten_at_a_time_are_forgotten(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.serving.store.pruning._AT_A_TIME", 2)
    store.count([known(each) for each in range(7)], NOW)

    store.prune(NOW + 35 * MINUTE)

    assert seen(database_url) == (7, 1, 0)


def test_a_visitor_who_was_counted_again_is_remembered_from_then(store: Store, database_url: str) -> None:
    store.count([view(visitor=b"v"), view(visitor=b"w")], NOW)
    store.count([view(visitor=b"v", at=NOW + 40 * MINUTE)], NOW + 40 * MINUTE)

    store.prune(NOW + 45 * MINUTE)

    assert seen(database_url)[1] == 1
    assert store.count([view(visitor=b"v", at=NOW + 45 * MINUTE)], NOW + 45 * MINUTE) == ["duplicate"]


def test_what_a_clock_far_ahead_left_is_forgotten(store: Store, database_url: str) -> None:
    store.count([known(60 * 24 * 400)], NOW + 400 * DAY)

    store.prune(NOW)

    assert seen(database_url) == (0, 0, 0)
    assert totals(store) == {}


def test_minutes_become_hours_after_48_hours_and_are_gone_after_8_days(store: Store) -> None:
    store.count([view(), view(at=NOW + 59 * MINUTE, count=2), view(at=NOW + 60 * MINUTE)], NOW)

    store.prune(NOW + 49 * HOUR)

    assert buckets(store) == {(0, "a", "view"): 3, (60, "a", "view"): 1}
    assert store.counts().hours_until == (NOW + HOUR) // MINUTE
    store.prune(NOW + 8 * DAY + MINUTE)
    assert buckets(store) == {(60, "a", "view"): 1}


def test_who_knows_minutes_is_told_all_once_they_are_merged(store: Store) -> None:
    store.count([view()], NOW)
    newest = store.counts().newest

    store.prune(NOW + 49 * HOUR)

    merged = store.counts(newest)
    assert merged.complete
    assert not store.counts(merged.newest).complete


def test_late_events_join_the_hour_that_was_merged(store: Store) -> None:
    store.count([view(at=NOW + 5 * MINUTE)], NOW)
    store.prune(NOW + 60 * HOUR)

    store.count([view(at=NOW + 7 * MINUTE), view(at=NOW + 20 * HOUR)], NOW + 60 * HOUR)

    assert buckets(store) == {(0, "a", "view"): 2, (20 * 60, "a", "view"): 1}


def test_hours_and_days_without_events_are_merged_too(store: Store) -> None:
    store.prune(NOW)
    store.count([view(at=NOW - 40 * HOUR), view(at=NOW + 90 * HOUR), view(at=NOW + 100 * HOUR + MINUTE)], NOW)

    store.prune(NOW + 150 * HOUR)

    assert store.counts().hours_until == (NOW + 102 * HOUR) // MINUTE
    assert buckets(store) == {
        (-40 * 60, "a", "view"): 1,
        (90 * 60, "a", "view"): 1,
        (100 * 60, "a", "view"): 1,
    }


def test_a_clock_that_was_ahead_leaves_minutes_behind_it(store: Store) -> None:
    store.prune(NOW + 5 * DAY)

    store.prune(NOW)
    store.count([view(at=NOW - 3 * MINUTE)], NOW)

    assert buckets(store) == {(-3, "a", "view"): 1}


def test_placements_are_kept_for_90_days(store: Store) -> None:
    store.count([Event("a", "click", NOW, list="related")], NOW)

    store.prune(NOW + 90 * DAY)
    assert len(store.position_counts()) == 1
    store.prune(NOW + 90 * DAY + HOUR)
    assert store.position_counts() == []


def test_one_of_many_workers_prunes_every_five_minutes(store: Store, other: Store) -> None:
    assert store.prune(NOW)
    assert not other.prune(NOW + 5 * MINUTE - 1)
    assert other.prune(NOW + 5 * MINUTE)
    assert store.prune(NOW)  # the clock of the last one was ahead
