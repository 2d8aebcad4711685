"""The body of the request at hand, as JSON."""

from typing import Any

from flask import request
from pydantic_core import from_json
from werkzeug.exceptions import RequestEntityTooLarge

from recommender.serving.http.problems import Fault, Problem


def json_object(what: str, max_bytes: int) -> dict[str, Any]:
    """Return the object in the body, which holds `what`. Raises Problem for any other body."""
    if request.mimetype != "application/json":
        fault = Fault("header", "Content-Type", request.headers.get("Content-Type"), "application/json")
        raise Problem("unsupported-type", f"send {what} as application/json", (fault,))
    request.max_content_length = max_bytes + 1
    body = request.get_data(cache=False)
    if len(body) > max_bytes:
        raise RequestEntityTooLarge
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem("bad-body", f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Problem("bad-body", "the body is not a JSON object")
    return found
