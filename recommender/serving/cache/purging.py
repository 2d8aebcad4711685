"""Purge shared caches: post the surrogate keys of every change to a URL, or delete files in nginx's cache.

Every tenth of a second, each worker compares its state with the one before, and purges the keys of the
difference (`surrogates`). So changes made through other workers and by the rules file are purged too, and
after the last worker's purge no worker serves outdated responses. A worker may still be building a response
from before the change, and the cache may store it after the purge. So every purge is sent three times, the
last one 5 seconds later.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Protocol
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from recommender.serving.cache.surrogates import EVERYTHING, MAX_KEYS_PER_CHANGE, keys_between
from recommender.serving.worker.follower import WorkerState
from recommender.serving.worker.periodic import Periodic

HEADER = "Surrogate-Key"
_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.1
# A worker that has not seen a change yet, or is building a response from before it, may hand an outdated
# response to the cache after the purge. So every purge is repeated after these delays.
_REPEAT_SECONDS = (1.0, 5.0)
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 15.0
_TIMEOUT_SECONDS = 3.0
_KEYS_PER_POST = 200
_HEAD_BYTES = 32_768  # of a file in nginx's cache: its binary header, the URL and the response headers
_FILE = re.compile(r"[0-9a-f]{32}")  # other names are files that nginx is still writing
_KEYS_LINE = re.compile(rb"\nSurrogate-Key: ([^\r\n]*)", re.IGNORECASE)


class PurgeError(Exception):
    """A cache could not be purged; the message says why."""


class SharedCache(Protocol):
    """A shared cache that can be purged by surrogate key."""

    def purge(self, keys: Iterable[str]) -> None:
        """Remove the responses that have any of the keys. Raises PurgeError."""


class PurgeEndpoint:
    """A cache with a purge URL that takes keys as Fastly does: in a header and in JSON."""

    def __init__(self, url: str, header: str | None = None) -> None:
        self._url = url
        name, _, value = (header or "").partition(":")
        self._headers = {name.strip(): value.strip()} if header else {}
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))  # ignore proxies in the environment

    def purge(self, keys: Iterable[str]) -> None:
        """Post the keys in batches."""
        ordered = sorted(keys)
        for first in range(0, len(ordered), _KEYS_PER_POST):
            batch = ordered[first : first + _KEYS_PER_POST]
            headers = {HEADER: " ".join(batch), "Content-Type": "application/json", **self._headers}
            body = json.dumps({"surrogate_keys": batch}).encode()
            request = Request(self._url, body, headers, method="POST")  # noqa: S310 the setting allows http only
            try:
                self._opener.open(request, timeout=_TIMEOUT_SECONDS).close()
            except HTTPError as error:
                error.close()
                raise PurgeError(f"it responds with status {error.code}") from None
            except OSError as error:
                raise PurgeError(str(getattr(error, "reason", error))) from None


class NginxCacheFolder:
    """The cache of an nginx on this machine: the folder of its `proxy_cache_path`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def purge(self, keys: Iterable[str]) -> None:
        """Delete the files of the responses that have any of the keys; nginx then fetches them again."""
        purged_keys = {key.encode() for key in keys}
        try:
            for path in _files(self._folder):
                if not purged_keys.isdisjoint(_keys_in(path)):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise PurgeError(f"{error.filename}: {error.strerror}") from None


def shared_cache_at(url: str, header: str | None = None) -> SharedCache:
    """Return the cache with an http or https purge URL, or in the folder of a `file:` URL."""
    parts = urlsplit(url)
    return (
        NginxCacheFolder(Path(unquote(parts.path))) if parts.scheme == "file" else PurgeEndpoint(url, header)
    )


class Purger(Periodic):
    """Purges a shared cache, in a thread, of the responses that a change concerns.

    At the start and for a new model the whole cache is purged. Failed purges are retried.
    """

    def __init__(
        self, cache: SharedCache, state: Callable[[], WorkerState], clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__("purger", _INTERVAL_SECONDS, "cannot purge the shared cache")
        self._cache, self._state, self._clock = cache, state, clock
        self._seen = WorkerState()
        self._due = _repeated(frozenset({EVERYTHING}), clock())
        self._retry_seconds = self._next_try = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether every purge so far has succeeded, so that the cache may store responses for long."""
        now = self._clock()
        return not self.is_failing and all(at > now for at, _ in self._due)

    @property
    def is_failing(self) -> bool:
        """Whether the last purge failed."""
        return self._retry_seconds > 0

    def run_once(self) -> None:
        """Look for changes, and send the purges that are due."""
        state, now = self._state(), self._clock()
        if state.snapshot is not self._seen.snapshot or state.rules is not self._seen.rules:
            if keys := keys_between(self._seen, state):
                self._due = [*self._due, *_repeated(keys, now)]
            self._seen = state
        keys = frozenset().union(*(due_keys for at, due_keys in self._due if at <= now))
        if keys and now >= self._next_try:
            self._purge(keys if len(keys) <= MAX_KEYS_PER_CHANGE else frozenset({EVERYTHING}), now)

    def _purge(self, keys: frozenset[str], now: float) -> None:
        later = [(at, due_keys) for at, due_keys in self._due if at > now]
        try:
            self._cache.purge(keys)
        except PurgeError as error:
            if not self.is_failing:
                _log.warning("cannot purge the shared cache: %s", error)
            delay = max(2 * self._retry_seconds, _FIRST_RETRY_SECONDS)
            self._retry_seconds = min(delay, _LAST_RETRY_SECONDS)
            self._next_try = now + self._retry_seconds
            self._due = [(now, keys), *later]
            return
        if self.is_failing:
            _log.warning("the shared cache can be purged again")
            later += _repeated(keys, now)[1:]
        self._retry_seconds, self._due = 0.0, later


def _repeated(keys: frozenset[str], now: float) -> list[tuple[float, frozenset[str]]]:
    return [(now, keys), *((now + seconds, keys) for seconds in _REPEAT_SECONDS)]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of cached responses. Raises OSError if the folder does not exist."""
    any(folder.iterdir())
    for directory, _, names in os.walk(folder):
        yield from (Path(directory, name) for name in names if _FILE.fullmatch(name))


def _keys_in(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:  # nginx has deleted it
        return []
    line = _KEYS_LINE.search(head)
    return line[1].split() if line else []
