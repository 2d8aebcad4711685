"""Events as callers send them: each checked for itself, so that a bad one takes no other with it."""

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

MAX_EVENTS = 1_000  # of a batch
MAX_COUNT = 1_000_000_000
MAX_POSITION = 1_000
_ALLOWED = "an event, or a list of `events`"
MAX_CHARS = 256  # of an event's id, a visitor's, a list's name
EventType = Literal["view", "click", "share", "comment", "like"]

_MILLISECONDS_FROM = 1e11  # a larger number is no date in seconds: it would lie beyond the year 5100
_LATEST = 1 << 62
_STRING = f"a string of 1 to {MAX_CHARS} characters without NUL"
_MOMENT = "a moment in ISO 8601, or in seconds or milliseconds since 1970"


def _moment(value: object) -> object:
    """Read a moment as microseconds since 1970."""
    if isinstance(value, str):
        return microseconds(moment(value, now=ANY_TIME))
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _LATEST:
        return value
    return round(value * (1_000 if abs(value) >= _MILLISECONDS_FROM else 1_000_000))


# Without functions of our own it is checked four times as fast.
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
_Place = Annotated[int, Field(ge=0, le=MAX_POSITION)]


class EventBody(BaseModel):
    """An event of a body. Its moment is in microseconds since 1970."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, coerce_numbers_to_str=True, protected_namespaces=()
    )

    article_id: Annotated[BodyArticleId, Field(description=ID_ALLOWED)]
    type: Annotated[EventType, Field(description=f"one of {', '.join(get_args(EventType))}")]
    event_id: Annotated[_Label | None, Field(description=_STRING)] = None
    visitor_id: Annotated[_Label | None, Field(description=_STRING)] = None
    ts: Annotated[_Moment | None, Field(description=_MOMENT)] = None
    count: Annotated[_Count | None, Field(description=f"a whole number from 1 to {MAX_COUNT}")] = None
    from_id: Annotated[BodyArticleId | None, Field(description=ID_ALLOWED)] = None
    position: Annotated[_Place | None, Field(description=f"a whole number from 0 to {MAX_POSITION}")] = None
    list: Annotated[_Label | None, Field(description=_STRING)] = None
    model_version: Annotated[_Label | None, Field(description=_STRING)] = None


_MANY = TypeAdapter(tuple[EventBody, ...])


@dataclass(frozen=True, slots=True, order=True)
class RejectedEvent:
    """What is to be said of the event at a place of the body."""

    index: int
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the note as it stands in the answer."""
        return {"index": self.index, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """The events of a body that can be read, each with its place there, and why the others cannot."""

    events: list[tuple[int, EventBody]]
    rejected: list[RejectedEvent]
    is_single: bool  # the body is an event itself

    def __len__(self) -> int:
        """Return how many events the body holds, good ones and bad ones."""
        return len(self.events) + len(self.rejected)


def parse_events(body: bytes) -> ParsedEvents:
    """Read an event, or `{"events": […]}`. Raises Problem where the body is neither."""
    given = parse_object(body, _ALLOWED)
    if "events" not in given:
        return _read([given], is_single=True)
    events = given["events"]
    if len(given) > 1 or not isinstance(events, list):
        raise _not_events(body, "beside a list of `events` the body holds nothing")
    if len(events) > MAX_EVENTS:
        raise Problem("too-large", f"the body holds {len(events)} events; {MAX_EVENTS} are allowed")
    return _read(events, is_single=False)


def _read(items: list[Any], *, is_single: bool) -> ParsedEvents:
    too_wide = [at for at, item in enumerate(items) if isinstance(item, dict) and len(item) > _MAX_FIELDS]
    for at in too_wide:
        items[at] = None  # so that nobody is told of ten thousand unknown fields
    try:
        return ParsedEvents(list(enumerate(_MANY.validate_python(tuple(items)))), [], is_single)
    except ValidationError as error:
        reasons: dict[int, str] = {}
        for each in error.errors(include_url=False, include_context=False):
            reasons.setdefault(int(each["loc"][0]), _reason(each))
    good = [at for at in range(len(items)) if at not in reasons]
    events = _MANY.validate_python(tuple(items[at] for at in good))
    rejected = [RejectedEvent(at, reason) for at, reason in reasons.items()]
    return ParsedEvents(list(zip(good, events, strict=True)), rejected, is_single)


_MAX_FIELDS = 2 * len(EventBody.model_fields)


def _reason(error: Any) -> str:
    """Return what is wrong with an event, in the words of the other refusals."""
    if len(error["loc"]) == 1:
        return "not a JSON object of an event"
    name = str(error["loc"][1])[:MAX_SHOWN_CHARS]
    field = EventBody.model_fields.get(name)
    allowed = field.description if field else f"the fields {', '.join(EventBody.model_fields)}"
    if error["type"] == "missing":
        return f"{name} is missing; allowed: {allowed}"
    shown = error["input"] if isinstance(error["input"], str) else json.dumps(error["input"], default=str)
    return f"{name} is {shown[:MAX_SHOWN_CHARS]!r}; allowed: {allowed}"


def _not_events(body: bytes, detail: str) -> Problem:
    shown = body[:MAX_SHOWN_CHARS].decode(errors="replace")
    return Problem("bad-body", detail, (Fault("body", "body", shown, _ALLOWED),))
