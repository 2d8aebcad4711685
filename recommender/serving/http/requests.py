"""Read the current request: its query string, the id in its path, and its JSON body."""

import re
from collections.abc import Collection
from os import urandom
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from recommender.article import InvalidArticleError, check_id
from recommender.serving.http.parameters import (
    ID_ALLOWED,
    AnyParameters,
    Parameters,
    parse_object,
    read_query,
)
from recommender.serving.http.problems import Fault, Problem, bad_parameter

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
JSON = ("application/json",)


def request_id_of(environ: WSGIEnvironment) -> str:
    """Return the client's id of a request if it is valid, otherwise a new random one."""
    given: str = environ.get("HTTP_X_REQUEST_ID", "")
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return urandom(16).hex()


def read_parameters(schema: type[AnyParameters]) -> AnyParameters:
    """Return the parameters in the query string. Raises Problem for a wrong or unknown parameter."""
    return read_query(schema, request.environ.get("QUERY_STRING", ""))


def refuse_parameters() -> None:
    """Raise Problem if the query string has any parameter."""
    read_parameters(Parameters)


def check_path_id(article_id: str) -> str:
    """Return the id of an article in the path. Raises Problem if it is not a valid id."""
    try:
        return check_id(article_id)
    except InvalidArticleError:
        raise bad_parameter([Fault("path", "id", article_id, ID_ALLOWED)]) from None


def read_body(content: str, max_bytes: int, media_types: Collection[str] = JSON) -> bytes:
    """Return the body of the request; `content` names it in error messages.

    Raises Problem for another content type, RequestEntityTooLarge for more than `max_bytes` bytes.
    """
    if request.mimetype not in media_types:
        allowed = " or ".join(name for name in media_types if name)
        fault = Fault("header", "Content-Type", request.headers.get("Content-Type"), allowed)
        raise Problem("unsupported-type", f"send {content} as {allowed}", (fault,))
    request.max_content_length = max_bytes + 1
    body = request.get_data(cache=False)
    if len(body) > max_bytes:
        raise RequestEntityTooLarge
    return body


def json_object(content: str, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object in the body. Raises as `read_body` does, and Problem for any other body."""
    return parse_object(read_body(content, max_bytes))
