"""The construction of a store, and facts about its database."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from recommender.serving.store import Store, StoreDownError
from recommender.settings import Settings
from recommender.trending import EVENT_WEIGHTS


def test_the_defaults_of_a_store_are_those_of_the_settings() -> None:
    settings = Settings.read()

    with closing(Store(settings.database_url)) as plain, closing(Store.of(settings)) as configured:
        assert plain._counting == configured._counting


def test_a_store_counts_as_the_settings_say() -> None:
    settings = Settings.read(
        visitor_window_minutes=7, source_window_minutes=8, source_cap=9, event_weights="share=4 like=0.5"
    )

    with closing(Store.of(settings)) as store:
        counting = store._counting

    assert (counting.visitor_window, counting.source_window) == (7 * 60_000_000, 8 * 60_000_000)
    assert counting.source_cap == 9
    assert counting.weights == {**EVENT_WEIGHTS, "share": 4, "like": 0.5}


def test_facts_about_a_database_change_nothing(database_url: str) -> None:
    with closing(Store(database_url)) as store, closing(Store(database_url)) as other:
        if database_url.startswith("sqlite"):
            Path(str(make_url(database_url).database)).touch()
        empty = [store.facts() for _ in range(2)]
        other.withdraw("a", 1)
        used = store.facts()

        assert [(facts.version, facts.newest) for facts in empty] == [(0, 1)] * 2
        assert (used.version, used.newest, store.version()) == (1, 1, other.version())
        assert (used.now is None) == database_url.startswith("sqlite")


def test_facts_about_a_read_only_database_are_that_it_is_down(postgresql_url: str) -> None:
    read_only = (
        f"{postgresql_url}{'&' if '?' in postgresql_url else '?'}options=-cdefault_transaction_read_only%3Don"
    )

    with closing(Store(read_only)) as store, pytest.raises(StoreDownError, match="read-only"):
        store.facts()
