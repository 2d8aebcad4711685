"""A call, as the document tells it: a method of an address, what it takes, and what it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from recommender.serving.http.parameters import Parameters

OF_READING = (
    "bad-parameter",
    "key-missing",
    "key-not-allowed",
    "rate-limited",
    "no-model",
    "store-down",
)
OF_WRITING = ("bad-parameter", "key-missing", "key-not-allowed", "rate-limited", "store-down")
OF_BODY = ("bad-body", "too-large", "unsupported-type", "overloaded")  # too many are on their way
OF_ARTICLE = ("unknown-article", "withdrawn")
OF_PATH = ("not-found",)  # of an id of several segments
Method = Literal["get", "post", "put", "delete"]
Matching = Literal["none", "optional", "required"]  # whether a call takes If-Match

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSpec:
    """What a call answers if it is not refused: what it means, and the type of its body."""

    told: str
    body: Any = None  # what pydantic knows a schema of; None: no body
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A call: a method of an address. `name` is what clients call it."""

    name: str
    method: Method = "get"
    path: str
    tag: str
    summary: str
    told: str | None = None  # what the summary leaves open
    parameters: type[Parameters] | None = Parameters  # of the query; None: it looks at none
    body: Any = None  # what pydantic knows a schema of
    body_told: str | None = None
    answers: Mapping[int, ResponseSpec]
    problems: tuple[str, ...] = ()
    key: Literal["none", "optional", "required"] = "none"
    cached: bool = False  # it has an ETag, and may be asked for conditionally
    matching: Matching = "none"
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # call → its parameters


def reading(
    name: str,
    path: str,
    tag: str,
    summary: str,
    body: type[BaseModel],
    parameters: type[Parameters],
    *problems: str,
    **more: Any,
) -> Endpoint:
    """Return a call that reads, and whose answer may be kept."""
    return Endpoint(
        name=name,
        path=path,
        tag=tag,
        summary=summary,
        parameters=parameters,
        answers={200: ResponseSpec(told=str(body.__doc__), body=body)},
        problems=(*OF_READING, "overloaded", *problems),
        key="optional",
        cached=True,
        **more,
    )


def writing(name: str, method: Method, path: str, tag: str, summary: str, **more: Any) -> Endpoint:
    """Return a call that needs a key."""
    problems = (*OF_WRITING, *more.pop("problems", ()))
    return Endpoint(
        name=name,
        method=method,
        path=path,
        tag=tag,
        summary=summary,
        key="required",
        problems=problems,
        **more,
    )
