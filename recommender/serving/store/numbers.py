"""The numbers that belong to the whole database."""

from sqlalchemy import Connection, select, update

from recommender.serving.store.schema import NUMBERS


def numbers(connection: Connection) -> dict[str, int]:
    """Return all numbers by name."""
    rows = connection.execute(select(NUMBERS.c.name, NUMBERS.c.value))
    return {row.name: row.value for row in rows}


def next_number(connection: Connection, name: str) -> int:
    """Count a number up by one, and return it."""
    set_number = update(NUMBERS).where(NUMBERS.c.name == name)
    counted = set_number.values(value=NUMBERS.c.value + 1).returning(NUMBERS.c.value)
    return int(connection.execute(counted).scalar_one())


def set_number(connection: Connection, name: str, value: int) -> None:
    """Set a number."""
    connection.execute(update(NUMBERS).where(NUMBERS.c.name == name).values(value=value))
