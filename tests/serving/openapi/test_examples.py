"""Each example of the OpenAPI document equals the current response, and is valid under its schema."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from recommender.serving.http.problems import KINDS
from recommender.serving.openapi.document import document
from recommender.serving.openapi.endpoints import ENDPOINTS
from recommender.serving.openapi.examples import read_examples
from tests.serving.openapi.examples import ExampleService, masked

TOLERANCE = 1e-5  # scores differ by this much between machines
UNDOCUMENTED = {"bad-request", "internal-error", "method-not-allowed"}  # no endpoint lists them


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(document())
    return parsed


def close(value: Any) -> Any:
    """Return a value that equals others whose numbers differ by at most the tolerance."""
    if isinstance(value, dict):
        return {name: close(item) for name, item in value.items()}
    if isinstance(value, list):
        return [close(item) for item in value]
    return pytest.approx(value, abs=TOLERANCE) if isinstance(value, float) else value


def schemas(openapi: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of the request body and the response of an example."""
    endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.name == example["endpoint"])
    operation = openapi["paths"][endpoint.path][endpoint.method]
    content = operation["responses"][str(example["status"])].get("content", {})
    schema_of = {"response": next(iter(content.values()))["schema"]} if content else {}
    if "requestBody" in operation:
        schema_of["body"] = operation["requestBody"]["content"]["application/json"]["schema"]
    return {name: schema | {"components": openapi["components"]} for name, schema in schema_of.items()}


def test_every_example_equals_the_current_response(published: Path, tmp_path: Path) -> None:
    newsroom = ExampleService(published, tmp_path)

    for example in read_examples():
        response = newsroom.response(example)
        assert response.status_code == example["status"], example["name"]
        body = masked(response.get_json()) if response.data else None
        assert body == close(example.get("response")), example["name"]


def test_every_example_is_valid_under_its_schema(openapi: dict[str, Any]) -> None:
    for example in read_examples():
        schema_of = schemas(openapi, example)
        if "response" in example:
            jsonschema_rs.validator_for(schema_of["response"]).validate(example["response"])
        if example["status"] < 400 and "body" in example:
            jsonschema_rs.validator_for(schema_of["body"]).validate(example["body"])


def test_every_response_of_every_endpoint_has_an_example() -> None:
    recorded = {(example["endpoint"], example["status"]) for example in read_examples()}

    files = {"getDocument", "getDocs", "getMetrics", "getWidget"}
    assert {
        (endpoint.name, status)
        for endpoint in ENDPOINTS
        if endpoint.name not in files
        for status in endpoint.responses
    } <= recorded


def test_every_kind_of_problem_has_an_example() -> None:
    kinds = {example["response"]["type"] for example in read_examples() if example["status"] >= 400}

    assert kinds == set(KINDS) - UNDOCUMENTED


def test_every_error_response_has_an_example_of_each_problem(openapi: dict[str, Any]) -> None:
    for endpoint in ENDPOINTS:
        responses = openapi["paths"][endpoint.path][endpoint.method]["responses"]
        documented = [
            kind
            for status, response in responses.items()
            if status >= "400"
            for kind in response["content"]["application/problem+json"]["examples"]
        ]
        assert sorted(documented) == sorted(endpoint.problems), endpoint.name


def test_no_two_examples_have_the_same_name() -> None:
    assert max(Counter(example["name"] for example in read_examples()).values()) == 1
