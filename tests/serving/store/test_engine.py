"""Addresses of databases."""

import sys

import pytest

from recommender.serving.store import Store, StoreError


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("recommender.db", "'recommender.db' is no address of a database; allowed: sqlite:///FILE"),
        ("mysql://user:secret@host/name", "'mysql' is no database that can be used"),
        ("postgresql+asyncpg://user:secret@host/name", "'postgresql.asyncpg' is no database"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_once(url: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as refused:
        Store(url)

    assert "secret" not in str(refused.value)


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(StoreError, match=r"psycopg is missing: pip install 'recommender\[postgresql\]'"):
        Store("postgresql://user@host/name")
