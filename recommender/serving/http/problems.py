"""What went wrong with a request, as `application/problem+json` (RFC 9457) tells it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_SHOWN_CHARS = 100
STORE_RETRY_SECONDS = 2
OVERLOAD_RETRY_SECONDS = 1

Place = Literal["query", "path", "body", "header"]

_STATUS_AND_TITLE = {
    "bad-parameter": (400, "A parameter is wrong"),
    "bad-body": (400, "The body of the request is wrong"),
    "bad-request": (400, "The request is not valid HTTP"),
    "key-missing": (401, "A key is missing"),
    "key-not-allowed": (403, "This key may not do that"),
    "origin-not-allowed": (403, "Pages of this origin may not send that"),
    "unknown-article": (404, "No such article"),
    "withdrawn": (410, "The article was withdrawn"),
    "unknown-topic": (404, "No such topic"),
    "unknown-rule": (404, "No such rule"),
    "not-found": (404, "No such address"),
    "method-not-allowed": (405, "This address does not take that method"),
    "rule-of-file": (409, "The rule is in a file"),
    "changed-meanwhile": (412, "Somebody else was faster"),
    "too-large": (413, "The body of the request is too large"),
    "unsupported-type": (415, "The content type is not supported"),
    "match-missing": (428, "The header If-Match is missing"),
    "rate-limited": (429, "Too many requests"),
    "internal-error": (500, "The service failed"),
    "no-model": (503, "No model is open"),
    "overloaded": (503, "The service has too much to do"),
    "store-down": (503, "The database does not answer"),
}
KINDS = tuple(_STATUS_AND_TITLE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong value: where it stood, its name, what it was (cut to 100 characters) and what is allowed."""

    place: Place
    name: str
    value: str | None
    allowed: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the fault as it stands in the answer."""
        shown = None if self.value is None else self.value[:MAX_SHOWN_CHARS]
        name = self.name[:MAX_SHOWN_CHARS]
        return {"in": self.place, "name": name, "value": shown, "allowed": self.allowed}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 the RFC's word
    """A refusal. `kind` is one of the short names that the answer's `type` may hold."""

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
        """What every problem of this kind is called."""
        return _STATUS_AND_TITLE[self.kind][1]

    def as_json(self, request_id: str) -> dict[str, Any]:
        """Return the answer's body."""
        return {
            "type": self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            "errors": [fault.as_json() for fault in self.faults],
        }


def status_of(kind: str) -> int:
    """Return the HTTP status of every problem of a kind."""
    return _STATUS_AND_TITLE[kind][0]


def bad_parameter(faults: Iterable[Fault]) -> Problem:
    """Return the refusal of parameters; the detail tells of the first."""
    return _refusal("bad-parameter", tuple(faults))


def bad_body(faults: Iterable[Fault]) -> Problem:
    """Return the refusal of the fields of a body; the detail tells of the first."""
    return _refusal("bad-body", tuple(faults))


def store_down(detail: str) -> Problem:
    """Return the refusal of a write that the database does not take for now."""
    told = f"the database does not answer; {detail}"
    return Problem("store-down", told, headers={"Retry-After": str(STORE_RETRY_SECONDS)})


def overloaded(detail: str) -> Problem:
    """Return the refusal of what the service has no time for just now."""
    told = f"the service has too much to do: {detail}"
    return Problem("overloaded", told, headers={"Retry-After": str(OVERLOAD_RETRY_SECONDS)})


def _refusal(kind: str, faults: tuple[Fault, ...]) -> Problem:
    first = faults[0].as_json()
    is_what = "is missing" if first["value"] is None else f"is {first['value']!r}"
    return Problem(kind, f"{first['name']} {is_what}; allowed: {first['allowed']}", faults)
