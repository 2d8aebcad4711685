"""Schemas of reader events. Each event is validated by itself, so an invalid event affects no other."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from recommender.article import moment
from recommender.article_id import BodyArticleId
from recommender.model import microseconds
from recommender.serving.http.parameters import ANY_TIME, ID_ALLOWED, parse_object
from recommender.serving.http.problems import MAX_SHOWN_CHARS, Fault, Problem

MAX_EVENTS = 1_000  # in a batch
MAX_COUNT = 1_000_000_000
MAX_POSITION = 1_000
_BODY_ALLOWED = "an event, or an object with a list of `events`"
MAX_CHARS = 256  # of event_id, visitor_id, list and model_version
EventType = Literal["view", "click", "share", "comment", "like"]

_MILLISECONDS_FROM = 1e11  # a larger number is in milliseconds; in seconds, it would be after the year 5100
_LATEST = 1 << 62
_LABEL_ALLOWED = f"a string of 1 to {MAX_CHARS} characters without NUL"
_COUNT_ALLOWED = f"a whole number from 1 to {MAX_COUNT}"
_TOTAL_ALLOWED = f"{_COUNT_ALLOWED}, together with an event_id and without count or visitor_id"
_POSITION_ALLOWED = f"a whole number from 0 to {MAX_POSITION}"
_TIME_ALLOWED = "an ISO 8601 time, or a Unix time in seconds or milliseconds"


def _moment(value: object) -> object:
    """Return a time as microseconds since 1970."""
    if isinstance(value, str):
        return microseconds(moment(value, now=ANY_TIME))
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _LATEST:
        return value
    return round(value * (1_000 if abs(value) >= _MILLISECONDS_FROM else 1_000_000))


# Built-in constraints are four times as fast as a validator in Python.
_Label = Annotated[
    str,
    StringConstraints(strict=False, min_length=1, max_length=MAX_CHARS, pattern=r"^[^\x00]+$"),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "minLength": 1, "maxLength": MAX_CHARS}, {"type": "number"}]}
    ),
]
_Moment = Annotated[
    int,
    BeforeValidator(_moment),
    Field(ge=0, le=_LATEST),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}]}),
]
_Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
_Position = Annotated[int, Field(ge=0, le=MAX_POSITION)]


class EventBody(BaseModel):
    """An event in a request body. `ts` is parsed to microseconds since 1970."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, coerce_numbers_to_str=True, protected_namespaces=()
    )

    article_id: Annotated[BodyArticleId, Field(description=ID_ALLOWED)]
    type: Annotated[EventType, Field(description=f"one of {', '.join(get_args(EventType))}")]
    event_id: Annotated[_Label | None, Field(description=_LABEL_ALLOWED)] = None
    visitor_id: Annotated[_Label | None, Field(description=_LABEL_ALLOWED)] = None
    ts: Annotated[_Moment | None, Field(description=_TIME_ALLOWED)] = None
    count: Annotated[_Count | None, Field(description=_COUNT_ALLOWED)] = None
    total: Annotated[_Count | None, Field(description=_TOTAL_ALLOWED)] = None
    from_id: Annotated[BodyArticleId | None, Field(description=ID_ALLOWED)] = None
    position: Annotated[_Position | None, Field(description=_POSITION_ALLOWED)] = None
    list: Annotated[_Label | None, Field(description=_LABEL_ALLOWED)] = None
    model_version: Annotated[_Label | None, Field(description=_LABEL_ALLOWED)] = None


def total_fault(event: EventBody) -> str | None:
    """Return why the `total` of an event cannot be used, None if it can or if there is none."""
    if event.total is None or (
        event.event_id is not None and (event.count, event.visitor_id) == (None, None)
    ):
        return None
    return f"total is '{event.total}'; allowed: {_TOTAL_ALLOWED}"


_EVENTS = TypeAdapter(tuple[EventBody, ...])


@dataclass(frozen=True, slots=True, order=True)
class EventNote:
    """Why the event at an index of the body was rejected or changed."""

    index: int
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the note as JSON."""
        return {"index": self.index, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """The valid events of a body with their indexes, and why the others were rejected."""

    events: list[tuple[int, EventBody]]
    rejected: list[EventNote]
    is_single: bool  # the body is an event, not a batch

    def __len__(self) -> int:
        """Return the number of events in the body, valid or not."""
        return len(self.events) + len(self.rejected)


def parse_events(body: bytes) -> ParsedEvents:
    """Parse an event, or `{"events": […]}`. Raises Problem for any other body."""
    values = parse_object(body, _BODY_ALLOWED)
    if "events" not in values:
        return _parse([values], is_single=True)
    events = values["events"]
    if len(values) > 1 or not isinstance(events, list):
        raise _not_events(body, "the body must have no fields except `events`, a list")
    if len(events) > MAX_EVENTS:
        raise Problem("too-large", f"the body contains {len(events)} events; {MAX_EVENTS} are allowed")
    return _parse(events, is_single=False)


def _parse(items: list[Any], *, is_single: bool) -> ParsedEvents:
    for index, item in enumerate(items):
        if isinstance(item, dict) and len(item) > _MAX_FIELDS:
            items[index] = None  # avoids an error for each of ten thousand unknown fields
    try:
        return ParsedEvents(list(enumerate(_EVENTS.validate_python(tuple(items)))), [], is_single)
    except ValidationError as error:
        reasons: dict[int, str] = {}
        for details in error.errors(include_url=False, include_context=False):
            reasons.setdefault(int(details["loc"][0]), _reason(details))
    valid = [index for index in range(len(items)) if index not in reasons]
    events = _EVENTS.validate_python(tuple(items[index] for index in valid))
    rejected = [EventNote(index, reason) for index, reason in reasons.items()]
    return ParsedEvents(list(zip(valid, events, strict=True)), rejected, is_single)


_MAX_FIELDS = 2 * len(EventBody.model_fields)


def _reason(details: Any) -> str:
    """Return why an event is invalid, in the style of other errors."""
    if len(details["loc"]) == 1:
        return f"not an event; allowed: a JSON object with at most {_MAX_FIELDS} fields"
    name = str(details["loc"][1])[:MAX_SHOWN_CHARS]
    field = EventBody.model_fields.get(name)
    allowed = field.description if field else f"the fields {', '.join(EventBody.model_fields)}"
    if details["type"] == "missing":
        return f"{name} is missing; allowed: {allowed}"
    value = details["input"]
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"{name} is {shown[:MAX_SHOWN_CHARS]!r}; allowed: {allowed}"


def _not_events(body: bytes, detail: str) -> Problem:
    shown = body[:MAX_SHOWN_CHARS].decode(errors="replace")
    return Problem("bad-body", detail, (Fault("body", "body", shown, _BODY_ALLOWED),))
