"""One database of this process: connections, transactions, group commit, and failures in our words."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection

from recommender.serving.store.engine import (
    FAILURES,
    checked_url,
    empty_journal,
    is_of_a_value,
    new_engine,
    reason_of,
)
from recommender.serving.store.rows import StoreDownError, StoreError
from recommender.serving.store.schema import is_current, migrate
from recommender.serving.store.writer import Job, Writer

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

_PATIENCE = 2.5  # how many times as long as for its turn a write may take

Work = Callable[[Connection, list[_Item]], list[_Result]]


class Database:
    """Reads and writes on SQLite or PostgreSQL; it connects, creates and migrates when first used.

    There is one writer at a time, on PostgreSQL too: a transaction that writes sees all earlier ones, and
    numbers given inside it grow in the order of commits. After a failure nothing is tried for
    `pause_seconds`, so that callers who wait for a database that is away do not fill the workers.
    Raises StoreError for an address that cannot be used.
    """

    def __init__(self, url: str, *, timeout_seconds: float, pause_seconds: float) -> None:
        self._url = checked_url(url)
        self._timeout = timeout_seconds
        self._pause = pause_seconds
        self._file = Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None
        self._engine = new_engine(self._url, timeout_seconds)
        self._start()

    @property
    def is_there(self) -> bool:
        """Whether there is a file, where it is one; a server is taken to be there."""
        return self._file is None or self._file.exists()

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return what `work` reads in one transaction. Raises StoreDownError."""
        self._prepare()
        try:
            with self._open_to_read() as connection, connection.begin():
                return work(connection)
        except FAILURES as error:
            raise self._down(error) from None

    def write(self, work: Work[_Item, _Result], item: _Item, *, durable: bool = False) -> _Result:
        """Return the result of `work` for this item, after the commit.

        Callers at the same time share one transaction: `work` gets all their items. Where it fails, each item
        is tried alone, so nobody fails for another's. Raises StoreDownError, and StoreError for a value that
        the database refuses. A `durable` write survives a power cut, others the end of the process.
        """
        self._prepare()
        result: _Result = self._writer.do(Job(work, item, durable))
        return result

    def tidy(self) -> None:
        """Empty SQLite's journal where nobody is in the way: it holds what was deleted since it began."""
        if self._file is None:
            return
        self._prepare()
        with closing(self._engine.raw_connection()) as connection:
            empty_journal(connection.driver_connection)

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        self._engine.dispose()
        self._ready = False

    def _start(self) -> None:
        self._pid = os.getpid()
        self._writer = Writer(self._settle, _PATIENCE * self._timeout)
        self._preparing = Lock()
        self._inode: tuple[int, int] | None = None
        self._ready = False
        self._resume = 0.0
        self._reason = ""

    def _prepare(self) -> None:
        """Be connected to the database of the address, in this process, with tables of this version."""
        if self._pid != os.getpid():  # a fork: the connections are the parent's
            self._engine.dispose(close=False)
            self._start()
        self._writer.check()
        if monotonic() < self._resume:
            raise StoreDownError(self._reason)
        if self._ready and (self._file is None or self._inode == _inode_of(self._file)):
            return
        with self._preparing:
            # Where the file was moved away, what we hold open is not what others see.
            if self._file is not None and self._inode != _inode_of(self._file):
                self.close()
            if not self._ready:
                self._migrate()

    def _migrate(self) -> None:
        try:
            with self._open_to_read() as connection, connection.begin():
                current = is_current(connection)
            if not current:
                with self._open_to_write(durable=True) as connection, connection.begin():
                    migrate(connection)
        except FAILURES as error:
            raise self._down(error) from None
        self._inode = _inode_of(self._file) if self._file else None
        self._ready = True

    def _settle(self, jobs: list[Job]) -> None:
        """Do the jobs in one transaction, or one by one where one of them cannot be done."""
        try:
            results = self._transact(jobs)
        except FAILURES as error:
            if is_of_a_value(error):
                self._settle_apart(jobs, StoreError("the database refuses a value"))
            else:
                self._down(error)
                for job in jobs:
                    job.fail(StoreDownError(self._reason))
        except Exception as error:  # noqa: BLE001 it is the callers'
            self._settle_apart(jobs, error)
        else:
            for job, result in zip(jobs, results, strict=True):
                job.succeed(result)

    def _settle_apart(self, jobs: list[Job], error: Exception) -> None:
        if len(jobs) == 1:
            jobs[0].fail(error)
        else:
            for job in jobs:
                self._settle([job])

    def _transact(self, jobs: list[Job]) -> list[Any]:
        groups: dict[Work[Any, Any], list[Job]] = {}
        for job in jobs:
            groups.setdefault(job.work, []).append(job)
        result_of: dict[Job, Any] = {}
        with self._open_to_write(durable=any(job.durable for job in jobs)) as connection, connection.begin():
            for work, group in groups.items():
                results = work(connection, [job.item for job in group])
                result_of.update(zip(group, results, strict=True))
        return [result_of[job] for job in jobs]

    def _open_to_read(self) -> Connection:
        """Return a connection whose transaction sees one moment of the database, as SQLite's always do."""
        connection = self._engine.connect()
        return connection if self._file else connection.execution_options(isolation_level="REPEATABLE READ")

    def _open_to_write(self, *, durable: bool) -> Connection:
        connection = self._engine.connect().execution_options(write=True)
        if self._file is not None and connection.info.get("durable") is not durable:
            mode = "FULL" if durable else "NORMAL"
            connection.connection.cursor().execute(f"PRAGMA synchronous={mode}")
            connection.info["durable"] = durable
        return connection

    def _down(self, error: Exception) -> StoreDownError:
        self._reason = reason_of(error)
        self._resume = monotonic() + self._pause
        self._ready = False
        return StoreDownError(self._reason)


def _inode_of(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
