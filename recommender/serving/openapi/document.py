"""The OpenAPI document, built from the pydantic models of requests and responses.

The models of requests are the ones that check requests, so the document cannot differ from what the service
accepts. Responses are built from dictionaries for speed, and only tests check them against
`response_schemas`. The document is built when it is first requested.

openapi-pydantic provides the types of the document. flask-openapi3, APIFlask and spectree would parse
parameters and report errors before our views; they do not support our rules for repeated names, ids with
special characters and error messages. Tests check that the document has exactly the routes of the app, and
replay all examples; schemathesis generates requests from the document.
"""

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
    Tag,
)
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from recommender.article_id import ID_SCHEMA
from recommender.serving.http.parameters import ID_ALLOWED
from recommender.serving.http.problems import status_of
from recommender.serving.http.responses import to_bytes
from recommender.serving.openapi.endpoint import JSON, Endpoint, ResponseSpec
from recommender.serving.openapi.endpoints import ENDPOINTS
from recommender.serving.openapi.examples import examples_of, problem_examples, read_examples
from recommender.serving.openapi.response_schemas import Problem
from recommender.serving.openapi.tasks import TAGS, TASK_OF, TASKS

Examples = list[dict[str, Any]]

VERSION = "1"  # of the API
_FIRST_ERROR_STATUS = 400
_PROBLEM_TYPE = "application/problem+json"
_REFS = "#/components/schemas/{model}"
_PATH_PARAMETERS = {
    "id": ID_SCHEMA | {"description": ID_ALLOWED},
    "slug": {"type": "string", "minLength": 1, "description": "the slug of a topic"},
    "rule_id": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
        "description": "the id of a rule",
    },
}
_DESCRIPTION = """Related articles for the CMS of a news site.

Errors are returned as `application/problem+json`; `type` identifies the kind of error. Every response has an
`X-Request-ID` header; if the request sends this header, its value is used. Responses with an `ETag` support
conditional requests. Article ids are compared byte for byte. If an id contains a `/`, send it as a query
parameter. Within `/v1`, the API changes only by additions."""
_HEADER_DESCRIPTIONS = {
    "X-Request-ID": "The id of the request. It also appears in the server log.",
    "ETag": "The version of the response, for `If-None-Match` and, where supported, `If-Match`.",
    "Cache-Control": "Which caches may store the response, and for how long.",
    "Retry-After": "The number of seconds to wait before you retry.",
    "WWW-Authenticate": "The authentication scheme to use.",
}
_ERROR_HEADERS = {  # by status, in addition to X-Request-ID
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_STATUS_DESCRIPTIONS = {
    304: "The response has not changed.",
    400: "A parameter or the body is invalid.",
    401: "The API key is missing.",
    403: "The API key or the origin does not permit this request.",
    404: "The resource does not exist, or the id in the path contains a slash.",
    409: "The rule is defined in the rules file and can only be changed there.",
    410: "The article was withdrawn.",
    412: "The rules changed since you read them.",
    413: "The body is too large.",
    415: "The content type is not supported.",
    428: "The If-Match header is missing.",
    429: "Too many requests. Retry after the number of seconds in `Retry-After`.",
    503: "The service is temporarily unavailable. Retry after the number of seconds in `Retry-After`.",
}


@cache
def document() -> bytes:
    """Return the document as JSON. It is built on the first call."""
    return to_bytes(
        _open_api(ENDPOINTS).model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    )


def _open_api(endpoints: Iterable[Endpoint]) -> OpenAPI:
    schemas, examples = _Schemas(endpoints), read_examples()
    paths: dict[str, PathItem] = {}
    for endpoint in endpoints:
        item = paths.setdefault(endpoint.path, PathItem())
        setattr(item, endpoint.method, _operation(endpoint, schemas, examples))
    return OpenAPI(
        openapi="3.1.1",
        info=Info(
            title="recommender",
            version=VERSION,
            description=_DESCRIPTION,
            license=License(name="MIT", identifier="MIT"),
        ),
        servers=[Server(url="/", description="The server that this document was loaded from.")],
        paths=paths,
        tags=[Tag(name=name, description=description) for name, description in TAGS.items()],
        **_extension("x-tasks", list(TASKS)),
        components=Components(
            schemas={name: Schema.model_validate(schema) for name, schema in schemas.components.items()},
            examples={
                example["name"]: _example(example, "response")
                for example in examples
                if example["status"] >= _FIRST_ERROR_STATUS
            },
            headers={
                name: Header.model_validate(
                    {"required": True, "description": description, "schema": {"type": "string"}}
                )
                for name, description in _HEADER_DESCRIPTIONS.items()
            },
            securitySchemes={
                "key": SecurityScheme(
                    type="http", scheme="bearer", description="An API key created with `recommender key`."
                )
            },
        ),
    )


class _Schemas:
    """The JSON schemas of all bodies: named components, and the schema or reference of each body."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        types: dict[str, Any] = {"Problem": Problem}
        for endpoint in endpoints:
            types |= {repr(body): body for body in _bodies_of(endpoint)}
        adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
            (name, "validation", TypeAdapter(body)) for name, body in types.items()
        ]
        schemas, definitions = TypeAdapter.json_schemas(
            adapters, ref_template=_REFS, schema_generator=_Untitled
        )
        self._schema_of = {name: schema for (name, _), schema in schemas.items()}
        self.components: dict[str, Any] = definitions["$defs"]

    def of(self, body: Any) -> Schema | Reference:
        """Return the schema of a body."""
        schema = self._schema_of[repr(body)]
        return Reference.model_validate(schema) if set(schema) == {"$ref"} else Schema.model_validate(schema)

    @property
    def problem(self) -> Reference:
        """The schema of every error response."""
        return Reference.model_validate(self._schema_of["Problem"])


class _Untitled(GenerateJsonSchema):
    """A schema generator that omits the titles of fields, which only repeat the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 pydantic's hook
        """Return False for every field."""
        return False


def _bodies_of(endpoint: Endpoint) -> list[Any]:
    bodies = [endpoint.body, *(response.body for response in endpoint.responses.values())]
    return [body for body in bodies if body is not None]


def _operation(endpoint: Endpoint, schemas: _Schemas, examples: Examples) -> Operation:
    body = None
    successes = [
        example for status in endpoint.responses for example in examples_of(examples, endpoint, status)
    ]
    if endpoint.body is not None:
        body_examples: dict[str, Example | Reference] = {
            example["name"]: _example(example, "body") for example in successes
        }
        media = MediaType(schema=schemas.of(endpoint.body), examples=body_examples or None)
        body = RequestBody(required=True, content={JSON: media}, description=endpoint.body_description)
    security: dict[str, list[dict[str, list[str]]]] = {
        "none": [],
        "optional": [{}, {"key": []}],
        "required": [{"key": []}],
    }
    return Operation(
        operationId=endpoint.name,
        tags=[endpoint.tag],
        summary=endpoint.summary,
        description=endpoint.description,
        parameters=[
            *_path_parameters(endpoint, successes),
            *_query_parameters(endpoint, successes),
            *_header_parameters(endpoint),
        ],
        requestBody=body,
        responses=_responses(endpoint, schemas, examples),
        security=security[endpoint.key],
        **_extension("x-task", TASK_OF[endpoint.name]),  # how the API reference groups the calls
    )


def _path_parameters(endpoint: Endpoint, examples: Examples) -> list[Parameter]:
    return [
        _parameter(name, "path", schema, required=True, example=_example_value(examples, "path", name))
        for name, schema in _PATH_PARAMETERS.items()
        if f"{{{name}}}" in endpoint.path
    ]


def _query_parameters(endpoint: Endpoint, examples: Examples) -> list[Parameter]:
    if endpoint.parameters is None:
        return []
    schema = endpoint.parameters.model_json_schema(schema_generator=_Untitled)
    required = schema.get("required", ())
    return [
        _parameter(
            name,
            "query",
            _not_null(parameter),
            required=name in required,
            # Viewers fill in examples, and a first request should not have all optional parameters.
            example=_example_value(examples, "query", name) if name in required else None,
        )
        for name, parameter in schema.get("properties", {}).items()
    ]


def _header_parameters(endpoint: Endpoint) -> list[Parameter]:
    parameters = []
    if endpoint.cached:
        description = "One or more ETags. If one matches, the response is 304 without a body."
        schema = {"type": "string", "description": description}
        parameters.append(_parameter("If-None-Match", "header", schema, required=False))
    if endpoint.if_match != "none":
        description = "The ETag from your last read. If it no longer matches, the response is 412."
        schema = {"type": "string", "description": description}
        is_required = endpoint.if_match == "required"
        parameters.append(_parameter("If-Match", "header", schema, required=is_required))
    return parameters


def _example_value(examples: Examples, place: str, name: str) -> Any:
    """Return the value of a parameter in the first example that has it."""
    return next((example[place][name] for example in examples if name in example.get(place, {})), None)


def _parameter(
    name: str, place: str, schema: dict[str, Any], *, required: bool, example: Any = None
) -> Parameter:
    schema = dict(schema)
    description = schema.pop("description", None)
    fields = {"name": name, "in": place, "required": required, "description": description}
    return Parameter.model_validate(fields | {"schema": schema, "example": example})


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional parameter without null, which a query string cannot express."""
    merged = {name: value for name, value in schema.items() if name != "anyOf"}
    for option in schema.get("anyOf", ()):
        merged = {**option, **merged} if option != {"type": "null"} else merged
    if merged.get("default", 0) in (None, [], ()):
        del merged["default"]
    return merged


def _responses(endpoint: Endpoint, schemas: _Schemas, examples: Examples) -> dict[str, Response | Reference]:
    responses: dict[int, Response | Reference] = {
        status: _success(spec, endpoint, schemas, examples_of(examples, endpoint, status))
        for status, spec in endpoint.responses.items()
    }
    if endpoint.cached:
        responses[304] = Response(description=_STATUS_DESCRIPTIONS[304], headers=_headers("ETag"))
    for status in {status_of(kind) for kind in endpoint.problems}:
        references: dict[str, Example | Reference] = {
            kind: Reference.model_validate({"$ref": f"#/components/examples/{example['name']}"})
            for kind, example in problem_examples(examples, endpoint, status).items()
        }
        responses[status] = Response(
            description=_STATUS_DESCRIPTIONS[status],
            content={_PROBLEM_TYPE: MediaType(schema=schemas.problem, examples=references)},
            headers=_headers(*_ERROR_HEADERS.get(status, ())),
        )
    return {str(status): responses[status] for status in sorted(responses)}


def _success(spec: ResponseSpec, endpoint: Endpoint, schemas: _Schemas, examples: Examples) -> Response:
    content = None
    if spec.body is not None:
        by_name: dict[str, Example | Reference] = {
            example["name"]: _example(example, "response") for example in examples
        }
        content = {spec.media_type: MediaType(schema=schemas.of(spec.body), examples=by_name or None)}
    links: dict[str, Link | Reference] = {
        name: Link(operationId=name, parameters=dict(parameters))
        for name, parameters in endpoint.links.items()
    }
    headers = _headers(*(("ETag", "Cache-Control") if endpoint.cached else ()))
    return Response(description=spec.description, content=content, headers=headers, links=links or None)


def _headers(*names: str) -> dict[str, Header | Reference]:
    return {
        name: Reference.model_validate({"$ref": f"#/components/headers/{name}"})
        for name in ("X-Request-ID", *names)
    }


def _example(example: dict[str, Any], part: Literal["body", "response"]) -> Example:
    return Example(summary=example["summary"], value=example[part])


def _extension(name: str, value: object) -> dict[str, Any]:
    """Return a field that is not part of OpenAPI, as an argument of its models."""
    return {name: value}
