"""Articles and withdrawals in the database."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, select, update

from recommender.serving.store.bulk import Bulk
from recommender.serving.store.numbers import next_number, numbers, set_number
from recommender.serving.store.rows import ArticleRow, Outcome
from recommender.serving.store.schema import ARTICLES

_BULK = Bulk(ARTICLES)
_PAGE = 500
_CLAIM_MICROSECONDS = 4_000_000  # after the last claim, a worker counts as ended; it claims every second


def put_articles(
    connection: Connection, batches: list[Sequence[ArticleRow]]
) -> list[tuple[list[Outcome], int]]:
    """Put each batch; return for each batch the outcomes and the version after it."""
    return [_put(connection, batch) for batch in batches]


def withdraw_articles(connection: Connection, batches: list[Sequence[tuple[str, int]]]) -> list[int]:
    """Withdraw the articles of each batch; return the version after each batch."""
    return [_withdraw(connection, batch) for batch in batches]


def delete_articles(connection: Connection, batches: list[Sequence[tuple[str, int]]]) -> list[int]:
    """Delete live rows that still have the given version; return how many for each batch."""
    same_version = and_(ARTICLES.c.id == bindparam("row_id"), ARTICLES.c.version == bindparam("row_version"))
    query = delete(ARTICLES).where(same_version, ARTICLES.c.withdrawn.is_(False))
    return [
        connection.execute(
            query, [{"row_id": article_id, "row_version": version} for article_id, version in batch]
        ).rowcount
        if batch
        else 0
        for batch in batches
    ]


def put_fold_ins(connection: Connection, batches: list[Sequence[ArticleRow]]) -> list[None]:
    """Store the embeddings of rows that still have the same version."""
    same_version = and_(ARTICLES.c.id == bindparam("row_id"), ARTICLES.c.version == bindparam("row_version"))
    values: dict[str, Any] = {
        "model_version": bindparam("row_model"),
        "embedding": bindparam("row_embedding"),
    }
    query = update(ARTICLES).where(same_version).values(values)
    rows = [
        {
            "row_id": row.id,
            "row_version": row.version,
            "row_model": row.model_version,
            "row_embedding": row.embedding,
        }
        for batch in batches
        for row in batch
    ]
    if rows:
        connection.execute(query, rows)
    return [None] * len(batches)


def claim_fold_ins(connection: Connection, claims: list[tuple[int, int]]) -> list[bool]:
    """Return for each (owner, now) whether it may compute fold-ins; if so, no other may for 4 seconds."""
    granted = []
    for owner, now in claims:
        value_of = numbers(connection)
        is_free = abs(now - value_of.get("fold-ins-at", 0)) > _CLAIM_MICROSECONDS
        granted.append(is_free or value_of.get("fold-ins-by") == owner)
        if granted[-1]:
            set_number(connection, "fold-ins-by", owner)
            set_number(connection, "fold-ins-at", now)
    return granted


def changed_articles(connection: Connection, after: int) -> list[ArticleRow]:
    """Return the articles changed after the version, in the order of the changes, then by id."""
    query = select(ARTICLES).where(ARTICLES.c.version > after).order_by(ARTICLES.c.version, ARTICLES.c.id)
    return [ArticleRow(**row) for row in connection.execute(query).mappings()]


def articles_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, ArticleRow]:
    """Return the stored rows of these articles, by id."""
    rows = (ArticleRow(*_converted(values)) for values in _BULK.find(connection, set(ids)))
    return {row.id: row for row in rows}


def page_of_articles(connection: Connection, after: str) -> list[ArticleRow]:
    """Return the next page of articles after an id, in the byte order of ids."""
    query = select(ARTICLES).where(ARTICLES.c.id > after).order_by(ARTICLES.c.id).limit(_PAGE)
    return [ArticleRow(**row) for row in connection.execute(query).mappings()]


def _put(connection: Connection, batch: Sequence[ArticleRow]) -> tuple[list[Outcome], int]:
    stored = articles_by_id(connection, (row.id for row in batch))
    outcomes: list[Outcome] = []
    changed: dict[str, ArticleRow] = {}
    embedded: dict[str, ArticleRow] = {}
    for row in batch:
        old = stored.get(row.id)
        outcome = _outcome(old, row)
        outcomes.append(outcome)
        if outcome in {"created", "updated"}:
            stored[row.id] = changed[row.id] = row
        elif outcome == "unchanged" and old and row.embedding and old.model_version != row.model_version:
            stored[row.id] = embedded[row.id] = replace(row, version=old.version)
    if not changed and not embedded:
        return outcomes, numbers(connection)["live"]
    version = next_number(connection, "live") if changed else numbers(connection)["live"]
    rows = embedded | {article_id: replace(row, version=version) for article_id, row in changed.items()}
    _BULK.put(connection, [_values(row) for row in rows.values()])
    return outcomes, version


def _outcome(old: ArticleRow | None, new: ArticleRow) -> Outcome:
    if old is None:
        return "created"
    if old.updated > new.updated or (old.withdrawn and not new.withdrawn and old.updated == new.updated):
        return "older"
    same = (old.updated, old.withdrawn, old.payload) == (new.updated, new.withdrawn, new.payload)
    return "unchanged" if same else "updated"


def _withdraw(connection: Connection, batch: Sequence[tuple[str, int]]) -> int:
    stored = articles_by_id(connection, (article_id for article_id, _ in batch))
    changed: dict[str, ArticleRow] = {}
    for article_id, updated in batch:
        old = stored.get(article_id)
        moment = max(updated, old.updated) if old else updated
        if old is None or not old.withdrawn or old.updated < moment:
            row = ArticleRow(article_id, moment, withdrawn=True, payload=None)
            stored[article_id] = changed[article_id] = row
    if not changed:
        return numbers(connection)["live"]
    version = next_number(connection, "live")
    _BULK.put(connection, [_values(replace(row, version=version)) for row in changed.values()])
    return version


def _values(row: ArticleRow) -> tuple[Any, ...]:
    return (row.id, row.updated, row.withdrawn, row.payload, row.version, row.model_version, row.embedding)


def _converted(values: Sequence[Any]) -> Iterator[Any]:
    """Yield the values of a row from the driver; SQLite returns booleans as integers."""
    for column, value in zip(ARTICLES.columns, values, strict=True):
        yield bool(value) if column is ARTICLES.c.withdrawn else value
