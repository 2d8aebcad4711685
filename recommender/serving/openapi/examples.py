"""Recorded examples: requests for a fictional news site, and their responses.

A test replays each request and compares the response key by key.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recommender.serving.http.problems import status_of
from recommender.serving.openapi.endpoint import Endpoint

EXAMPLES = Path(__file__).parent / "examples.json"


def read_examples() -> list[dict[str, Any]]:
    """Return the examples in the order in which they were recorded; later ones depend on earlier ones.

    Each has a `name`, a `summary` and the name of its `endpoint`. `query`, `path`, `headers` and `body` are
    the request, `status` and `response` what came back. Other keys are for the tests only.
    """
    examples: list[dict[str, Any]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return examples


def examples_of(examples: Iterable[dict[str, Any]], endpoint: Endpoint, status: int) -> list[dict[str, Any]]:
    """Return the examples of an endpoint that have this status."""
    return [
        example
        for example in examples
        if example["endpoint"] == endpoint.name and example["status"] == status
    ]


def problem_examples(
    examples: Iterable[dict[str, Any]], endpoint: Endpoint, status: int
) -> dict[str, dict[str, Any]]:
    """Return one example of each problem type that the endpoint returns with this status, by type.

    The endpoint's own examples are preferred to those of other endpoints.
    """
    kinds = {kind for kind in endpoint.problems if status_of(kind) == status}
    example_of: dict[str, dict[str, Any]] = {}
    for example in examples:
        is_problem = example["status"] >= 400  # noqa: PLR2004 the first HTTP error status
        kind = example["response"]["type"] if is_problem else None
        if kind in kinds and (kind not in example_of or example["endpoint"] == endpoint.name):
            example_of[kind] = example
    return example_of
