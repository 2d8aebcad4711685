"""The description of one endpoint: its method and path, what it accepts, and every response it can return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from recommender.serving.http.parameters import Parameters

READ_PROBLEMS = (
    "bad-parameter",
    "key-missing",
    "key-not-allowed",
    "rate-limited",
    "no-model",
    "store-down",
)
WRITE_PROBLEMS = ("bad-parameter", "key-missing", "key-not-allowed", "rate-limited", "store-down")
BODY_PROBLEMS = ("bad-body", "too-large", "unsupported-type", "overloaded")
ARTICLE_PROBLEMS = ("unknown-article", "withdrawn")
PATH_PROBLEMS = ("not-found",)  # an id that contains a slash
Method = Literal["get", "post", "put", "delete"]
IfMatch = Literal["none", "optional", "required"]  # whether the endpoint reads the header If-Match

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A successful response: its description and the type of its body."""

    description: str
    body: Any = None  # any type that pydantic has a schema for; None: no body
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint: one method of one path. `name` is its operation id in the document."""

    name: str
    method: Method = "get"
    path: str
    tag: str
    summary: str
    description: str | None = None
    parameters: type[Parameters] | None = Parameters  # of the query; None: the query is ignored
    body: Any = None  # any type that pydantic has a schema for; None: no body
    body_description: str | None = None
    responses: Mapping[int, ResponseSpec]  # by HTTP status, successful responses only
    problems: tuple[str, ...] = ()
    key: Literal["none", "optional", "required"] = "none"
    cached: bool = False  # has an ETag and supports If-None-Match
    if_match: IfMatch = "none"
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # operation id -> its parameters


def read_endpoint(
    name: str,
    path: str,
    tag: str,
    summary: str,
    body: type[BaseModel],
    parameters: type[Parameters],
    *problems: str,
    **fields: Any,
) -> Endpoint:
    """Return an endpoint that reads data and whose response can be cached."""
    return Endpoint(
        name=name,
        path=path,
        tag=tag,
        summary=summary,
        parameters=parameters,
        responses={200: ResponseSpec(str(body.__doc__), body)},
        problems=(*READ_PROBLEMS, "overloaded", *problems),
        key="optional",
        cached=True,
        **fields,
    )


def keyed_endpoint(name: str, method: Method, path: str, tag: str, summary: str, **fields: Any) -> Endpoint:
    """Return an endpoint that requires an API key."""
    problems = (*WRITE_PROBLEMS, *fields.pop("problems", ()))
    return Endpoint(
        name=name,
        method=method,
        path=path,
        tag=tag,
        summary=summary,
        key="required",
        problems=problems,
        **fields,
    )


def public_endpoint(
    name: str,
    path: str,
    summary: str,
    response: ResponseSpec,
    *,
    cached: bool = False,
    problems: tuple[str, ...] = (),
) -> Endpoint:
    """Return an endpoint of the group `operations`, which takes no parameters and no API key."""
    return Endpoint(
        name=name,
        path=path,
        tag="operations",
        summary=summary,
        parameters=None,
        responses={200: response},
        problems=problems,
        cached=cached,
    )
