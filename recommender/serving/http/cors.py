"""The gate of every request: who may read, which pages of other sites may, and which caches may keep it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response, request

from recommender.serving.http.auth import Access
from recommender.serving.http.concurrency import ConcurrencyLimit

# What everybody may read even where reading needs a key: it shows no article, or is a setting of its own.
_OPEN = re.compile(r"/(healthz|readyz|metrics|openapi\.json|widget\.[a-z]+|(docs|demo)(/.*)?)")
_PAGES = ("/demo", "/docs", "/openapi.json", "/widget")
_ASKED_WITH_A_BODY = re.compile(r"/v1/similar|/rest/v1(\.1)?/sites/.*")  # of our own, and for Jetpack
_KEYS_OF_THEIR_OWN = "/v1/rules"
_FOR_SCRIPTS = "ETag, Retry-After, X-Request-ID"
_FROM_SCRIPTS = "Content-Type, If-None-Match, X-Request-ID"
_PREFLIGHT_SECONDS = "86400"
_SCORING_WAIT_SECONDS = 2.0


class ReadPolicy:
    """What holds for all calls that read: keys, limits, sites and caches that may keep their answers."""

    def __init__(self, access: Access, origins: tuple[str, ...]) -> None:
        self._access, self._origins = access, origins

    def add_to(self, app: Flask) -> None:
        """Stand before and behind every view."""
        app.before_request(self._let_in)
        app.after_request(self._let_out)

    def _let_in(self) -> None:
        """Raise Problem for a reader who may not read, or not so often."""
        if request.method == "OPTIONS":
            return
        if _reads():
            self._access.read()
        elif request.path.startswith(_PAGES):
            self._access.visit()

    def _let_out(self, response: Response) -> Response:
        if not _reads():
            return response
        self._allow_origin(response)
        if self._access.is_closed:
            response.vary.add("Authorization")
            if response.cache_control.public:
                response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _allow_origin(self, response: Response) -> None:
        """Let pages of the sites allowed read the answer, by default of all; nobody's cookies matter to it.

        Where some are allowed, every answer says that it depends on the site, for it may be kept.
        """
        headers, origin = response.headers, request.headers.get("Origin")
        if not self._origins:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            response.vary.add("Origin")
            if origin not in self._origins:
                return
            headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _FOR_SCRIPTS
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST" if _takes_body() else "GET, HEAD"
            headers["Access-Control-Allow-Headers"] = _FROM_SCRIPTS
            headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS


class ScoringLimit:
    """Turns at scoring the whole corpus, which count against the limit of whoever asks."""

    def __init__(self, access: Access, at_once: int, queue: int) -> None:
        self._access = access
        self._slots = ConcurrencyLimit(at_once, queue, _SCORING_WAIT_SECONDS)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a turn. Raises Problem where there is none, or for who has had too many."""
        self._access.spend_scoring()
        with self._slots.slot():
            yield


def _reads() -> bool:
    """Tell whether the request at hand is for a call that reads, or asks what may be asked of one."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        return _takes_body() and request.method == "POST"
    path = request.path
    if path.startswith("/v1/"):
        return not path.startswith(_KEYS_OF_THEIR_OWN) and request.endpoint != "preflight"
    return not _OPEN.fullmatch(path)


def _takes_body() -> bool:
    return _ASKED_WITH_A_BODY.fullmatch(request.path) is not None
