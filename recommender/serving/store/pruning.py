"""What is past is forgotten: salts, visitors, sources, ids of events, and the detail of counts."""

import secrets

from sqlalchemy import Connection, Table, delete, func, insert, or_, select

from recommender.serving.store.counting import COUNTS_BULK, HOUR, MINUTE
from recommender.serving.store.numbers import next_number, numbers, set_number
from recommender.serving.store.schema import COUNTS, PLACEMENTS, SALTS

DAY = 24 * HOUR
_MINUTES_KEPT = 48 * 60
_COUNTS_KEPT = 8 * 24 * 60
_PLACEMENTS_KEPT_HOURS = 90 * 24
_SALT_BYTES = 32
_AT_A_TIME = 5000
_PRUNE_EVERY = 5 * MINUTE


def salts_of(connection: Connection, days: list[int]) -> list[bytes]:
    """Return the salt of each day, drawn when first asked for; salts of earlier days are deleted."""
    return [_draw(connection, day) for day in days]


def salt_of(connection: Connection, day: int) -> bytes | None:
    """Return the salt of the day, if it is the oldest that there is."""
    oldest = connection.execute(select(SALTS.c.day, SALTS.c.salt).order_by(SALTS.c.day)).first()
    return bytes(oldest.salt) if oldest is not None and oldest.day == day else None


def _draw(connection: Connection, day: int) -> bytes:
    connection.execute(delete(SALTS).where(SALTS.c.day < day))
    salt = connection.execute(select(SALTS.c.salt).where(SALTS.c.day == day)).scalar()
    if salt is None:
        salt = secrets.token_bytes(_SALT_BYTES)
        connection.execute(insert(SALTS).values(day=day, salt=salt))
    return bytes(salt)


def forget_seen(connection: Connection, items: list[tuple[Table, int, int]]) -> list[bool]:
    """Delete rows that are as old as a window, or of a clock that was a day ahead, among the first few.

    Each item is a table, the present moment and the window; returns of each whether more may wait.
    """
    return [_forget_first(connection, *item) for item in items]


def merge_counts(connection: Connection, moments: list[int]) -> list[bool]:
    """Merge minutes older than 48 hours into hours, one hour at a time; returns whether more wait."""
    return [_merge(connection, now // MINUTE) for now in moments]


def drop_old(connection: Connection, moments: list[int]) -> list[None]:
    """Delete counts of more than eight days ago and placements of more than 90, and what is yet to come."""
    for now in moments:
        for time, unit, kept in (
            (COUNTS.c.minute, MINUTE, _COUNTS_KEPT),
            (PLACEMENTS.c.hour, HOUR, _PLACEMENTS_KEPT_HOURS),
        ):
            past = or_(time < now // unit - kept, time > (now + DAY) // unit)
            connection.execute(delete(time.table).where(past))
    return [None] * len(moments)


def claim(connection: Connection, moments: list[int]) -> list[bool]:
    """Return whether it is time to prune again; if so, it is the asker's to do."""
    claimed = []
    for now in moments:
        claimed.append(abs(now - numbers(connection)["pruned"]) >= _PRUNE_EVERY)
        if claimed[-1]:
            set_number(connection, "pruned", now)
    return claimed


def _forget_first(connection: Connection, table: Table, now: int, window: int) -> bool:
    first = select(table.c.id, table.c.at).order_by(table.c.id).limit(_AT_A_TIME).subquery()
    past = or_(first.c.at <= now - window, first.c.at > now + DAY)
    those = table.c.id.in_(select(first.c.id).where(past))
    forgotten = connection.execute(delete(table).where(those)).rowcount
    return forgotten > 0


def _merge(connection: Connection, minute: int) -> bool:
    """Move the border between hours and minutes, over one hour that has counts at most."""
    border = numbers(connection)["hours-until"]
    target = (minute - _MINUTES_KEPT) // 60 * 60
    if target == border:
        return False
    oldest = connection.execute(select(func.min(COUNTS.c.minute)).where(COUNTS.c.minute >= border)).scalar()
    hour = target if oldest is None else oldest // 60 * 60
    if hour < target:
        _merge_hour(connection, hour)
        target_now = hour + 60
    else:  # nothing to merge, or the clock was ahead and the border comes back
        target_now = target
    set_number(connection, "hours-until", target_now)
    set_number(connection, "counts-base", next_number(connection, "counts"))
    return target_now != target


def _merge_hour(connection: Connection, hour: int) -> None:
    within = COUNTS.c.minute.between(hour, hour + 59)
    total = func.sum(COUNTS.c.n).label("n")
    merged = select(COUNTS.c.article_id, COUNTS.c.type, total).where(within)
    rows = connection.execute(merged.group_by(COUNTS.c.article_id, COUNTS.c.type)).all()
    connection.execute(delete(COUNTS).where(within))
    change = numbers(connection)["counts"] + 1
    COUNTS_BULK.put(connection, [(hour, row.article_id, row.type, int(row.n), change) for row in rows])
