"""The construction of a store."""

from contextlib import closing

from recommender.serving.store import Store
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
