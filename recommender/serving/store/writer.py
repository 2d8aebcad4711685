"""Group commit: writes that wait together are done together, by one thread of this process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from time import monotonic
from typing import Any

from recommender.serving.store.rows import StoreDownError

_IDLE_SECONDS = 1.0  # before the thread ends; the next write starts one
_SILENT = "the database does not answer"


@dataclass(eq=False)
class Job:
    """A write that waits for its commit: `work` takes the items of all jobs that share it."""

    work: Callable[..., list[Any]]
    item: Any
    durable: bool
    settled: Event = field(default_factory=Event)
    result: Any = None
    error: BaseException | None = None

    def succeed(self, result: Any) -> None:
        """Hand the result to who waits."""
        self.result = result
        self.settled.set()

    def fail(self, error: BaseException) -> None:
        """Hand the error to who waits."""
        self.error = error
        self.settled.set()


class Writer:
    """Hands jobs in groups to `settle`, which lets each succeed or fail, and raises nothing.

    The callers wait `patience_seconds` at most. Once a group has taken that long, new jobs are refused at
    once, so that a database that hangs does not hold up the threads that serve readers.
    """

    def __init__(self, settle: Callable[[list[Job]], None], patience_seconds: float) -> None:
        self._settle = settle
        self._patience = patience_seconds
        self._changed = Condition()
        self._waiting: list[Job] = []
        self._running = False
        self._began: float | None = None

    def check(self) -> None:
        """Raise StoreDownError while the database hangs."""
        began = self._began
        if began is not None and monotonic() - began > self._patience:
            raise StoreDownError(_SILENT)

    def do(self, job: Job) -> Any:
        """Return the job's result, or raise its error. Raises StoreDownError after the patience.

        What was begun by then may yet be done.
        """
        with self._changed:
            self._waiting.append(job)
            if self._running:
                self._changed.notify()
            else:
                self._running = True
                Thread(target=self._work, name="store-writer", daemon=True).start()
        if not job.settled.wait(self._patience):
            with self._changed:
                if job in self._waiting:
                    self._waiting.remove(job)
            raise StoreDownError(_SILENT)
        if job.error is not None:
            raise job.error
        return job.result

    def _work(self) -> None:
        while jobs := self._next():
            self._began = monotonic()
            self._settle(jobs)
            self._began = None

    def _next(self) -> list[Job]:
        with self._changed:
            if not self._waiting:
                self._changed.wait(_IDLE_SECONDS)
            jobs, self._waiting = self._waiting, []
            self._running = bool(jobs)
        return jobs
