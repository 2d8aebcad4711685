"""Answers compressed for clients that take it.

One that is compressed has a weak ETag, as proxies that compress have it, so that whoever has kept either form
is told 304 all the same.
"""

import gzip
from functools import lru_cache

from flask import Flask, Response, request

MIN_BYTES = 1400  # what fits into one packet gains nothing
_MAX_BYTES = 4 << 20
_TYPES = frozenset({"application/json", "text/html", "text/css", "text/javascript", "image/svg+xml"})
# Changes of rules need the strong ETag of what was read.
_LEFT_ALONE = "/v1/rules"
# Files take longest, and are few: no flood of other answers is to drive them out of what is kept.
_FILES = ("/docs", "/openapi.json", "/widget", "/demo/static/")
_KEPT = 64  # answers, for most ask for the same ones, and as many files
_LEVEL = 5


def add_to(app: Flask) -> None:
    """Compress what the views of an app answer."""
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if media_type not in _TYPES or request.path.startswith(_LEFT_ALONE):
        return response
    varies = response.headers.get("Vary")
    response.headers["Vary"] = f"{varies}, Accept-Encoding" if varies else "Accept-Encoding"
    if not _takes_gzip():
        return response
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(etag, weak=True)
    if response.status_code != 200 or response.content_encoding:  # noqa: PLR2004 the only one that is large
        return response
    if response.direct_passthrough and (response.content_length or _MAX_BYTES) < _MAX_BYTES:
        response.direct_passthrough = False  # a small file
    if not response.direct_passthrough and len(body := response.get_data()) >= MIN_BYTES:
        response.set_data((_file if request.path.startswith(_FILES) else _answer)(body))
        response.content_encoding = "gzip"
    return response


def _takes_gzip() -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "") and request.accept_encodings["gzip"] > 0


def _squeeze(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


_answer, _file = lru_cache(_KEPT)(_squeeze), lru_cache(_KEPT)(_squeeze)
