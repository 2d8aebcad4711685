"""Finished responses: what was served from the response cache is served again before Flask.

Flask needs about 300 µs to build a request and a response, even if the body is cached. This WSGI layer stores
the bytes and headers of a response that Flask made from the response cache, under all that they depend on in
the request. It serves them for as long as the response cache would return the same cached response. So
there is no second rule for what is current: a withdrawal, a rule, a new model or a new minute that drops a
cached response also drops what was made from it. A list that the response cache renews, because only its date
and its number of eligible articles changed, is renewed here, too.

What the app does with every request is done here, too: the caller is identified and counted against rate
limits, the request gets an id, and the response is counted. Whatever is not certain is left to Flask: other
methods, refusals and errors.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Lock
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from cachetools import LRUCache
from werkzeug.http import parse_etags, remove_entity_headers, unquote_etag

from recommender.serving.cache.caching import SERVED, CachedResponse, ResponseCache, Served
from recommender.serving.http.auth import Access
from recommender.serving.http.compression import accepts_gzip, compressed
from recommender.serving.http.cors import REFUSAL
from recommender.serving.http.problems import Problem
from recommender.serving.http.requests import request_id_of
from recommender.serving.telemetry.answers import BEGUN, SOURCES, Answer, ItemSources
from recommender.serving.telemetry.logs import log_answer
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context

_Key = tuple[str | bool | None, ...]
_Headers = list[tuple[str, str]]
_EncodedHeaders = list[tuple[bytes, bytes]]
FinishedResponse = tuple[int, _EncodedHeaders, bytes]  # status, headers, body

_OK, _NOT_MODIFIED = "200 OK", "304 NOT MODIFIED"
_KNOWN_VARIANTS = frozenset({"accept-encoding", "authorization", "origin"})
_HEADER_BYTES = 1500  # of a finished response, in memory


@dataclass(frozen=True, slots=True)
class _Finished:
    """A response without the headers that differ each time."""

    served: Served
    headers: _EncodedHeaders
    not_modified_headers: _EncodedHeaders  # of the response to a client that has it
    has_fixed_lifetime: bool  # `Cache-Control` is not that of the response cache
    has_body: bool  # otherwise only a client that has the response can be answered
    own_body: bytes | None  # None: the body is the cached one
    etag: str  # without quotes
    answers: tuple[Answer, Answer]  # how the response is counted, with the body and without
    size: int  # bytes in memory, about

    @property
    def is_plain(self) -> bool:
        """Whether it is the cached response itself, perhaps compressed."""
        return self.etag == self.served.etag

    def renewed(self, cached: CachedResponse) -> "_Finished | None":
        """Return the response made from a renewal of the cached one; None if only the app can make it."""
        if not (self.is_plain and self.has_body):
            return None
        is_weak = any(name == b"ETag" and value.startswith(b"W/") for name, value in self.headers)
        own_body = compressed(cached.body) if is_weak else None
        if (own_body is None) != (self.own_body is None):  # then it has other headers
            return None
        length, old, new = len(own_body or cached.body), self.etag.encode(), cached.etag.encode()

        def with_values(headers: _EncodedHeaders) -> _EncodedHeaders:
            value_of = {b"Content-Length": b"%d" % length}
            return [
                (name, value.replace(old, new) if name == b"ETag" else value_of.get(name, value))
                for name, value in headers
            ]

        return replace(
            self,
            served=replace(self.served, etag=cached.etag),
            headers=with_values(self.headers),
            not_modified_headers=with_values(self.not_modified_headers),
            own_body=own_body,
            etag=cached.etag,
            size=self.size - len(self.own_body or b"") + len(own_body or b""),
        )


@dataclass(frozen=True, slots=True)
class _Current:
    """A finished response in one view."""

    finished: _Finished
    body: bytes
    cache_control: tuple[tuple[bytes, bytes], ...]  # the header; none if it is among those of `finished`


class FinishedResponses:
    """A WSGI application that answers from finished responses, and from `app` if there is none."""

    def __init__(
        self,
        app: WSGIApplication,
        context: Context,
        cache: ResponseCache,
        access: Access,
        record: Callable[[tuple[Answer, float]], object],
    ) -> None:
        self.app = app
        self._context, self._cache, self._access, self._record = context, cache, access, record
        self._has_log = context.settings.access_log
        self._origins = frozenset(context.settings.cors_origins)
        self._responses: LRUCache[_Key, _Finished] = LRUCache(
            context.settings.cache_bytes // 2, lambda finished: finished.size
        )
        self._lock = Lock()
        # Requests in the same millisecond share a view, and so what is current in it.
        self._latest: tuple[ConsistentView, dict[_Key, _Current]] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        response = self.answer(environ)
        if response is None:
            answer = self._answer_by_app if _may_be_finished(environ) else self.app
            return answer(environ, start_response)
        status, headers, body = response
        names_and_values = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        start_response({200: _OK, 304: _NOT_MODIFIED}[status], names_and_values)
        return [body]

    def answer(self, environ: WSGIEnvironment) -> FinishedResponse | None:
        """Return a finished response if the app would give the same one now; otherwise return None.

        This waits for nothing and computes little, so an event loop may call it.
        """
        environ.setdefault(BEGUN, perf_counter())
        if not _may_be_finished(environ):
            return None
        view = self._context.view_at_once()
        current = None if view is None else self._current(self._key(environ), view)
        return None if current is None else self._answered(current, environ)

    def _key(self, environ: WSGIEnvironment) -> _Key:
        origin = environ.get("HTTP_ORIGIN")
        return (
            environ.get("HTTP_HOST"),
            environ.get("PATH_INFO"),
            environ.get("QUERY_STRING"),
            accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")),
            origin if origin in self._origins else None,
        )

    def _current(self, key: _Key, view: ConsistentView) -> _Current | None:
        """Return the response under a key if the response cache would return it in this view."""
        latest = self._latest
        if latest is None or latest[0] is not view:
            latest = self._latest = view, {}
        known = latest[1]
        if key not in known:
            current = self._found(key, view)
            if current is None:
                return None
            known[key] = current
        return known[key]

    def _found(self, key: _Key, view: ConsistentView) -> _Current | None:
        try:
            with self._lock:
                finished = self._responses[key]
        except KeyError:
            return None
        served = finished.served
        leaderboards = self._context.current_leaderboards(view) if served.shows_ranks else None
        again = self._cache.serve_again(served, view, leaderboards)
        if again is None:
            return None
        cached, cache_control = again
        if cached.etag != served.etag:
            renewed = finished.renewed(cached)
            if renewed is None:
                return None
            finished = renewed
            self._store(key, finished)
        body = cached.body if finished.own_body is None else finished.own_body
        header = (b"Cache-Control", cache_control.encode("latin-1"))
        return _Current(finished, body, () if finished.has_fixed_lifetime else (header,))

    def _answered(self, current: _Current, environ: WSGIEnvironment) -> FinishedResponse | None:
        """Return the response to a request; None if the app has to respond. The request is counted."""
        finished = current.finished
        condition = environ.get("HTTP_IF_NONE_MATCH")
        is_known = condition is not None and _matches(condition, finished.etag)
        if not (is_known or finished.has_body):
            return None
        try:
            self._access.reader(environ)
        except Problem as problem:
            environ[REFUSAL] = problem
            return None
        headers = [
            *(finished.not_modified_headers if is_known else finished.headers),
            *current.cache_control,
        ]
        request_id, answer = request_id_of(environ), finished.answers[is_known]
        headers.append((b"X-Request-ID", request_id.encode("latin-1")))
        seconds = perf_counter() - environ[BEGUN]
        self._record((answer, seconds))
        if self._has_log:
            log_answer("GET", answer, seconds, request_id)
        if is_known:
            return 304, headers, b""
        return 200, headers, current.body

    def _answer_by_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the app answer, and store its response if it comes from the response cache."""
        status, headers = "", list[tuple[str, str]]()

        def start(*arguments: Any) -> Any:
            nonlocal status, headers
            status, headers = arguments[:2]
            return start_response(*arguments)

        chunks = self.app(environ, start)
        served: Served | None = environ.get(SERVED)
        if served is None:
            return chunks
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        key = self._key(environ)
        finished = _finished(served, status, headers, body, key, environ.get(SOURCES, ()))
        if finished is not None and finished.size <= self._responses.maxsize:
            self._store(key, finished)
        return [body]

    def _store(self, key: _Key, finished: _Finished) -> None:
        with self._lock:
            self._responses[key] = finished


def encoded(headers: _Headers) -> _EncodedHeaders:
    """Return headers as the bytes that are sent."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _may_be_finished(environ: WSGIEnvironment) -> bool:
    """Return whether responses to requests of this kind are stored."""
    return environ["REQUEST_METHOD"] == "GET" and "HTTP_IF_MATCH" not in environ


def _finished(
    served: Served, status: str, headers: _Headers, body: bytes, key: _Key, sources: ItemSources
) -> _Finished | None:
    """Return what to store of a response; None if it may not be served again."""
    value_of = {name.lower(): value for name, value in headers}
    lifetime, vary = value_of.get("cache-control", "no-store"), value_of.get("vary", "")
    variants = {name.strip().lower() for name in vary.split(",") if name.strip()}
    if status not in {_OK, _NOT_MODIFIED} or "no-store" in lifetime or not variants <= _KNOWN_VARIANTS:
        return None
    has_fixed_lifetime = not lifetime.startswith("public")
    changing = {"date", "x-request-id"} | (set() if has_fixed_lifetime else {"cache-control"})
    etag, has_body = unquote_etag(value_of["etag"])[0] or "", status == _OK
    is_cached_body = has_body and etag == served.etag and "content-encoding" not in value_of
    own_body = None if is_cached_body else body
    fixed = [header for header in headers if header[0].lower() not in changing]
    not_modified = fixed.copy()
    remove_entity_headers(not_modified)
    return _Finished(
        served=served,
        headers=encoded(fixed),
        not_modified_headers=encoded(not_modified),
        has_fixed_lifetime=has_fixed_lifetime,
        has_body=has_body,
        own_body=own_body,
        etag=etag,
        answers=(
            Answer(served.endpoint, "200", "finished", sources),
            Answer(served.endpoint, "304", "finished", sources),
        ),
        size=_HEADER_BYTES + len(own_body or b"") + sum(len(part) for part in key if isinstance(part, str)),
    )


def _matches(condition: str, etag: str) -> bool:
    """Return whether an `If-None-Match` names a response; weak ETags match, too."""
    return condition.removeprefix("W/") == f'"{etag}"' or parse_etags(condition).contains_weak(etag)
