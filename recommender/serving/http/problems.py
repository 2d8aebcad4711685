"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_SHOWN_CHARS = 100
STORE_RETRY_SECONDS = 2
OVERLOAD_RETRY_SECONDS = 1

Place = Literal["query", "path", "body", "header"]

_STATUS_AND_TITLE = {
    "bad-parameter": (400, "Invalid parameter"),
    "bad-body": (400, "Invalid request body"),
    "bad-request": (400, "Invalid HTTP request"),
    "key-missing": (401, "API key missing"),
    "key-not-allowed": (403, "API key not allowed"),
    "origin-not-allowed": (403, "Origin not allowed"),
    "unknown-article": (404, "Article not found"),
    "withdrawn": (410, "Article withdrawn"),
    "unknown-topic": (404, "Topic not found"),
    "unknown-rule": (404, "Rule not found"),
    "not-found": (404, "URL not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "rule-of-file": (409, "Rule is in the rules file"),
    "changed-meanwhile": (412, "Precondition failed"),
    "too-large": (413, "Request body too large"),
    "unsupported-type": (415, "Unsupported content type"),
    "match-missing": (428, "If-Match header missing"),
    "rate-limited": (429, "Too many requests"),
    "internal-error": (500, "Internal server error"),
    "no-model": (503, "No model available"),
    "overloaded": (503, "Service overloaded"),
    "store-down": (503, "Database unavailable"),
}
KINDS = tuple(_STATUS_AND_TITLE)


@dataclass(frozen=True, slots=True)
class Fault:
    """A wrong value in a request: its place, its name, the value (None: missing), and what is allowed."""

    place: Place
    name: str
    value: str | None
    allowed: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the fault as JSON, with name and value cut to 100 characters."""
        shown = None if self.value is None else self.value[:MAX_SHOWN_CHARS]
        name = self.name[:MAX_SHOWN_CHARS]
        return {"in": self.place, "name": name, "value": shown, "allowed": self.allowed}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 the RFC's word
    """An error response. `kind` is its `type`, one of KINDS."""

    kind: str
    detail: str
    faults: tuple[Fault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the detail."""
        return self.detail

    @property
    def status(self) -> int:
        """The HTTP status."""
        return status_of(self.kind)

    @property
    def title(self) -> str:
        """The title of all problems of this kind."""
        return _STATUS_AND_TITLE[self.kind][1]

    def as_json(self, request_id: str) -> dict[str, Any]:
        """Return the body of the response."""
        return {
            "type": self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            "errors": [fault.as_json() for fault in self.faults],
        }


def status_of(kind: str) -> int:
    """Return the HTTP status of the problems of a kind."""
    return _STATUS_AND_TITLE[kind][0]


def bad_parameter(faults: Iterable[Fault]) -> Problem:
    """Return the problem of invalid parameters; its detail describes the first fault."""
    return _problem_of("bad-parameter", tuple(faults))


def bad_body(faults: Iterable[Fault]) -> Problem:
    """Return the problem of invalid fields in a body; its detail describes the first fault."""
    return _problem_of("bad-body", tuple(faults))


def store_down(detail: str) -> Problem:
    """Return the problem that the database does not respond; the client may retry."""
    message = f"the database does not respond; {detail}"
    return Problem("store-down", message, headers={"Retry-After": str(STORE_RETRY_SECONDS)})


def overloaded(detail: str) -> Problem:
    """Return the problem that the service has no capacity for the request; the client may retry."""
    message = f"the service is overloaded: {detail}"
    return Problem("overloaded", message, headers={"Retry-After": str(OVERLOAD_RETRY_SECONDS)})


def _problem_of(kind: str, faults: tuple[Fault, ...]) -> Problem:
    first = faults[0].as_json()
    state = "is missing" if first["value"] is None else f"is {first['value']!r}"
    return Problem(kind, f"{first['name']} {state}; allowed: {first['allowed']}", faults)
