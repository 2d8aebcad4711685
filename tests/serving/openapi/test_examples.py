"""Every example of the contract is what the service answers, key by key, and of the shape that it tells."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from recommender.serving.http.problems import KINDS
from recommender.serving.openapi.document import document
from recommender.serving.openapi.endpoints import CALLS
from recommender.serving.openapi.examples import read_examples
from tests.serving.openapi.examples import ExampleService, masked

CLOSE = 1e-5  # scores differ by that between machines
NOBODYS = {"bad-request", "internal-error", "method-not-allowed"}  # of no call that is told


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document())
    return found


def close(value: Any) -> Any:
    """Return a value that equals others with numbers next to its own."""
    if isinstance(value, dict):
        return {name: close(each) for name, each in value.items()}
    if isinstance(value, list):
        return [close(each) for each in value]
    return pytest.approx(value, abs=CLOSE) if isinstance(value, float) else value


def schemas(told: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of what the call of an example takes, and of what it answered."""
    call = next(call for call in CALLS if call.name == example["call"])
    operation = told["paths"][call.path][call.method]
    content = operation["responses"][str(example["status"])].get("content", {})
    found = {"answer": next(iter(content.values()))["schema"]} if content else {}
    if "requestBody" in operation:
        found["body"] = operation["requestBody"]["content"]["application/json"]["schema"]
    return {name: schema | {"components": told["components"]} for name, schema in found.items()}


def test_every_example_is_what_is_answered(published: Path, tmp_path: Path) -> None:
    newsroom = ExampleService(published, tmp_path)

    for example in read_examples():
        answer = newsroom.answer(example)
        assert answer.status_code == example["status"], example["name"]
        found = masked(answer.get_json()) if answer.data else None
        assert found == close(example.get("answer")), example["name"]


def test_every_example_is_of_the_shape_that_is_told(told: dict[str, Any]) -> None:
    for example in read_examples():
        shapes = schemas(told, example)
        if "answer" in example:
            jsonschema_rs.validator_for(shapes["answer"]).validate(example["answer"])
        if example["status"] < 400 and "body" in example:
            jsonschema_rs.validator_for(shapes["body"]).validate(example["body"])


def test_every_answer_of_every_call_has_an_example() -> None:
    shown = {(each["call"], each["status"]) for each in read_examples()}

    own = {"getDocument", "getDocs", "getMetrics", "getWidget"}  # these are files, or text
    assert {(call.name, status) for call in CALLS if call.name not in own for status in call.answers} <= shown


def test_every_kind_of_problem_has_an_example() -> None:
    kinds = {each["answer"]["type"] for each in read_examples() if each["status"] >= 400}

    assert kinds == set(KINDS) - NOBODYS


def test_every_refusal_that_is_told_shows_its_kinds(told: dict[str, Any]) -> None:
    for call in CALLS:
        responses = told["paths"][call.path][call.method]["responses"]
        shown = [
            kind
            for status, response in responses.items()
            if status >= "400"
            for kind in response["content"]["application/problem+json"]["examples"]
        ]
        assert sorted(shown) == sorted(call.problems), call.name


def test_no_two_examples_have_a_name() -> None:
    assert max(Counter(each["name"] for each in read_examples()).values()) == 1
