"""The policy for requests that read: keys, rate limits, CORS headers and caching by others.

Flask-CORS is not used, because it omits `Vary` for an origin that is refused, and shared caches then serve
that response to other origins.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from flask import Flask, Response, request

from recommender.serving.http.auth import Access
from recommender.serving.http.concurrency import ConcurrencyLimit, Slot

# Needs no read key: these paths show no article, have their own setting (`demo`), or their own key (`admin`).
_PUBLIC = re.compile(r"/(healthz|readyz|metrics|openapi\.json|widget\.[a-z]+|(docs|demo|admin)(/.*)?)?")
_RATE_LIMITED = ("/admin", "/demo", "/docs", "/openapi.json", "/widget")  # although they need no key
_READS_BY_POST = re.compile(r"/v1/similar|/rest/v1(\.1)?/sites/.*")  # the second is Jetpack's
_RULES = "/v1/rules"  # need a key with another scope
# In the WSGI environment: the problem for which this request was refused already, before Flask.
REFUSAL = "recommender.refusal"
_EXPOSED_HEADERS = "ETag, Retry-After, X-Request-ID"
_ALLOWED_HEADERS = "Content-Type, If-None-Match, X-Request-ID"
_PREFLIGHT_SECONDS = "86400"
_SCORING_WAIT_SECONDS = 2.0
_SCORING_PER_CALLER = 5  # of 8 with the default settings


class ReadPolicy:
    """Checks every request that reads, and adds CORS and cache headers to its response."""

    def __init__(self, access: Access, origins: tuple[str, ...]) -> None:
        self._access, self._origins = access, origins

    def add_to(self, app: Flask) -> None:
        """Apply the policy to all requests of an app."""
        app.before_request(self._check)
        app.after_request(self._add_headers)

    def _check(self) -> None:
        """Raise Problem if the caller may not read, or reads too often."""
        if request.method == "OPTIONS":
            return
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            raise refusal
        if _is_read():
            self._access.authorize_read()
        elif request.path == "/" or request.path.startswith(_RATE_LIMITED):
            self._access.limit_reads()

    def _add_headers(self, response: Response) -> Response:
        if not _is_read():
            return response
        self._allow_origin(response)
        if self._access.needs_read_key:
            response.vary.add("Authorization")
            if response.cache_control.public:
                response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _allow_origin(self, response: Response) -> None:
        """Let pages of the allowed origins read the response, by default pages of any origin; no cookies.

        If only some origins are allowed, every response varies by origin, because caches may store it.
        """
        headers, origin = response.headers, request.headers.get("Origin")
        if not self._origins:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            response.vary.add("Origin")
            if origin not in self._origins:
                return
            headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST" if _is_read_by_post() else "GET, HEAD"
            headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS


class ScoringLimit:
    """Limits requests that score the whole corpus, in total and per caller.

    `lent` is entered before the wait: it gives up what the request need not hold while it scores.
    """

    def __init__(self, access: Access, at_once: int, queue: int, lent: Slot = nullcontext) -> None:
        self._access, self._lent = access, lent
        self.limit = ConcurrencyLimit(at_once, queue, _SCORING_WAIT_SECONDS, _SCORING_PER_CALLER)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot, and hold it. Raises Problem if there is none, or the caller's limit is reached."""
        self._access.count_scoring()
        with self._lent(), self.limit.slot(self._access.queue_name()):
            yield


def _is_read() -> bool:
    """Return whether the current request reads, or is the preflight of such a request."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        return _is_read_by_post() and request.method == "POST"
    path = request.path
    if path.startswith("/v1/"):
        return not path.startswith(_RULES) and request.endpoint != "preflight"
    # A post of a drop-in site may have any path.
    return (request.endpoint or "").startswith("drop_in") or not _PUBLIC.fullmatch(path)


def _is_read_by_post() -> bool:
    return _READS_BY_POST.fullmatch(request.path) is not None
