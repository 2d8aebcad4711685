"""Concurrency limits: a few callers at once, a short queue, and an error for all others.

Under load, the costly work is refused first. Most responses are cached, and must not wait behind requests
that compute. So computing a response has a limit (`ComputingLimit`), scoring the whole corpus has one (two at
once by default, `cors.ScoringLimit`), folding in new articles has one (`routes.submissions`), and so do
bodies that are being received (`uploads`). WSGI servers have no queue with a deadline for each kind of work.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import BoundedSemaphore, Lock, local
from time import monotonic
from typing import Protocol

from recommender.serving.http.problems import overloaded

Slot = Callable[[], AbstractContextManager[None]]
OnWait = Callable[[float], object]  # is called with the seconds of each wait in a queue

HEAVY_COST = 10  # from this cost on, a response takes turns with the other heavy ones
# At once, waiting, and seconds. Python runs one thread at a time, and a thread that serves a cached response
# waits behind all that compute. So few compute at once. A worker has about 16 threads (`asgi`).
# Light responses take milliseconds, so all can wait, in a thread or in the server's queue; one caller leaves
# half of the threads to others.
_HEAVY_LIMIT = 1, 6, 2.0
_LIGHT_LIMIT = 2, 64, 5.0
_HEAVY_PER_CALLER = 3
_LIGHT_PER_CALLER = 8


class PerKeyLimit:
    """Admits `at_once` holders of a slot with the same key, and rejects all others with a message."""

    def __init__(self, at_once: int, message: str) -> None:
        self._at_once, self._message = at_once, message
        self._holders = Counter[str]()
        self._lock = Lock()

    @contextmanager
    def slot(self, key: str) -> Iterator[None]:
        """Hold a slot. Raises Problem if all slots with this key are held."""
        with self._lock:
            if self._holders[key] >= self._at_once:
                raise overloaded(self._message)
            self._holders[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders[key] -= 1
                if not self._holders[key]:
                    del self._holders[key]  # so that the counter stays small


class _Slots:
    """A semaphore that gives slots to threads in the order in which they came.

    That of the standard library gives a slot to whichever thread runs first. Under load, that is mostly a
    thread that has just arrived, and some wait for seconds.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting = deque[Lock]()  # each is locked until its thread has a slot
        self._lock = Lock()

    def acquire(self, timeout: float = -1) -> bool:
        """Wait up to `timeout` seconds, without an end if it is -1, and return whether there is a slot."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._lock:
            if turn not in self._waiting:  # it got a slot at the last moment
                return True
            self._waiting.remove(turn)
            return False

    def release(self) -> None:
        """Give the slot to the thread that has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class ConcurrencyLimit:
    """Admits `at_once` callers at the same time; up to `waiting` more wait for up to `wait_seconds`.

    This bounds how many threads of a worker are busy with costly work, however many requests arrive. With
    `per_caller`, it also bounds how many requests of one caller have a slot or wait for one.
    """

    def __init__(
        self, at_once: int, waiting: int, wait_seconds: float, per_caller: int | None = None
    ) -> None:
        self.on_wait: OnWait | None = None
        self._capacity = BoundedSemaphore(at_once + waiting)
        self._slots = _Slots(at_once)
        self._wait_seconds = wait_seconds
        self._callers = (
            None
            if per_caller is None
            else PerKeyLimit(per_caller, f"you have {per_caller} requests in the queue; send fewer at once")
        )

    @contextmanager
    def slot(self, caller: str | None = None) -> Iterator[None]:
        """Wait for a slot, and hold it. Raises Problem if the queue is full or the wait times out.

        `caller` names the caller whose requests are counted; without it, they are not.
        """
        callers = self._callers
        with nullcontext() if callers is None or caller is None else callers.slot(caller):
            if not self._capacity.acquire(blocking=False):
                raise overloaded("the queue is full")
            try:
                if not self._acquired():
                    raise overloaded(f"timed out after {self._wait_seconds:g} s in the queue")
                try:
                    yield
                finally:
                    self._slots.release()
            finally:
                self._capacity.release()

    def _acquired(self) -> bool:
        """Wait for a slot; return whether there is one."""
        begun = monotonic()
        acquired = self._slots.acquire(timeout=self._wait_seconds)
        if self.on_wait is not None:
            self.on_wait(monotonic() - begun)
        return acquired

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the slot that the current thread holds to another thread, and wait to get it back."""
        self._slots.release()
        try:
            yield
        finally:
            self._slots.acquire()


class CallerAllowance(Protocol):
    """The allowance of the current caller; see `auth.Access`."""

    def count_computing(self, cost: int) -> None:
        """Spend a cost from the allowance. Raises Problem if too little is left."""

    def queue_name(self) -> str | None:
        """Return the name under which the caller's waiting requests are counted; None if they are not."""


class Deadline:
    """Ends the work of a request that takes too long."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._ends = clock() + seconds

    def check(self) -> None:
        """Raise Problem if the time is over."""
        if self._clock() >= self._ends:
            raise overloaded(
                f"the response was not complete after {self._seconds:g} s; request fewer lists at once"
            )


class ComputingLimit:
    """Limits the responses that are computed, because they are not cached: in total and per caller.

    A response with a cost of HEAVY_COST or more waits for one of a few slots for heavy responses, so that
    heavy ones take turns, and light ones never wait behind them.
    """

    def __init__(self, allowance: CallerAllowance, seconds: float) -> None:
        self._allowance, self._seconds = allowance, seconds
        self.light = ConcurrencyLimit(*_LIGHT_LIMIT, _LIGHT_PER_CALLER)
        self.heavy = ConcurrencyLimit(*_HEAVY_LIMIT, _HEAVY_PER_CALLER)
        self._threads = local()  # `limit`: the limit whose slot the thread holds

    @contextmanager
    def turn(self, cost: int) -> Iterator[None]:
        """Spend the cost, wait for a slot, and hold it. Raises Problem if the caller may not compute now."""
        self._allowance.count_computing(cost)
        limit = self.heavy if cost >= HEAVY_COST else self.light
        with limit.slot(self._allowance.queue_name()):
            self._threads.limit = limit
            try:
                yield
            finally:
                self._threads.limit = None

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another light response compute while this one waits to score the whole corpus."""
        if getattr(self._threads, "limit", None) is self.light:
            with self.light.lent():
                yield
        else:
            yield

    def deadline(self) -> Deadline:
        """Return the deadline of a response whose computation starts now."""
        return Deadline(self._seconds)
