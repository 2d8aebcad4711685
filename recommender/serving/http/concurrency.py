"""A concurrency limit: a few callers at once, a short queue, and an error for all others.

Under load, the costly work is refused first. Most lists come from the neighbours computed at training, and
must not wait behind requests that score the whole corpus. So scoring has a limit (two at once by default,
`ScoringLimit`), folding in new articles has a separate one (`routes.submissions`), and so do bodies that are
being received (`uploads`). WSGI servers have no queue with a deadline for each kind of work.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import BoundedSemaphore

from recommender.serving.http.problems import overloaded

Slot = Callable[[], AbstractContextManager[None]]


class ConcurrencyLimit:
    """Admits `at_once` callers at the same time; up to `waiting` more wait for up to `wait_seconds`.

    This bounds how many threads of a worker are busy with costly work, however many requests arrive.
    """

    def __init__(self, at_once: int, waiting: int, wait_seconds: float) -> None:
        self._capacity = BoundedSemaphore(at_once + waiting)
        self._slots = BoundedSemaphore(at_once)
        self._wait_seconds = wait_seconds

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot, and hold it. Raises Problem if the queue is full or the wait times out."""
        if not self._capacity.acquire(blocking=False):
            raise overloaded("the queue is full")
        try:
            if not self._slots.acquire(timeout=self._wait_seconds):
                raise overloaded(f"timed out after {self._wait_seconds:g} s in the queue")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._capacity.release()
