"""A store on an empty database, SQLite and PostgreSQL, and the store of a second worker on it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from recommender.serving.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url, visitor_window_minutes=30, pause_seconds=0)) as store:
        yield store


@pytest.fixture
def other(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url, visitor_window_minutes=30, pause_seconds=0)) as store:
        yield store
