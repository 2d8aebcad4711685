"""The document: made once, of the models that check requests and those that answers are held to."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Literal

from openapi_pydantic.v3.v3_1 import (
    Components,
    Example,
    Header,
    Info,
    License,
    Link,
    MediaType,
    OpenAPI,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
    Server,
)
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from recommender.article_id import ID_SCHEMA
from recommender.serving.http.parameters import ID_ALLOWED
from recommender.serving.http.problems import status_of
from recommender.serving.http.responses import to_bytes
from recommender.serving.openapi.endpoint import JSON, Endpoint, ResponseSpec
from recommender.serving.openapi.endpoints import CALLS
from recommender.serving.openapi.examples import of_call, of_problems, read_examples
from recommender.serving.openapi.response_schemas import Problem

Examples = list[dict[str, Any]]

VERSION = "1"  # of the contract
_REFUSED = 400  # the first status of a refusal
_PROBLEM_TYPE = "application/problem+json"
_REFS = "#/components/schemas/{model}"
_IN_PATH = {
    "id": ID_SCHEMA | {"description": ID_ALLOWED},
    "slug": {"type": "string", "minLength": 1, "description": "the slug of a topic"},
    "rule_id": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
        "description": "the id of a rule",
    },
}
_ABOUT = """Related articles for a newsroom's CMS.

Refusals are `application/problem+json`; `type` says which. Every answer has an `X-Request-ID`; one that the
request brings is kept. What may be asked conditionally has an `ETag`. Ids are compared byte for byte; one
that holds a `/` stands in the query. `/v1` changes by addition only."""
_HEADERS = {  # of answers
    "X-Request-ID": "of this request, for the log",
    "ETag": "of this answer, for If-None-Match, and If-Match where there is such",
    "Cache-Control": "who may keep the answer, and for how long",
    "Retry-After": "the seconds after which to ask again",
    "WWW-Authenticate": "how to give a key",
}
_ALSO = {  # beside the id of the request, by status
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_TOLD_OF_STATUS = {
    304: "It has not changed.",
    400: "A parameter or the body is wrong.",
    401: "A key is missing.",
    403: "Who asks may not do that.",
    404: "There is no such thing, or the id holds a slash.",
    409: "The rule is in a file, and changed there alone.",
    410: "The article was withdrawn.",
    412: "The rules have changed since they were read.",
    413: "The body is too large.",
    415: "The content type is not supported.",
    428: "The header If-Match is missing.",
    429: "Too many requests; ask again after the seconds of `Retry-After`.",
    503: "It cannot be answered for now; ask again after the seconds of `Retry-After`.",
}


@cache
def document() -> bytes:
    """Return the document as JSON. It is made when it is asked for first."""
    return to_bytes(
        _open_api(CALLS).model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    )


def _open_api(calls: Iterable[Endpoint]) -> OpenAPI:
    schemas, examples = _Schemas(calls), read_examples()
    paths: dict[str, PathItem] = {}
    for call in calls:
        item = paths.setdefault(call.path, PathItem())
        setattr(item, call.method, _operation(call, schemas, examples))
    return OpenAPI(
        openapi="3.1.1",
        info=Info(
            title="recommender",
            version=VERSION,
            description=_ABOUT,
            license=License(name="MIT", identifier="MIT"),
        ),
        servers=[Server(url="/", description="where this document is from")],
        paths=paths,
        components=Components(
            schemas={name: Schema.model_validate(each) for name, each in schemas.named.items()},
            examples={
                each["name"]: _example(each, "answer") for each in examples if each["status"] >= _REFUSED
            },
            headers={
                name: Header.model_validate(
                    {"required": True, "description": told, "schema": {"type": "string"}}
                )
                for name, told in _HEADERS.items()
            },
            securitySchemes={
                "key": SecurityScheme(
                    type="http", scheme="bearer", description="a key that `recommender key` made"
                )
            },
        ),
    )


class _Schemas:
    """The JSON schemas of all bodies: those with names, and of each body the one that stands in its place."""

    def __init__(self, calls: Iterable[Endpoint]) -> None:
        types: dict[str, Any] = {"Problem": Problem}
        for call in calls:
            types |= {repr(each): each for each in _types_of(call)}
        adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
            (name, "validation", TypeAdapter(each)) for name, each in types.items()
        ]
        found, definitions = TypeAdapter.json_schemas(
            adapters, ref_template=_REFS, schema_generator=_Untitled
        )
        self._of = {name: schema for (name, _), schema in found.items()}
        self.named: dict[str, Any] = definitions["$defs"]

    def of(self, body: Any) -> Schema | Reference:
        """Return the schema of a body."""
        schema = self._of[repr(body)]
        return Reference.model_validate(schema) if set(schema) == {"$ref"} else Schema.model_validate(schema)

    @property
    def problem(self) -> Reference:
        """The schema of every refusal."""
        return Reference.model_validate(self._of["Problem"])


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles of fields, which say the name once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 pydantic's hook
        """Return that none should."""
        return False


def _types_of(call: Endpoint) -> list[Any]:
    bodies = [answer.body for answer in call.answers.values()]
    return [each for each in (call.body, *bodies) if each is not None]


def _operation(call: Endpoint, schemas: _Schemas, examples: Examples) -> Operation:
    body, done = None, [each for status in call.answers for each in of_call(examples, call, status)]
    if call.body is not None:
        sent: dict[str, Example | Reference] = {each["name"]: _example(each, "body") for each in done}
        media = MediaType(schema=schemas.of(call.body), examples=sent or None)
        body = RequestBody(required=True, content={JSON: media}, description=call.body_told)
    security: dict[str, list[dict[str, list[str]]]] = {
        "none": [],
        "optional": [{}, {"key": []}],
        "required": [{"key": []}],
    }
    return Operation(
        operationId=call.name,
        tags=[call.tag],
        summary=call.summary,
        description=call.told,
        parameters=[
            *_path_parameters(call, done),
            *_query_parameters(call, done),
            *_header_parameters(call),
        ],
        requestBody=body,
        responses=_responses(call, schemas, examples),
        security=security[call.key],
    )


def _path_parameters(call: Endpoint, done: Examples) -> list[Parameter]:
    return [
        _parameter(name, "path", schema, required=True, example=_given(done, "path", name))
        for name, schema in _IN_PATH.items()
        if f"{{{name}}}" in call.path
    ]


def _query_parameters(call: Endpoint, done: Examples) -> list[Parameter]:
    if call.parameters is None:
        return []
    schema = call.parameters.model_json_schema(schema_generator=_Untitled)
    required = schema.get("required", ())
    return [
        _parameter(
            name, "query", _not_null(each), required=name in required, example=_given(done, "query", name)
        )
        for name, each in schema.get("properties", {}).items()
    ]


def _header_parameters(call: Endpoint) -> list[Parameter]:
    found = []
    if call.cached:
        told = {"type": "string", "description": "ETags; 304 where one is that of the answer"}
        found.append(_parameter("If-None-Match", "header", told, required=False))
    if call.matching != "none":
        told = {"type": "string", "description": "the ETag of what was read"}
        found.append(_parameter("If-Match", "header", told, required=call.matching == "required"))
    return found


def _given(done: Examples, place: str, name: str) -> Any:
    """Return the value of a parameter in the first example that has it."""
    return next((each[place][name] for each in done if name in each.get(place, {})), None)


def _parameter(
    name: str, place: str, schema: dict[str, Any], *, required: bool, example: Any = None
) -> Parameter:
    told = dict(schema)
    given = {"name": name, "in": place, "required": required, "description": told.pop("description", None)}
    return Parameter.model_validate(given | {"schema": told, "example": example})


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that may be missing: no null can be sent in a query."""
    told = {name: value for name, value in schema.items() if name != "anyOf"}
    for each in schema.get("anyOf", ()):
        told = {**each, **told} if each != {"type": "null"} else told
    if told.get("default", 0) in (None, [], ()):
        del told["default"]
    return told


def _responses(call: Endpoint, schemas: _Schemas, examples: Examples) -> dict[str, Response | Reference]:
    responses: dict[int, Response | Reference] = {
        status: _answer(answer, call, schemas, of_call(examples, call, status))
        for status, answer in call.answers.items()
    }
    if call.cached:
        responses[304] = Response(description=_TOLD_OF_STATUS[304], headers=_headers("ETag"))
    for status in {status_of(kind) for kind in call.problems}:
        named: dict[str, Example | Reference] = {
            kind: Reference.model_validate({"$ref": f"#/components/examples/{each['name']}"})
            for kind, each in of_problems(examples, call, status).items()
        }
        content = {_PROBLEM_TYPE: MediaType(schema=schemas.problem, examples=named)}
        responses[status] = Response(
            description=_TOLD_OF_STATUS[status], content=content, headers=_headers(*_ALSO.get(status, ()))
        )
    return {str(status): responses[status] for status in sorted(responses)}


def _answer(answer: ResponseSpec, call: Endpoint, schemas: _Schemas, examples: Examples) -> Response:
    content = None
    if answer.body is not None:
        named: dict[str, Example | Reference] = {each["name"]: _example(each, "answer") for each in examples}
        content = {answer.media_type: MediaType(schema=schemas.of(answer.body), examples=named or None)}
    links: dict[str, Link | Reference] = {
        name: Link(operationId=name, parameters=dict(parameters)) for name, parameters in call.links.items()
    }
    headers = _headers(*(("ETag", "Cache-Control") if call.cached else ()))
    return Response(description=answer.told, content=content, headers=headers, links=links or None)


def _headers(*names: str) -> dict[str, Header | Reference]:
    found = ("X-Request-ID", *names)
    return {name: Reference.model_validate({"$ref": f"#/components/headers/{name}"}) for name in found}


def _example(example: dict[str, Any], part: Literal["body", "answer"]) -> Example:
    return Example(summary=example["told"], value=example[part])
