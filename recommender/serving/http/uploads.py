"""Limit how many request bodies are received at the same time.

A thread is busy until the whole body has arrived, for up to a minute (`asgi`). So clients that send slowly
or stop in the middle of a body must not occupy all threads.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from flask import Flask, Response, g, request

from recommender.serving.http.auth import Caller
from recommender.serving.http.concurrency import ConcurrencyLimit, PerKeyLimit, Slot

# At once, waiting, and seconds. A body usually arrives within a moment.
_LIMIT_WITHOUT_KEY = 4, 1, 1.0
_LIMIT_WITH_KEY = 2, 1, 2.0
_ADDRESS_SHARE = 0.8  # of the bodies without a key that may be from one address
_MAX_DRAINED_BYTES = 8192  # of an unread body; the server closes the connection if there is more


class Stream(Protocol):
    """The source of a body."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, and none at the end."""


class UploadLimit:
    """Limits bodies that are being received: from callers with a key, without a key, and per address."""

    def __init__(self) -> None:
        self._without_key = ConcurrencyLimit(*_LIMIT_WITHOUT_KEY)
        self._with_key = ConcurrencyLimit(*_LIMIT_WITH_KEY)
        self.limits = [self._without_key, self._with_key]
        per_address = int(_ADDRESS_SHARE * _LIMIT_WITHOUT_KEY[0])
        self._addresses = PerKeyLimit(
            per_address, f"this address has {per_address} unfinished uploads; finish them first"
        )

    def add_to(self, app: Flask) -> None:
        """Limit the bodies that an app receives."""
        app.before_request(self._wrap_body)
        app.after_request(_announce_close)
        app.teardown_request(_release_slot)

    def _wrap_body(self) -> None:
        if request.method in {"POST", "PUT"}:
            g.body = LimitedBody(request.environ["wsgi.input"], self.slot, request.content_length)
            request.environ["wsgi.input"] = g.body

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot for the current caller, and hold it. Raises Problem if there is none."""
        caller: Caller | None = g.get("caller")
        if caller is not None and caller.key is not None:
            with self._with_key.slot():
                yield
        elif caller is None or caller.is_local:
            with self._without_key.slot():
                yield
        else:
            with self._addresses.slot(caller.address), self._without_key.slot():
                yield


class LimitedBody:
    """A request body that acquires a slot at the first read, and releases it at the end.

    `length` is the number of bytes of the body, if it is known.
    """

    def __init__(self, stream: Stream, slot: Slot, length: int | None = None) -> None:
        self._stream, self._slot, self._length = stream, slot, length
        self._acquired = ExitStack()
        self._has_begun = False
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, and none at the end. Raises Problem if there is no slot."""
        if not self._has_begun:
            self._acquired.enter_context(self._slot())
            self._has_begun = True
        chunk = self._stream.read(size)
        self.bytes_read += len(chunk)
        if not chunk or self.bytes_read == self._length:
            self.close()
        return chunk

    def close(self) -> None:
        """Release the slot."""
        self._acquired.close()


def _announce_close(response: Response) -> Response:
    """Send `Connection: close` if a large body was not read, as the server then closes the connection."""
    if "body" in g:
        length = request.content_length
        is_large = "Transfer-Encoding" in request.headers if length is None else length > _MAX_DRAINED_BYTES
        if is_large and g.body.bytes_read < (length or 1):
            response.headers["Connection"] = "close"
    return response


def _release_slot(_: BaseException | None) -> None:
    if "body" in g:
        g.body.close()
