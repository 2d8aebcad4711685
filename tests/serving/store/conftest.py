"""A store on an empty database of each kind, and a second one beside it, as another worker has it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from recommender.serving.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url, pause_seconds=0)) as store:
        yield store


@pytest.fixture
def other(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url, pause_seconds=0)) as store:
        yield store
