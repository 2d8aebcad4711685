"""The OpenAPI document describes every endpoint and no other, with a type for every value."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_pydantic.v3.v3_1 import OpenAPI

from recommender.serving.http.problems import KINDS, status_of
from recommender.serving.openapi.endpoints import ENDPOINTS

PAGES = re.compile(r"/(demo.*|docs/.*|admin.*)?")  # HTML pages and their files, which are not part of the API
METHODS = {"GET", "POST", "PUT", "DELETE"}


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    parsed: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return parsed


def documented_routes(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, item in document["paths"].items() for method in item}


def flask_endpoint(app: Flask, path: str, method: str) -> str:
    address = re.sub(r"{\w+}", "1", path)
    return str(app.url_map.bind("").match(address, method)[0])


def schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema of an object, at any depth."""
    if isinstance(node, dict):
        if "properties" in node and isinstance(node["properties"], dict):
            yield node
        for child in node.values():
            yield from schemas_in(child)
    elif isinstance(node, list):
        for child in node:
            yield from schemas_in(child)


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert OpenAPI.model_validate(document)


def test_every_documented_route_exists(app: Flask, document: dict[str, Any]) -> None:
    for path, method in documented_routes(document):
        assert flask_endpoint(app, path, method)


def test_every_existing_route_is_documented(app: Flask, document: dict[str, Any]) -> None:
    documented = {flask_endpoint(app, path, method) for path, method in documented_routes(document)}
    existing = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if (rule.methods or set()) & METHODS and not PAGES.fullmatch(rule.rule)
    }

    assert documented == existing


def test_every_method_of_a_path_is_documented(app: Flask, document: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) & METHODS
        path = re.sub(r"<(tail:tail|tail:article_id|article_id)>", "{id}", rule.rule)
        path = re.sub(r"<(\w+)>", r"{\1}", path)
        if methods and not PAGES.fullmatch(path):
            assert {(path, method) for method in methods} <= documented_routes(document), path


def test_every_property_has_a_type_and_no_object_allows_others(document: dict[str, Any]) -> None:
    schemas = list(schemas_in(document))

    assert len(schemas) > 30
    for schema in schemas:
        assert schema["additionalProperties"] is False, schema
        for name, field in schema["properties"].items():
            assert {"type", "$ref", "anyOf", "oneOf", "const"} & set(field), (schema.get("title"), name)


def test_every_parameter_has_a_type_and_a_description(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]

    for parameter in (parameter for operation in operations for parameter in operation["parameters"]):
        assert {"type", "anyOf"} & set(parameter["schema"]), parameter
        assert parameter["description"], parameter


def test_the_document_states_the_limits_of_parameters(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/related"]["get"]
    parameters = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}

    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 9}
    assert parameters["exclude"]["maxItems"] == 200
    assert parameters["unknown"]["enum"] == ["404", "fallback"]


def test_every_problem_type_is_listed_by_an_endpoint() -> None:
    of_any_endpoint = {"bad-request", "internal-error", "method-not-allowed"}
    documented = {kind for endpoint in ENDPOINTS for kind in endpoint.problems}

    assert documented | of_any_endpoint == set(KINDS)


def test_every_problem_of_an_endpoint_has_its_status_documented(document: dict[str, Any]) -> None:
    for endpoint in ENDPOINTS:
        responses = document["paths"][endpoint.path][endpoint.method]["responses"]
        assert {str(status_of(kind)) for kind in endpoint.problems} <= set(responses)


def test_the_document_is_the_same_on_every_request(client: FlaskClient) -> None:
    first, second = client.get("/openapi.json"), client.get("/openapi.json")

    assert first.data == second.data
    assert first.content_type == "application/json"


def test_documented_headers_are_sent(client: FlaskClient, document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/related"]["get"]["responses"]

    for target, status in (("/v1/related?id=a", "200"), ("/v1/related?id=nowhere", "404")):
        assert set(responses[status]["headers"]) <= set(client.get(target).headers.keys())
    assert {"ETag", "Cache-Control"} <= set(responses["200"]["headers"])
    assert "Retry-After" in responses["429"]["headers"]


@pytest.mark.parametrize("number", ["11393.464286368007", "0.1", "1e-05", "7.25e-9"])
def test_numbers_are_accepted_as_programs_print_them(client: FlaskClient, number: str) -> None:
    assert client.get(f"/v1/related?id=a&max_age_days={number}").status_code == 200
