"""Shared caches told what to forget: the surrogate keys of every change, posted to an address or a folder."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Protocol
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from recommender.serving.cache.surrogates import EVERYTHING, MAX_OF_CHANGE, keys_between
from recommender.serving.worker.follower import WorkerState

HEADER = "Surrogate-Key"
_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
# A worker that does not know of a change yet, or is at an answer of before it, may hand one to the cache
# after it was told to forget it. So it is told again.
_AGAIN_SECONDS = (1.0, 5.0)
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 15.0
_TIMEOUT_SECONDS = 3.0
_KEYS_OF_POST = 200
_HEAD_BYTES = 32_768  # of a file of nginx's cache: its own head, the address, and the headers of the answer
_FILE = re.compile(r"[0-9a-f]{32}")  # others are being written
_KEYS_LINE = re.compile(rb"\nSurrogate-Key: ([^\r\n]*)", re.IGNORECASE)


class PurgeError(Exception):
    """A cache could not be told; the message says why."""


class SharedCache(Protocol):
    """A shared cache."""

    def forget(self, keys: Iterable[str]) -> None:
        """Forget the answers that have any of the keys. Raises PurgeError."""


class PurgeEndpoint:
    """A cache behind an address that takes keys as Fastly does: in a header and in JSON."""

    def __init__(self, url: str, header: str | None = None) -> None:
        self._url = url
        name, _, value = (header or "").partition(":")
        self._headers = {name.strip(): value.strip()} if header else {}
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))  # no proxy of the environment

    def forget(self, keys: Iterable[str]) -> None:
        """Post the keys, some at a time."""
        ordered = sorted(keys)
        for first in range(0, len(ordered), _KEYS_OF_POST):
            some = ordered[first : first + _KEYS_OF_POST]
            headers = {HEADER: " ".join(some), "Content-Type": "application/json", **self._headers}
            body = json.dumps({"surrogate_keys": some}).encode()
            request = Request(self._url, body, headers, method="POST")  # noqa: S310 the setting allows http alone
            try:
                self._opener.open(request, timeout=_TIMEOUT_SECONDS).close()
            except HTTPError as error:
                error.close()
                raise PurgeError(f"it answers {error.code}") from None
            except OSError as error:
                raise PurgeError(str(getattr(error, "reason", error))) from None


class NginxCacheFolder:
    """The cache of an nginx on this machine: the folder of its `proxy_cache_path`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def forget(self, keys: Iterable[str]) -> None:
        """Delete the files of the answers that have any of the keys: nginx asks for them anew."""
        wanted = {key.encode() for key in keys}
        try:
            for path in _files(self._folder):
                if not wanted.isdisjoint(_keys_in(path)):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise PurgeError(f"{error.filename}: {error.strerror}") from None


def shared_cache_at(url: str, header: str | None = None) -> SharedCache:
    """Return the cache at an http or https address, or in the folder of a `file:` one."""
    parts = urlsplit(url)
    return (
        NginxCacheFolder(Path(unquote(parts.path))) if parts.scheme == "file" else PurgeEndpoint(url, header)
    )


class Purger:
    """Tells a cache, in a thread of its own, what each change of what a worker knows concerns.

    Every worker tells it when it has itself taken up the change: so the last of them does when none answers
    as before. At the start and on a new model the cache forgets all. What it cannot be told it is told later.
    """

    def __init__(
        self, cache: SharedCache, state: Callable[[], WorkerState], clock: Callable[[], float] = monotonic
    ) -> None:
        self._cache, self._state, self._clock = cache, state, clock
        self._seen = WorkerState()
        self._due = _thrice(frozenset({EVERYTHING}), clock())
        self._retry_seconds = self._next_try = 0.0
        self._ended = Event()

    @property
    def is_trusted(self) -> bool:
        """Whether the cache has been told all, so that it may keep answers for long."""
        now = self._clock()
        return not self.is_failing and all(at > now for at, _ in self._due)

    @property
    def is_failing(self) -> bool:
        """Whether the cache could not be told at the last try."""
        return self._retry_seconds > 0

    def start(self) -> None:
        """Look again and again, in a thread, until `stop`."""
        Thread(target=self._run, name="purger", daemon=True).start()

    def stop(self) -> None:
        """End the thread of `start`."""
        self._ended.set()

    def look(self) -> None:
        """Note what has changed, and tell the cache what is due."""
        state, now = self._state(), self._clock()
        if state.snapshot is not self._seen.snapshot or state.rules is not self._seen.rules:
            if keys := keys_between(self._seen, state):
                self._due = [*self._due, *_thrice(keys, now)]
            self._seen = state
        keys = frozenset().union(*(some for at, some in self._due if at <= now))
        if keys and now >= self._next_try:
            self._tell(keys if len(keys) <= MAX_OF_CHANGE else frozenset({EVERYTHING}), now)

    def _tell(self, keys: frozenset[str], now: float) -> None:
        later = [(at, some) for at, some in self._due if at > now]
        try:
            self._cache.forget(keys)
        except PurgeError as error:
            if not self.is_failing:
                _log.warning("the shared cache cannot be told what to forget: %s", error)
            waited = max(2 * self._retry_seconds, _FIRST_RETRY_SECONDS)
            self._retry_seconds = min(waited, _LAST_RETRY_SECONDS)
            self._next_try = now + self._retry_seconds
            self._due = [(now, keys), *later]
            return
        if self.is_failing:
            _log.warning("the shared cache can be told again")
            later += _thrice(keys, now)[1:]
        self._retry_seconds, self._due = 0.0, later

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the outermost loop of a thread, which must go on
                _log.exception("the shared cache cannot be told what to forget")


def _thrice(keys: frozenset[str], now: float) -> list[tuple[float, frozenset[str]]]:
    return [(now, keys), *((now + seconds, keys) for seconds in _AGAIN_SECONDS)]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of kept answers. Raises OSError where there is no such folder."""
    any(folder.iterdir())
    for at, _, names in os.walk(folder):
        yield from (Path(at, name) for name in names if _FILE.fullmatch(name))


def _keys_in(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:  # nginx was faster
        return []
    found = _KEYS_LINE.search(head)
    return found[1].split() if found else []
