"""Counts read for trending, and for click-through."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from recommender.serving.store.numbers import numbers
from recommender.serving.store.rows import Counts, PositionCount
from recommender.serving.store.schema import COUNTS, PLACEMENTS

_CHUNK = 10_000


def counts_after(connection: Connection, after: int) -> Counts:
    """Return the buckets that changed after a number, or all where the number is not of this history."""
    known = numbers(connection)
    complete = not known["counts-base"] <= after <= known["counts"]
    query = select(COUNTS.c.minute, COUNTS.c.article_id, COUNTS.c.type, COUNTS.c.n)
    if not complete:
        query = query.where(COUNTS.c.change > after)
    article_ids: dict[str, int] = {}
    types: dict[str, int] = {}
    columns: list[tuple[np.ndarray, ...]] = []
    for minutes, articles, kinds, counts in _chunks(connection.execute(query)):
        columns.append(
            (
                np.array(minutes, dtype=np.int64),
                np.array([article_ids.setdefault(each, len(article_ids)) for each in articles], np.int32),
                np.array([types.setdefault(each, len(types)) for each in kinds], np.int32),
                np.array(counts, dtype=np.int64),
            )
        )
    whole = [np.concatenate(parts) for parts in zip(*columns, strict=True)] if columns else _no_columns()
    return Counts(
        newest=known["counts"],
        complete=complete,
        hours_until=known["hours-until"],
        minutes=whole[0],
        article_ids=tuple(article_ids),
        articles=whole[1],
        types=tuple(types),
        kinds=whole[2],
        counts=whole[3],
    )


def position_counts_since(connection: Connection, hour: int) -> list[PositionCount]:
    """Return the placements of an hour and later ones, in the order of their hours."""
    rows = connection.execute(select(PLACEMENTS).where(PLACEMENTS.c.hour >= hour).order_by(PLACEMENTS.c.hour))
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
    """Yield the columns of some rows at a time, so that other threads have their turn."""
    while chunk := rows.fetchmany(_CHUNK):
        yield tuple(zip(*chunk, strict=True))


def _no_columns() -> list[np.ndarray]:
    return [np.empty(0, kind) for kind in (np.int64, np.int32, np.int32, np.int64)]
