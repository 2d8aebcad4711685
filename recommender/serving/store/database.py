"""This process's access to a database: connections, transactions, group commit and error translation."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection

from recommender.serving.store.engine import (
    FAILURES,
    checked_url,
    empty_journal,
    is_value_error,
    new_engine,
    reason_of,
)
from recommender.serving.store.rows import DatabaseFacts, StoreDownError, StoreError
from recommender.serving.store.schema import NEWEST, NUMBERS, is_current, migrate, version_of
from recommender.serving.store.writer import Job, Writer, WriterError

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

# So that a request takes less than 5 seconds. A write may take two times the timeout for the write lock.
_PATIENCE = 2
_READ_SECONDS = 4.0

Work = Callable[[Connection, list[_Item]], list[_Result]]


class Database:
    """Reads and writes on SQLite or PostgreSQL. The first use connects, and creates or migrates the tables.

    There is one writer at a time, on PostgreSQL too. So a write transaction sees all earlier ones, and the
    numbers that it assigns grow in the order of commits. After a failure, calls fail at once for
    `pause_seconds`, so that callers waiting for an unreachable database do not block all workers.
    Raises StoreError for an unusable address.
    """

    def __init__(self, url: str, *, timeout_seconds: float, pause_seconds: float) -> None:
        self._url = checked_url(url)
        self._timeout = timeout_seconds
        self._pause = pause_seconds
        self._file = Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None
        self._engine = new_engine(self._url, timeout_seconds)
        self.on_failure: Callable[[], object] | None = None  # is called for each failure of the database
        self._start()

    @property
    def is_there(self) -> bool:
        """Whether the SQLite file exists; always True for a server."""
        return self._file is None or self._file.exists()

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return the result of `work` in one read transaction. Raises StoreDownError."""
        self._prepare()

        def run() -> _Result:
            with self._open_to_read() as connection, connection.begin():
                return work(connection)

        try:
            return self._in_time(run)
        except FAILURES as error:
            raise self._down(error) from None

    def write(self, work: Work[_Item, _Result], item: _Item, *, durable: bool = False) -> _Result:
        """Return the result of `work` for this item, after the commit.

        Concurrent callers share one transaction: `work` gets all their items. If it fails, each item is tried
        on its own, so that one bad item fails only its own caller. Raises StoreDownError, and StoreError for
        a value that the database rejects. A `durable` write survives a power cut; every write survives the
        end of the process.
        """
        self._prepare()
        try:
            result: _Result = self._writer.do(Job(work, item, durable))
        except WriterError as error:
            _log.error("%s", error)
            raise self._down(error) from None
        return result

    def facts(self) -> DatabaseFacts:
        """Return facts about the database, which stays as it is: what serving would write is rolled back.

        Raises StoreDownError if serving could not use it now, and StoreError if it never could.
        """
        if not self.is_there:
            return DatabaseFacts(str(self._url.database), 0, NEWEST)
        try:
            return self._in_time(self._facts)
        except FAILURES as error:
            raise StoreDownError(reason_of(error)) from None

    def tidy(self) -> None:
        """Truncate SQLite's journal, which still contains deleted data, unless another connection uses it."""
        if self._file is None:
            return
        self._prepare()
        try:
            with self._engine.connect().execution_options(begins=False) as connection:
                empty_journal(connection)
        except FAILURES as error:
            raise self._down(error) from None

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        self._engine.dispose()
        self._ready = False

    def _start(self) -> None:
        self._pid = os.getpid()
        self._writer = Writer(self._settle, _PATIENCE * self._timeout)
        self._preparing = Lock()
        self._hung: Thread | None = None  # a read that did not end in time
        self._inode: tuple[int, int] | None = None
        self._ready = False
        self._resume = 0.0
        self._reason = ""

    def _prepare(self) -> None:
        """Connect this process to the database that is at the address now, and migrate it if necessary."""
        if self._pid != os.getpid():  # after a fork, the connections belong to the parent
            self._engine.dispose(close=False)
            self._start()
        self._writer.check()
        if monotonic() < self._resume:
            raise StoreDownError(self._reason)
        if self._ready and (self._file is None or self._inode == _inode_of(self._file)):
            return
        with self._preparing:
            # If the file was moved away, our open connections no longer see what other processes see.
            if self._file is not None and self._inode != _inode_of(self._file):
                self.close()
            if not self._ready:
                self._migrate()

    def _in_time(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of `work`. Raises StoreDownError if a server does not respond in time.

        The driver would wait for as long as a server accepts data, so this waits for a thread, which may be
        left behind. Until that has ended, calls fail at once.
        """
        if self._file is not None:
            return work()
        hung = self._hung
        if hung is not None and hung.is_alive():
            raise StoreDownError(self._reason)
        future: Future[_Result] = Future()
        thread = Thread(target=_complete, args=(future, work), name="store-reader", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise self._down(error) from None
        if not wait([future], _READ_SECONDS).done:
            self._hung = thread
            raise self._down(TimeoutError("the server did not respond in time"))
        return future.result()

    def _migrate(self) -> None:
        try:
            self._in_time(self._connect)
        except FAILURES as error:
            raise self._down(error) from None
        self._inode = _inode_of(self._file) if self._file else None
        self._ready = True

    def _connect(self) -> None:
        """Connect, and create or migrate the tables if necessary."""
        with self._open_to_read() as connection, connection.begin():
            current = is_current(connection)
        if not current:
            with self._open_to_write(durable=True) as connection, connection.begin():
                migrate(connection)

    def _facts(self) -> DatabaseFacts:
        with self._open_to_write(durable=True) as connection, connection.begin() as transaction:
            version = version_of(connection)
            migrate(connection)
            connection.execute(NUMBERS.update().values(value=NUMBERS.c.value))
            now = None if self._file else connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
            transaction.rollback()
        return DatabaseFacts(str(self._url.database), version, NEWEST, now)

    def _settle(self, jobs: list[Job]) -> None:
        """Run the jobs in one transaction, or one by one if that fails because of one of them."""
        try:
            results = self._transact(jobs)
        except FAILURES as error:
            if is_value_error(error):
                self._settle_singly(jobs, StoreError("the database rejects a value"))
            else:
                self._down(error)
                for job in jobs:
                    job.fail(StoreDownError(self._reason))
        except Exception as error:  # noqa: BLE001 passed on to the callers
            self._settle_singly(jobs, error)
        else:
            for job, result in zip(jobs, results, strict=True):
                job.succeed(result)

    def _settle_singly(self, jobs: list[Job], error: Exception) -> None:
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
        """Return a connection whose transaction sees one state of the database; on SQLite all do."""
        connection = self._engine.connect()
        return connection if self._file else connection.execution_options(isolation_level="REPEATABLE READ")

    def _open_to_write(self, *, durable: bool) -> Connection:
        return self._engine.connect().execution_options(write=True, durable=durable)

    def _down(self, error: Exception) -> StoreDownError:
        self._reason = reason_of(error)
        self._resume = monotonic() + self._pause
        self._ready = False
        if self.on_failure is not None:
            self.on_failure()
        return StoreDownError(self._reason)


def _complete(future: "Future[_Result]", work: Callable[[], _Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 raised in the thread that waits
        future.set_exception(error)


def _inode_of(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
