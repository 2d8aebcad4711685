"""Deletion of old data, on SQLite and on PostgreSQL."""

import pytest
from sqlalchemy import create_engine, text

from recommender.serving.store import Event, Store
from tests.support.counts import HOUR, MINUTE, NOW, buckets, totals, view

DAY = 24 * HOUR


def rows(url: str, table: str) -> int:
    """Return how many rows a table has."""
    engine = create_engine(url)
    with engine.connect() as connection:
        n = int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 our own name
    engine.dispose()
    return n


def seen(url: str) -> tuple[int, int, int]:
    """Return how many event ids, visitors and sources are stored."""
    return rows(url, "seen_events"), rows(url, "seen_visitors"), rows(url, "sources")


def tracked_view(minutes: int = 0) -> Event:
    return view(at=NOW + minutes * MINUTE, event_id=str(minutes), visitor=b"%d" % minutes, source=b"s")


def test_event_ids_visitors_and_sources_are_deleted_after_their_windows(
    store: Store, database_url: str
) -> None:
    store.count([tracked_view()], NOW)

    store.prune(NOW + 25 * MINUTE)
    assert seen(database_url) == (1, 1, 1)
    store.prune(NOW + 30 * MINUTE)
    assert seen(database_url) == (1, 0, 0)
    store.prune(NOW + 48 * HOUR)
    assert seen(database_url) == (0, 0, 0)


def test_more_rows_than_one_transaction_reads_are_deleted(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.serving.store.pruning._BATCH", 2)
    store.count([tracked_view(minutes) for minutes in range(7)], NOW)

    store.prune(NOW + 35 * MINUTE)

    assert seen(database_url) == (7, 1, 0)


def test_the_window_of_a_visitor_starts_again_with_the_last_count(store: Store, database_url: str) -> None:
    store.count([view(visitor=b"v"), view(visitor=b"w")], NOW)
    store.count([view(visitor=b"v", at=NOW + 40 * MINUTE)], NOW + 40 * MINUTE)

    store.prune(NOW + 45 * MINUTE)

    assert seen(database_url)[1] == 1
    assert store.count([view(visitor=b"v", at=NOW + 45 * MINUTE)], NOW + 45 * MINUTE) == ["duplicate"]


def test_data_from_a_clock_far_ahead_is_deleted(store: Store, database_url: str) -> None:
    store.count([tracked_view(60 * 24 * 400)], NOW + 400 * DAY)

    store.prune(NOW)

    assert seen(database_url) == (0, 0, 0)
    assert totals(store) == {}


def test_minutes_are_merged_into_hours_after_48_hours_and_deleted_after_8_days(store: Store) -> None:
    store.count([view(), view(at=NOW + 59 * MINUTE, count=2), view(at=NOW + 60 * MINUTE)], NOW)

    store.prune(NOW + 49 * HOUR)

    assert buckets(store) == {(0, "a", "view"): 3, (60, "a", "view"): 1}
    assert store.counts().hours_until == (NOW + HOUR) // MINUTE
    store.prune(NOW + 8 * DAY + MINUTE)
    assert buckets(store) == {(60, "a", "view"): 1}


def test_changes_since_before_a_merge_are_complete(store: Store) -> None:
    store.count([view()], NOW)
    newest = store.counts().newest

    store.prune(NOW + 49 * HOUR)

    merged = store.counts(newest)
    assert merged.complete
    assert not store.counts(merged.newest).complete


def test_late_events_are_added_to_their_merged_hour(store: Store) -> None:
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


def test_events_are_counted_by_minute_after_a_clock_that_was_ahead_is_set_back(store: Store) -> None:
    store.prune(NOW + 5 * DAY)

    store.prune(NOW)
    store.count([view(at=NOW - 3 * MINUTE)], NOW)

    assert buckets(store) == {(-3, "a", "view"): 1}


def test_position_counts_are_deleted_after_90_days(store: Store) -> None:
    store.count([Event("a", "click", NOW, list="related")], NOW)

    store.prune(NOW + 90 * DAY)
    assert len(store.position_counts()) == 1
    store.prune(NOW + 90 * DAY + HOUR)
    assert store.position_counts() == []


def test_only_one_worker_prunes_every_five_minutes(store: Store, other: Store) -> None:
    assert store.prune(NOW)
    assert not other.prune(NOW + 5 * MINUTE - 1)
    assert other.prune(NOW + 5 * MINUTE)
    assert store.prune(NOW)  # the clock of the last worker was ahead
