"""The service as an ASGI application: cached responses from the event loop, all others by Flask in threads.

Python runs one thread at a time. If every request had a thread, as under WSGI, each response would wait until
other threads give up the interpreter's lock, and most of the time would be spent on that. So the thread that
receives requests also answers those that need no computing, and a few threads do the rest.
"""

import sys
from asyncio import AbstractEventLoop, Task, get_running_loop, run_coroutine_threadsafe, wait
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from time import monotonic
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import ClientDisconnected

from recommender.serving.app import create_app
from recommender.serving.cache.finished import FinishedResponse, FinishedResponses, encoded
from recommender.settings import Settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# Besides the threads of requests that score or wait for it. Unfinished uploads may hold 6 of these threads
# (`http.uploads`).
_OTHER_THREADS = 8
# After this time, a thread that computes lets another one run: such as the event loop, which answers from the
# cache. Ten times as long, Python's default, doubles the time of cached responses while others are computed.
SWITCH_SECONDS = 0.0005
_BODY_SECONDS = 60  # for a whole body, so that a client that sends nothing more does not keep a thread
# What usually arrives with the head of a request is received before a thread is busy with it.
_AT_ONCE_BYTES, _AT_ONCE_SECONDS = 1 << 16, 0.02
_SAME: WSGIEnvironment = {  # in every request
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}
_PLAIN_NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


def create_service() -> "Service":
    """Return the service with the settings in the environment, as a server loads it. Raises SettingsError."""
    settings = Settings.read()
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings)
    finished = app.wsgi_app
    assert isinstance(finished, FinishedResponses)  # noqa: S101 `create_app` has just set it
    return Service(app, finished, _OTHER_THREADS + settings.scoring_at_once + settings.scoring_queue)


class Service:
    """An ASGI application that answers from `finished`, and runs `app` in up to `threads` threads.

    Requests wait for a thread in the order in which they arrive. Nothing is streamed: a response is complete
    before it is sent, while a body is read as it arrives, for up to `body_seconds`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        finished: FinishedResponses,
        threads: int,
        body_seconds: float = _BODY_SECONDS,
    ) -> None:
        self._app, self._finished, self._body_seconds = app, finished, body_seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other connections than HTTP are refused."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not supported")
        environ = environ_of(scope)
        response = self._finished.answer(environ)
        if response is None:
            loop = get_running_loop()
            environ["wsgi.input"] = body = _Body(receive, loop, self._body_seconds)
            try:
                if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
                    await body.begin()
                response = await loop.run_in_executor(self._threads, _called, self._app, environ)
            finally:
                body.close()
        status, headers, content = response
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def environ_of(scope: Scope) -> WSGIEnvironment:
    """Return a request as WSGI describes it, without its body and without `wsgi.errors`: errors are logged.

    Names of headers with an underscore are left out: in WSGI they would look like those with a hyphen, which
    a proxy may have set.
    """
    path: bytes = scope["raw_path"]
    server, client = scope.get("server") or ("", ""), scope.get("client") or ("", "")  # none of a Unix socket
    environ = _SAME.copy()  # and item by item: this is part of each cached response, and takes less time
    environ["REQUEST_METHOD"] = scope["method"]
    environ["PATH_INFO"] = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")
    environ["QUERY_STRING"] = scope["query_string"].decode("latin-1")
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    environ["SERVER_NAME"], environ["SERVER_PORT"] = server[0], str(server[1])
    environ["REMOTE_ADDR"] = client[0]
    environ["wsgi.url_scheme"] = scope["scheme"]
    for name, value in scope["headers"]:
        key = _environ_name(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    return environ


@lru_cache(maxsize=256)
def _environ_name(name: bytes) -> str | None:
    """Return the name of a header in WSGI; None if it cannot be told apart from another one."""
    if b"_" in name:
        return None
    return _PLAIN_NAMES.get(name) or f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"


def _called(app: WSGIApplication, environ: WSGIEnvironment) -> FinishedResponse:
    """Return the response of a WSGI application."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return _refuse_to_write

    chunks: Iterable[bytes] = app(environ, start)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    return int(status[:3]), encoded(headers), body


def _refuse_to_write(_: bytes) -> None:
    raise NotImplementedError("return the body instead of writing it")


class _Body:
    """The body of a request: a thread reads what the event loop receives."""

    def __init__(self, receive: Receive, loop: AbstractEventLoop, seconds: float) -> None:
        self._receive, self._loop, self._seconds = receive, loop, seconds
        self._received, self._is_complete, self._is_cut = bytearray(), False, False
        self._coming: Task[dict[str, Any]] | None = None  # the next message
        self._ends = 0.0

    async def begin(self) -> None:
        """Receive what arrives at once."""
        ends = monotonic() + _AT_ONCE_SECONDS
        while not self._has_ended and len(self._received) < _AT_ONCE_BYTES:
            done, _ = await wait({self._expected()}, timeout=max(ends - monotonic(), 0))
            if not done:
                return
            self._take(await self._arrived())

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer at the end; by default all.

        Raises ClientDisconnected if the body ends early, or takes too long from the first call on.
        """
        while not self._has_ended and not 0 <= size <= len(self._received):
            self._take(self._message())
        if self._is_cut:
            raise ClientDisconnected
        end = len(self._received) if size < 0 else size
        taken = bytes(self._received[:end])
        del self._received[:end]
        return taken

    def close(self) -> None:
        """Stop receiving."""
        if self._coming is not None:
            self._coming.cancel()

    @property
    def _has_ended(self) -> bool:
        return self._is_complete or self._is_cut

    def _take(self, message: dict[str, Any]) -> None:
        self._received += message.get("body", b"")
        self._is_cut = message["type"] == "http.disconnect"
        self._is_complete = not message.get("more_body", False)

    def _message(self) -> dict[str, Any]:
        """Return what arrives next, in a thread."""
        self._ends = self._ends or monotonic() + self._seconds
        arriving = run_coroutine_threadsafe(self._arrived(), self._loop)
        try:
            return arriving.result(max(self._ends - monotonic(), 0))
        except TimeoutError:
            arriving.cancel()
            raise ClientDisconnected from None

    async def _arrived(self) -> dict[str, Any]:
        """Return what arrives next, in the event loop."""
        message = await self._expected()
        self._coming = None
        return message

    def _expected(self) -> "Task[dict[str, Any]]":
        """Return the task that receives the next message."""
        if self._coming is None:
            self._coming = self._loop.create_task(self._next())
        return self._coming

    async def _next(self) -> dict[str, Any]:
        return await self._receive()
