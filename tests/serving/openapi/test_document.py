"""The document tells of every call there is, of no other, and types all that it tells."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_pydantic.v3.v3_1 import OpenAPI

from recommender.serving.http.problems import KINDS, status_of
from recommender.serving.openapi.endpoints import CALLS

PAGES = ("/demo", "/docs/")  # for people, with what they are made of; no contract
METHODS = {"GET", "POST", "PUT", "DELETE"}


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return found


def told_routes(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, item in document["paths"].items() for method in item}


def endpoint_of(app: Flask, path: str, method: str) -> str:
    address = re.sub(r"{\w+}", "1", path)
    return str(app.url_map.bind("").match(address, method)[0])


def schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema of an object, however deep."""
    if isinstance(node, dict):
        if "properties" in node and isinstance(node["properties"], dict):
            yield node
        for each in node.values():
            yield from schemas_in(each)
    elif isinstance(node, list):
        for each in node:
            yield from schemas_in(each)


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert OpenAPI.model_validate(document)


def test_every_call_told_is_there(app: Flask, document: dict[str, Any]) -> None:
    for path, method in told_routes(document):
        assert endpoint_of(app, path, method)


def test_every_call_there_is_told(app: Flask, document: dict[str, Any]) -> None:
    told = {endpoint_of(app, path, method) for path, method in told_routes(document)}
    there = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if (rule.methods or set()) & METHODS and not rule.rule.startswith(PAGES)
    }

    assert told == there


def test_every_method_of_an_address_is_told(app: Flask, document: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) & METHODS
        shown = re.sub(r"<(tail:tail|tail:article_id|article_id)>", "{id}", rule.rule)
        shown = re.sub(r"<(\w+)>", r"{\1}", shown)
        if methods and not shown.startswith(PAGES):
            assert {(shown, method) for method in methods} <= told_routes(document), shown


def test_every_property_has_a_type_and_no_object_takes_more(document: dict[str, Any]) -> None:
    schemas = list(schemas_in(document))

    assert len(schemas) > 30
    for schema in schemas:
        assert schema["additionalProperties"] is False, schema
        for name, each in schema["properties"].items():
            assert {"type", "$ref", "anyOf", "oneOf", "const"} & set(each), (schema.get("title"), name)


def test_every_parameter_has_a_type_and_says_what_it_allows(document: dict[str, Any]) -> None:
    operations = [each for item in document["paths"].values() for each in item.values()]

    for parameter in (each for operation in operations for each in operation["parameters"]):
        assert {"type", "anyOf"} & set(parameter["schema"]), parameter
        assert parameter["description"], parameter


def test_limits_stand_in_the_document(document: dict[str, Any]) -> None:
    parameters = {
        each["name"]: each["schema"] for each in document["paths"]["/v1/related"]["get"]["parameters"]
    }

    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 9}
    assert parameters["exclude"]["maxItems"] == 200
    assert parameters["unknown"]["enum"] == ["404", "fallback"]


def test_every_kind_of_problem_is_told_by_some_call() -> None:
    of_any_call = {"bad-request", "internal-error", "method-not-allowed"}
    told = {kind for call in CALLS for kind in call.problems}

    assert told | of_any_call == set(KINDS)


def test_a_call_of_a_kind_of_problem_tells_its_status(document: dict[str, Any]) -> None:
    for call in CALLS:
        responses = document["paths"][call.path][call.method]["responses"]
        assert {str(status_of(kind)) for kind in call.problems} <= set(responses)


def test_the_document_is_made_once(client: FlaskClient) -> None:
    first, second = client.get("/openapi.json"), client.get("/openapi.json")

    assert first.data == second.data
    assert first.content_type == "application/json"


def test_headers_are_told_where_they_are_sent(client: FlaskClient, document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/related"]["get"]["responses"]

    for target, status in (("/v1/related?id=a", "200"), ("/v1/related?id=nowhere", "404")):
        assert set(operation[status]["headers"]) <= set(client.get(target).headers.keys())
    assert {"ETag", "Cache-Control"} <= set(operation["200"]["headers"])
    assert "Retry-After" in operation["429"]["headers"]


@pytest.mark.parametrize("number", ["11393.464286368007", "0.1", "1e-05", "7.25e-9"])
def test_numbers_are_taken_as_programs_print_them(client: FlaskClient, number: str) -> None:
    assert client.get(f"/v1/related?id=a&max_age_days={number}").status_code == 200
