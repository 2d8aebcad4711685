"""Numbers that belong to the whole database, such as its version. `schema.NUMBERS` lists them."""

from sqlalchemy import Connection, delete, insert, select, update

from recommender.serving.store.schema import NUMBERS


def numbers(connection: Connection) -> dict[str, int]:
    """Return all numbers by name."""
    rows = connection.execute(select(NUMBERS.c.name, NUMBERS.c.value))
    return {row.name: row.value for row in rows}


def next_number(connection: Connection, name: str) -> int:
    """Increase a number by one and return the new value."""
    increased = update(NUMBERS).where(NUMBERS.c.name == name).values(value=NUMBERS.c.value + 1)
    return int(connection.execute(increased.returning(NUMBERS.c.value)).scalar_one())


def set_number(connection: Connection, name: str, value: int) -> None:
    """Set the value of a number, which an older program may not have created."""
    connection.execute(delete(NUMBERS).where(NUMBERS.c.name == name))
    connection.execute(insert(NUMBERS).values(name=name, value=value))
