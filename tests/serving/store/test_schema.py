"""Databases created by other versions of the program."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from recommender.serving.store import Event, Store, StoreDownError, StoreError
from recommender.serving.store.schema import STEPS, is_current, migrate


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


def add_column(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE rules ADD COLUMN colour TEXT DEFAULT 'red'"))


def test_an_old_database_is_migrated_and_keeps_its_data(store: Store, engine: Engine) -> None:
    store.put_rule("a", "1")

    with engine.begin() as connection:
        migrate(connection, (*STEPS, add_column))
        assert connection.execute(text("SELECT id, body, colour FROM rules")).all() == [("a", "1", "red")]
        migrate(connection, (*STEPS, add_column))  # each step runs once


def test_a_failing_step_leaves_the_database_unchanged(store: Store, engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("DELETE FROM rules"))
        raise OSError

    store.put_rule("a", "1")

    with pytest.raises(OSError), engine.begin() as connection:  # noqa: PT011 raised above
        migrate(connection, (*STEPS, fail))

    assert store.rules().rules == (("a", "1"),)


def test_the_message_on_a_database_of_a_newer_program_says_what_to_do(
    store: Store, other: Store, engine: Engine
) -> None:
    store.version()
    with engine.begin() as connection:
        migrate(connection, (*STEPS, add_column))

    message = "has schema version 2, but this program supports versions up to 1: install a newer recommender"
    with pytest.raises(StoreError, match=message) as error:
        other.count([], 0)
    assert not isinstance(error.value, StoreDownError)


def test_an_empty_database_is_not_current(engine: Engine) -> None:
    with engine.begin() as connection:
        assert not is_current(connection)
        migrate(connection)
        assert is_current(connection)


def test_a_table_that_an_older_program_did_not_create_is_added(
    store: Store, other: Store, engine: Engine
) -> None:
    store.put_rule("a", "1")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE totals"))
        assert not is_current(connection)

    assert other.count([Event("a", "view", 0, event_id="x", total=3)], 0) == ["counted"]
    assert other.rules().rules == (("a", "1"),)
