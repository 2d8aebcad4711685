"""Turns at costly work: a few at once, some who wait, and nobody beyond."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import BoundedSemaphore

from recommender.serving.http.problems import overloaded

Slot = Callable[[], AbstractContextManager[None]]


class ConcurrencyLimit:
    """So many at once, and so many more who wait for at most some seconds; the others are sent away.

    So what is costly takes its share of a worker and of its threads, and no more, however much is asked.
    """

    def __init__(self, at_once: int, waiting: int, wait_seconds: float) -> None:
        self._places = BoundedSemaphore(at_once + waiting)
        self._slots = BoundedSemaphore(at_once)
        self._wait_seconds = wait_seconds

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a turn, and hold it. Raises Problem where too many wait, or it does not come in time."""
        if not self._places.acquire(blocking=False):
            raise overloaded("too many ask for this at once")
        try:
            if not self._slots.acquire(timeout=self._wait_seconds):
                raise overloaded(f"others took over {self._wait_seconds:g} s")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()
