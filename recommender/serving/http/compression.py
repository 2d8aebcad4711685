"""Compress responses with gzip for clients that accept it.

A compressed response has a weak ETag, like one that a proxy compressed. So a client that has either form
still gets 304. Flask-Compress is not used, because it compresses before it checks whether the client has the
response already, and gives each encoding its own strong ETag, which cached responses do not have.
"""

import gzip
from functools import lru_cache

from flask import Flask, Response, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

MIN_BYTES = 1400  # smaller responses fit into one packet uncompressed
_MAX_BYTES = 4 << 20
_TYPES = frozenset({"application/json", "text/html", "text/css", "text/javascript", "image/svg+xml"})
_NEVER_COMPRESSED = "/v1/rules"  # changes of rules need the strong ETag of the rules that were read
# Files take longest to compress, and there are few of them. Other responses must not evict them.
_FILES = ("/docs", "/openapi.json", "/widget", "/demo/static/")
_CACHE_SIZE = 64  # entries of each cache, that of files and that of other responses
_LEVEL = 5


def add_to(app: Flask) -> None:
    """Compress the responses of an app."""
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if media_type not in _TYPES or request.path.startswith(_NEVER_COMPRESSED):
        return response
    varies = response.headers.get("Vary")
    response.headers["Vary"] = f"{varies}, Accept-Encoding" if varies else "Accept-Encoding"
    if not accepts_gzip(request.environ.get("HTTP_ACCEPT_ENCODING", "")):
        return response
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(etag, weak=True)
    if response.status_code != 200 or response.content_encoding:  # noqa: PLR2004 other responses are small
        return response
    if response.direct_passthrough and (response.content_length or _MAX_BYTES) < _MAX_BYTES:
        response.direct_passthrough = False  # a small file
    if not response.direct_passthrough:
        body = compressed(response.get_data(), is_file=request.path.startswith(_FILES))
        if body is not None:
            response.set_data(body)
            response.content_encoding = "gzip"
    return response


@lru_cache(256)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client that sends this `Accept-Encoding` gets compressed responses."""
    return "gzip" in accept_encoding and parse_accept_header(accept_encoding, Accept)["gzip"] > 0


def compressed(body: bytes, *, is_file: bool = False) -> bytes | None:
    """Return the body of a response compressed; None if it is too small."""
    if len(body) < MIN_BYTES:
        return None
    return (_compressed_file if is_file else _compressed_response)(body)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


_compressed_response, _compressed_file = lru_cache(_CACHE_SIZE)(_gzip), lru_cache(_CACHE_SIZE)(_gzip)
