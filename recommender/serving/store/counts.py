"""Queries of the counts, for trending and for click-through rates."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from recommender.serving.store.numbers import numbers
from recommender.serving.store.rows import Counts, PositionCount
from recommender.serving.store.schema import COUNTS, POSITION_COUNTS

_CHUNK = 10_000


def counts_after(connection: Connection, after: int) -> Counts:
    """Return the buckets that changed after a change number, or all if the number is from elsewhere."""
    value_of = numbers(connection)
    complete = not value_of["counts-base"] <= after <= value_of["counts"]
    query = select(COUNTS.c.minute, COUNTS.c.article_id, COUNTS.c.type, COUNTS.c.n)
    if not complete:
        query = query.where(COUNTS.c.change > after)
    article_ids: dict[str, int] = {}  # each with its code
    types: dict[str, int] = {}
    columns: list[tuple[np.ndarray, ...]] = []
    for minutes, ids, event_types, counts in _chunks(connection.execute(query)):
        columns.append(
            (
                np.array(minutes, dtype=np.int64),
                _codes(ids, article_ids),
                _codes(event_types, types),
                np.array(counts, dtype=np.int64),
            )
        )
    joined = [np.concatenate(parts) for parts in zip(*columns, strict=True)] if columns else _no_columns()
    return Counts(
        newest=value_of["counts"],
        complete=complete,
        hours_until=value_of["hours-until"],
        minutes=joined[0],
        article_ids=tuple(article_ids),
        article_codes=joined[1],
        types=tuple(types),
        type_codes=joined[2],
        counts=joined[3],
    )


def position_counts_since(connection: Connection, hour: int) -> list[PositionCount]:
    """Return the counts by position in lists from an hour on, ordered by hour."""
    rows = connection.execute(
        select(POSITION_COUNTS).where(POSITION_COUNTS.c.hour >= hour).order_by(POSITION_COUNTS.c.hour)
    )
    return [
        PositionCount(
            hour=row.hour,
            from_id=row.from_id or None,
            article_id=row.article_id,
            list=row.list or None,
            position=None if row.position < 0 else row.position,
            model_version=row.model_version or None,
            type=row.type,
            count=row.n,
        )
        for row in rows
    ]


def _chunks(rows: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of 10,000 rows at a time, so that other threads can run in between."""
    while chunk := rows.fetchmany(_CHUNK):
        yield tuple(zip(*chunk, strict=True))


def _codes(names: Iterable[str], code_of: dict[str, int]) -> np.ndarray:
    """Return the codes of the names, (n,) int32; new names are added to `code_of`."""
    return np.array([code_of.setdefault(name, len(code_of)) for name in names], np.int32)


def _no_columns() -> list[np.ndarray]:
    return [np.empty(0, dtype) for dtype in (np.int64, np.int32, np.int32, np.int64)]
