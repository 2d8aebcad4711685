"""Database addresses and connections: SQLite in WAL mode, or PostgreSQL."""

from contextlib import suppress
from math import ceil
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from recommender.serving.store.rows import StoreError

FAILURES = (DBAPIError, PoolTimeoutError)  # of SQLite and PostgreSQL alike

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_ONE_WRITER = 0x7265636F6D  # the key of the PostgreSQL advisory lock that every writer acquires
_STATEMENT_SECONDS = 60
_RETRY_SECONDS = 0.01
_VALUE_ERROR_CLASSES = ("22", "23", "54")  # of SQLSTATE: invalid data, violated constraint, exceeded limit
_SQLITE_SETTINGS = (
    "synchronous=NORMAL",
    "secure_delete=ON",  # overwrite deleted data
    "wal_autocheckpoint=16000",  # pages; fewer checkpoints write each changed page less often
    "cache_size=-8000",
    f"journal_size_limit={64 << 20}",
)


def checked_url(url: str) -> URL:
    """Return the address with its driver. Raises StoreError for an unusable address."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"{url[:100]!r} is not a database address; {_allowed()}") from None
    backend = parsed.drivername.partition("+")[0]
    if backend not in _DRIVERS or parsed.drivername not in {backend, _DRIVERS[backend]}:
        raise StoreError(f"{parsed.drivername!r} is not a supported database; {_allowed()}")
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError("SQLite needs a file that all workers share, such as sqlite:///recommender.db")
    return parsed.set(drivername=_DRIVERS[backend])


def new_engine(url: URL, timeout_seconds: float) -> Engine:
    """Return a pool of connections; none is open yet. Raises StoreError if the driver is not installed.

    If a connection has the execution option `write`, its transaction waits up to `timeout_seconds` for the
    write lock.
    """
    sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": timeout_seconds} if sqlite else _postgresql_arguments(timeout_seconds)
    try:
        engine = create_engine(
            url,
            hide_parameters=True,  # errors are logged, and must not contain data
            connect_args=arguments,
            pool_pre_ping=not sqlite,  # a restarted server has closed our connections
            pool_timeout=timeout_seconds,
        )
    except ModuleNotFoundError as missing:
        raise StoreError(f"{missing.name} is not installed: pip install 'recommender[postgresql]'") from None
    if sqlite:
        event.listen(engine, "connect", lambda connection, _: _set_up_sqlite(connection, timeout_seconds))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", lambda connection, _: _set_up_postgresql(connection, timeout_seconds))
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def empty_journal(connection: Connection) -> None:
    """Write SQLite's journal to the database file and truncate it, unless another connection is using it.

    The connection has the execution option `begins=False`, because this is not possible in a transaction.
    """
    milliseconds = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    with suppress(OperationalError):
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.exec_driver_sql(f"PRAGMA busy_timeout={milliseconds}")


def reason_of(error: Exception) -> str:
    """Return the first line of the driver's message; it contains no values from the statement."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).strip().partition("\n")[0] or type(cause).__name__


def is_value_error(error: Exception) -> bool:
    """Return whether the error is caused by a value in the statement, not by the state of the database."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, DataError | IntegrityError) or state.startswith(_VALUE_ERROR_CLASSES)


def _allowed() -> str:
    return "allowed: sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


def _set_up_sqlite(connection: Any, timeout_seconds: float) -> None:
    connection.isolation_level = None  # we begin transactions explicitly
    deadline = monotonic() + timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except connection.OperationalError:  # SQLite does not wait for other connections here
            if monotonic() > deadline:
                raise
            sleep(_RETRY_SECONDS)
    for setting in _SQLITE_SETTINGS:
        connection.execute(f"PRAGMA {setting}").close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("begins", True):
        return
    if options.get("write"):
        durable = options["durable"]
        if connection.info.get("durable") is not durable:  # not possible after BEGIN
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.info["durable"] = durable
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")


def _postgresql_arguments(timeout_seconds: float) -> dict[str, Any]:
    milliseconds = ceil(timeout_seconds * 1000)
    return {
        "connect_timeout": max(2, ceil(timeout_seconds)),  # libpq treats 1 as 2
        "tcp_user_timeout": milliseconds,
        "application_name": "recommender",
    }


def _set_up_postgresql(connection: Any, timeout_seconds: float) -> None:
    connection.autocommit = True
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(f"the database encoding is {encoding}; create the database with ENCODING 'UTF8'")
    connection.execute(f"SET lock_timeout = {ceil(timeout_seconds * 1000)}")
    connection.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'")
    connection.autocommit = False


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("write"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ONE_WRITER})")
