"""Bodies on their way in: how many may be waited for at once.

A thread of the server waits for as long as a body takes, and no deadline can end that. So those who send
slowly, or stop in the middle, must not have all the threads.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Protocol

from flask import Flask, Response, g, request

from recommender.serving.http.auth import Caller
from recommender.serving.http.concurrency import ConcurrencyLimit, Slot
from recommender.serving.http.problems import overloaded

# At once, those who wait for that, and how long. A body is there within a moment, as a rule.
_WITHOUT_KEY = 16, 8, 1.0
_WITH_KEY = 8, 4, 2.0
_OF_ADDRESS = 8
_DRAINED_BYTES = 8192  # that the server reads of a body that nobody wanted


class Stream(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, and none at the end."""


class Uploads:
    """Places for bodies that are being read: for callers with a key, for others, and for each address."""

    def __init__(self) -> None:
        self._without_key, self._with_key = ConcurrencyLimit(*_WITHOUT_KEY), ConcurrencyLimit(*_WITH_KEY)
        self._of_address: Counter[str] = Counter()
        self._lock = Lock()

    def add_to(self, app: Flask) -> None:
        """Stand between the server and all who read a body."""
        app.before_request(self._watch)
        app.after_request(_part)
        app.teardown_request(_end)

    def _watch(self) -> None:
        if request.method in {"POST", "PUT"}:
            g.body = Body(request.environ["wsgi.input"], self.place)
            request.environ["wsgi.input"] = g.body

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place. Raises Problem where there is none."""
        caller: Caller | None = g.get("caller")
        if caller is not None and caller.key is not None:
            with self._with_key.slot():
                yield
        elif caller is None or caller.is_local:
            with self._without_key.slot():
                yield
        else:
            with self._share_of(caller.address), self._without_key.slot():
                yield

    @contextmanager
    def _share_of(self, address: str) -> Iterator[None]:
        with self._lock:
            if self._of_address[address] >= _OF_ADDRESS:
                raise overloaded("this address has not sent the end of what it began")
            self._of_address[address] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of_address[address] -= 1
                self._of_address += Counter()  # forget who has none


class Body:
    """A body that takes a place when it is read first, and gives it back at its end."""

    def __init__(self, stream: Stream, place: Slot) -> None:
        self._stream, self._place = stream, place
        self._held = ExitStack()
        self._has_begun = False
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, and none at the end. Raises Problem where there is no place."""
        if not self._has_begun:
            self._held.enter_context(self._place())
            self._has_begun = True
        found = self._stream.read(size)
        self.bytes_read += len(found)
        if not found:
            self.close()
        return found

    def close(self) -> None:
        """Give the place back."""
        self._held.close()


def _part(response: Response) -> Response:
    """Say that the connection ends where a large body was refused unread, for then the server ends it."""
    if "body" in g:
        length = request.content_length
        is_large = "Transfer-Encoding" in request.headers if length is None else length > _DRAINED_BYTES
        if is_large and g.body.bytes_read < (length or 1):
            response.headers["Connection"] = "close"
    return response


def _end(_: BaseException | None) -> None:
    if "body" in g:
        g.body.close()
