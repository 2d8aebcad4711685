"""Database addresses."""

import sys

import pytest

from recommender.serving.store import Store, StoreError


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("recommender.db", "'recommender.db' is not a database address; allowed: sqlite:///FILE"),
        ("mysql://user:secret@host/name", "'mysql' is not a supported database"),
        ("postgresql+asyncpg://user:secret@host/name", "'postgresql.asyncpg' is not a supported database"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
    ],
)
def test_an_unusable_address_is_rejected_at_once(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as error:
        Store(url)

    assert "secret" not in str(error.value)


def test_the_message_on_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(
        StoreError, match=r"psycopg is not installed: pip install 'recommender\[postgresql\]'"
    ):
        Store("postgresql://user@host/name")
