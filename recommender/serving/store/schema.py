"""The tables of the store, and migrations of databases that an older version of the program created."""

import secrets
from collections.abc import Callable, Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    inspect,
    select,
)

from recommender.serving.store.rows import StoreError

METADATA = MetaData()

_WHOLE = BigInteger().with_variant(Integer(), "sqlite")
_BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")

# Numbers of the whole database: `schema` (its version), `live` (the last change to articles and rules),
# `live-base` (the first), `rules` (the last change to rules), `counts` (the last change to counts),
# `counts-base` (the last merge of buckets), `hours-until` (minutes before it are merged into hours),
# `pruned` (when old data was last deleted), `fold-ins-by` and `fold-ins-at` (which worker computes fold-ins,
# and when it last said so).
NUMBERS = Table(
    "numbers",
    METADATA,
    Column("name", _BYTEWISE, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

ARTICLES = Table(
    "articles",
    METADATA,
    Column("id", _BYTEWISE, primary_key=True),
    Column("updated", BigInteger, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("payload", LargeBinary),
    Column("version", BigInteger, nullable=False, index=True),
    Column("model_version", Text),
    Column("embedding", LargeBinary),
)

RULES = Table(
    "rules",
    METADATA,
    Column("id", _BYTEWISE, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("body", Text, nullable=False),
)


def _seen_table(name: str, *extra: Column[int]) -> Table:
    """Return a table of keys and the moments they were seen, newest last; a key is a 64-bit hash.

    `store.counting` explains why.
    """
    return Table(
        name,
        METADATA,
        Column("id", _WHOLE, primary_key=True),
        Column("key", BigInteger, nullable=False, unique=True),
        Column("at", BigInteger, nullable=False),
        *extra,
    )


SEEN_EVENTS = _seen_table("seen_events")
SEEN_VISITORS = _seen_table("seen_visitors")
SOURCES = _seen_table("sources", Column("n", BigInteger, nullable=False))
TOTALS = _seen_table("totals", Column("n", BigInteger, nullable=False))

COUNTS = Table(
    "counts",
    METADATA,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("article_id", _BYTEWISE, primary_key=True),
    Column("type", _BYTEWISE, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False),
    Index("counts_by_change", "change"),
    sqlite_with_rowid=False,
)

# The key is a hash of the text columns, because together they can exceed PostgreSQL's index size limit.
POSITION_COUNTS = Table(
    "placements",  # the name in existing databases
    METADATA,
    Column("id", _WHOLE, primary_key=True),
    Column("key", BigInteger, nullable=False, unique=True),
    Column("hour", BigInteger, nullable=False, index=True),
    Column("from_id", Text, nullable=False),
    Column("article_id", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
)

SALTS = Table(
    "salts",
    METADATA,
    Column("day", _WHOLE, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
)

Step = Callable[[Connection], None]


def _create(connection: Connection) -> None:
    """Create the tables of version 1.

    Change numbers start at a random number, which identifies the database: a number from another database,
    such as the one before a loss, is recognized as foreign.
    """
    METADATA.create_all(connection)
    live, counts = secrets.randbits(48), secrets.randbits(48)
    first = {"live": live, "live-base": live, "rules": live, "counts": counts, "counts-base": counts}
    rows = [
        {"name": name, "value": value} for name, value in (first | {"hours-until": 0, "pruned": 0}).items()
    ]
    connection.execute(NUMBERS.insert(), rows)


# Each migrates from the version that is its position to the next. A table can be added without a new version:
# `migrate` creates what is missing, and an earlier program, to which one can go back, ignores the table.
STEPS: tuple[Step, ...] = (_create,)
NEWEST = len(STEPS)  # the current version


def is_current(connection: Connection) -> bool:
    """Return whether the schema is current. Raises StoreError if it is newer, as `migrate` does."""
    is_newest = version_of(connection) == NEWEST
    return is_newest and set(METADATA.tables) <= set(inspect(connection).get_table_names())


def migrate(connection: Connection, steps: Sequence[Step] = STEPS) -> None:
    """Migrate the database to the current schema, inside the caller's transaction.

    Raises StoreError if a newer program has migrated it.
    """
    version = version_of(connection, len(steps))
    for number, step in enumerate(steps[version:], start=version + 1):
        step(connection)
        connection.execute(NUMBERS.delete().where(NUMBERS.c.name == "schema"))
        connection.execute(NUMBERS.insert().values(name="schema", value=number))
    METADATA.create_all(connection)


def version_of(connection: Connection, newest: int = NEWEST) -> int:
    """Return the version of the schema, 0 for an empty database. Raises StoreError if it is newer."""
    if not inspect(connection).has_table(NUMBERS.name):
        return 0
    query = select(NUMBERS.c.value).where(NUMBERS.c.name == "schema")
    version = int(connection.execute(query).scalar() or 0)
    if version > newest:
        raise StoreError(
            f"the database has schema version {version}, but this program supports versions up to {newest}: "
            "install a newer recommender, or use another database"
        )
    return version
