"""Group commit: one thread per process commits all waiting writes together.

A commit takes the same time for one write as for many, because it waits for the disk. SQLAlchemy has no group
commit. If a transaction fails because of one write, each write is tried on its own (see `Database.write`).
Callers wait for the commit, but not for a database that hangs.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Event, Thread, current_thread
from time import monotonic
from typing import Any

from recommender.serving.store.rows import StoreDownError

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0  # after which the idle thread ends; the next write starts a new one
_TIMED_OUT = "a write to the database timed out"


class WriterError(Exception):
    """No thread can be started to write; the message says why."""


@dataclass(eq=False)
class Job:
    """A write that waits for its commit; `work` is called once with the items of all jobs that share it."""

    work: Callable[..., list[Any]]
    item: Any
    durable: bool
    settled: Event = field(default_factory=Event)
    result: Any = None
    error: BaseException | None = None

    def succeed(self, result: Any) -> None:
        """Return the result to the waiting caller."""
        self.result = result
        self.settled.set()

    def fail(self, error: BaseException) -> None:
        """Raise the error in the waiting caller."""
        self.error = error
        self.settled.set()


class Writer:
    """Passes waiting jobs in groups to `settle`, which makes each job succeed or fail.

    The thread ends when it is idle or after an unexpected error; the next job starts a new one.
    Callers wait up to `patience_seconds`. Once a group has taken that long, new jobs fail at once, so that a
    hanging database does not block the threads that serve readers.
    """

    def __init__(self, settle: Callable[[list[Job]], None], patience_seconds: float) -> None:
        self._settle = settle
        self._patience = patience_seconds
        self._changed = Condition()
        self._waiting: list[Job] = []
        self._thread: Thread | None = None  # that takes the waiting jobs; it may have ended
        self._started_at: float | None = None

    def check(self) -> None:
        """Raise StoreDownError while the database hangs."""
        started_at, thread = self._started_at, self._thread
        hangs = started_at is not None and monotonic() - started_at > self._patience
        if hangs and thread is not None and thread.is_alive():
            raise StoreDownError(_TIMED_OUT)

    def do(self, job: Job) -> Any:
        """Return the job's result, or raise its error. Raises StoreDownError after `patience_seconds`.

        A job that has started by then may still be committed. Raises WriterError if no thread can be started.
        """
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._waiting.append(job)
            self._changed.notify()
        if not job.settled.wait(self._patience):
            with self._changed:
                if job in self._waiting:
                    self._waiting.remove(job)
            raise StoreDownError(_TIMED_OUT)
        if job.error is not None:
            raise job.error
        return job.result

    def _start(self) -> None:
        self._started_at = None
        thread = Thread(target=self._work, name="store-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise WriterError(f"cannot write to the database: {error}") from error
        self._thread = thread

    def _work(self) -> None:
        jobs: list[Job] = []
        try:
            while jobs := self._next():
                self._started_at = monotonic()
                self._settle(jobs)
                self._started_at = None
        except Exception as error:  # noqa: BLE001 the outermost loop of a thread; callers get it
            _log.exception("the thread that writes to the database ended; the next write starts a new one")
            self._end(jobs, error)

    def _next(self) -> list[Job]:
        with self._changed:
            if not self._waiting:
                self._changed.wait(_IDLE_SECONDS)
            jobs, self._waiting = self._waiting, []
            if not jobs and self._thread is current_thread():
                self._thread = None
        return jobs

    def _end(self, jobs: list[Job], error: Exception) -> None:
        """Fail the jobs of this thread, settled or not, and those that wait for it."""
        with self._changed:
            jobs, self._waiting = [*jobs, *self._waiting], []
            if self._thread is current_thread():
                self._thread = None
        for job in jobs:
            if not job.settled.is_set():
                job.fail(error)
