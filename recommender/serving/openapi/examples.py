"""The examples of the contract: requests of a fictional newsroom, and what it answers.

Tests ask each of them, and compare the answer key by key.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recommender.serving.http.problems import status_of
from recommender.serving.openapi.endpoint import Endpoint

EXAMPLES = Path(__file__).parent / "examples.json"


def read_examples() -> list[dict[str, Any]]:
    """Return the examples in the order in which they are to be asked.

    Each has a `name`, says what is `told` by it, and names the `call`; `query`, `path`, `headers` and `body`
    are of the request, `status` and `answer` of what came back. What else there is, is for the tests.
    """
    found: list[dict[str, Any]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return found


def of_call(examples: Iterable[dict[str, Any]], call: Endpoint, status: int) -> list[dict[str, Any]]:
    """Return the examples of a call that end with a status."""
    return [each for each in examples if each["call"] == call.name and each["status"] == status]


def of_problems(examples: Iterable[dict[str, Any]], call: Endpoint, status: int) -> dict[str, dict[str, Any]]:
    """Return an example of each kind of problem with this status that a call may answer, by kind."""
    kinds = {kind for kind in call.problems if status_of(kind) == status}
    found = {}
    for each in examples:
        kind = each.get("answer", {}).get("type") if each["status"] >= 400 else None  # noqa: PLR2004 refusals
        if kind in kinds and (kind not in found or each["call"] == call.name):
            found[kind] = each
    return found
