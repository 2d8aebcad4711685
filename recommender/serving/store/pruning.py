"""Deletion of old salts, visitors, sources, event ids and counts; merging of counts into hours."""

import secrets

from sqlalchemy import Connection, Table, delete, func, insert, or_, select

from recommender.serving.store.counting import COUNTS_BULK, HOUR, MINUTE
from recommender.serving.store.numbers import next_number, numbers, set_number
from recommender.serving.store.schema import COUNTS, POSITION_COUNTS, SALTS

DAY = 24 * HOUR
_MERGE_AFTER_MINUTES = 48 * 60
_DELETE_COUNTS_AFTER_MINUTES = 8 * 24 * 60
_DELETE_POSITION_COUNTS_AFTER_HOURS = 90 * 24
_SALT_BYTES = 32
_BATCH = 5000  # rows looked at in one transaction
_PRUNE_EVERY = 5 * MINUTE


def salts_of(connection: Connection, days: list[int]) -> list[bytes]:
    """Return the salt of each day, drawn at its first use; salts of earlier days are deleted."""
    return [_draw(connection, day) for day in days]


def salt_of(connection: Connection, day: int) -> bytes | None:
    """Return the salt of the day, if it is the oldest one stored."""
    oldest = connection.execute(select(SALTS.c.day, SALTS.c.salt).order_by(SALTS.c.day)).first()
    return bytes(oldest.salt) if oldest is not None and oldest.day == day else None


def _draw(connection: Connection, day: int) -> bytes:
    connection.execute(delete(SALTS).where(SALTS.c.day < day))
    salt = connection.execute(select(SALTS.c.salt).where(SALTS.c.day == day)).scalar()
    if salt is None:
        salt = secrets.token_bytes(_SALT_BYTES)
        connection.execute(insert(SALTS).values(day=day, salt=salt))
    return bytes(salt)


def delete_seen(connection: Connection, items: list[tuple[Table, int, int]]) -> list[bool]:
    """Delete old rows among the oldest 5000: rows older than a window, or more than a day in the future.

    Each item is (table, now, window); return for each whether there may be more to delete.
    """
    return [_delete_first(connection, *item) for item in items]


def merge_counts(connection: Connection, moments: list[int]) -> list[bool]:
    """Merge minutes older than 48 hours into hours, one hour per item; return whether there are more."""
    return [_merge(connection, now // MINUTE) for now in moments]


def delete_old(connection: Connection, moments: list[int]) -> list[None]:
    """Delete counts after 8 days and position counts after 90; also those more than a day in the future."""
    for now in moments:
        for time, unit, retention in (
            (COUNTS.c.minute, MINUTE, _DELETE_COUNTS_AFTER_MINUTES),
            (POSITION_COUNTS.c.hour, HOUR, _DELETE_POSITION_COUNTS_AFTER_HOURS),
        ):
            expired = or_(time < now // unit - retention, time > (now + DAY) // unit)
            connection.execute(delete(time.table).where(expired))
    return [None] * len(moments)


def claim(connection: Connection, moments: list[int]) -> list[bool]:
    """Return whether pruning is due; if so, the caller must do it, because no other worker will."""
    claimed = []
    for now in moments:
        claimed.append(abs(now - numbers(connection)["pruned"]) >= _PRUNE_EVERY)
        if claimed[-1]:
            set_number(connection, "pruned", now)
    return claimed


def _delete_first(connection: Connection, table: Table, now: int, window: int) -> bool:
    first = select(table.c.id, table.c.at).order_by(table.c.id).limit(_BATCH).subquery()
    expired = or_(first.c.at <= now - window, first.c.at > now + DAY)
    expired_ids = table.c.id.in_(select(first.c.id).where(expired))
    return connection.execute(delete(table).where(expired_ids)).rowcount > 0


def _merge(connection: Connection, minute: int) -> bool:
    """Move the boundary between hours and minutes past at most one hour that has counts."""
    boundary = numbers(connection)["hours-until"]
    target = (minute - _MERGE_AFTER_MINUTES) // 60 * 60
    if target == boundary:
        return False
    oldest = connection.execute(select(func.min(COUNTS.c.minute)).where(COUNTS.c.minute >= boundary)).scalar()
    hour = target if oldest is None else oldest // 60 * 60
    if hour < target:
        _merge_hour(connection, hour)
        new_boundary = hour + 60
    else:  # nothing to merge, or the clock was ahead and the boundary moves back
        new_boundary = target
    set_number(connection, "hours-until", new_boundary)
    set_number(connection, "counts-base", next_number(connection, "counts"))
    return new_boundary != target


def _merge_hour(connection: Connection, hour: int) -> None:
    within = COUNTS.c.minute.between(hour, hour + 59)
    total = func.sum(COUNTS.c.n).label("n")
    merged = select(COUNTS.c.article_id, COUNTS.c.type, total).where(within)
    rows = connection.execute(merged.group_by(COUNTS.c.article_id, COUNTS.c.type)).all()
    connection.execute(delete(COUNTS).where(within))
    change = numbers(connection)["counts"] + 1
    COUNTS_BULK.put(connection, [(hour, row.article_id, row.type, int(row.n), change) for row in rows])
