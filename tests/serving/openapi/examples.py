"""Replays the examples of the OpenAPI document against the sample newsroom, with a fixed clock.

`python -m tests.serving.openapi.examples` records the responses again. The requests and summaries are written
by hand.
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from recommender.serving.app import create_app
from recommender.serving.http import cors
from recommender.serving.openapi.endpoints import ENDPOINTS
from recommender.serving.openapi.examples import EXAMPLES, read_examples
from recommender.settings import Settings
from tests.support.limits import captured_limits
from tests.support.sample import NOW

KEY = "key-of-the-examples"
FILE_RULE = """[[rule]]
id = "grief"
kind = "sensitive"
articles = ["1030"]
reason = "the family asked"
author = "B. Oduya"
"""
SETUPS: dict[str, dict[str, Any]] = {
    "": {},
    "small": {"max_body_bytes": 256},
    "origins": {"event_origins": "https://courier.example"},
    "limited": {"address_limit": "1/hour"},
    "busy": {"scoring_at_once": 1, "scoring_queue": 0},
    "file": {},
    "empty": {},
    "away": {},
}
MASKS: dict[tuple[str, type], object] = {  # values that change with every run
    ("version", str): "20270101T120000Z-1a2b3c4d",
    ("model_version", str): "20270101T120000Z-1a2b3c4d",
    ("version", int): 812,
    ("live_version", int): 812,
    ("request_id", str): "5b1a6d0c2e7f4c1f9a3be0a4d3c6f7e8",
}
_ENDPOINT_OF = {endpoint.name: endpoint for endpoint in ENDPOINTS}
_FOLDER = re.compile(r"/\S+/empty")


class ExampleService:
    """Sends the examples, in their order, to apps that share a models folder; one app for each setup."""

    def __init__(self, models: Path, folder: Path) -> None:
        self._models, self._folder = models, folder
        self._apps: dict[str, Flask] = {}
        self._etag = ""
        self._now = NOW

    def response(self, example: dict[str, Any]) -> TestResponse:
        """Send the request of an example; return the response."""
        self._now = NOW + timedelta(minutes=example.get("minute", 0))
        setup = example.get("setup", "")
        app = self._apps.get(setup) or self._apps.setdefault(setup, self._open(setup))
        with ExitStack() as busy:
            if setup == "busy":
                busy.enter_context(self._scoring_slot())
            if setup == "limited":
                self._send(app, example)
            response = self._send(app, example)
        self._etag = response.headers.get("ETag", self._etag)
        return response

    def _open(self, setup: str) -> Flask:
        folder = self._folder / (setup or "default")
        folder.mkdir()
        rules = folder / "rules.toml"
        rules.write_text(FILE_RULE, encoding="utf-8")
        settings: dict[str, Any] = {
            "models_dir": folder if setup == "empty" else self._models,
            "database_url": f"sqlite:///{folder / ('away' if setup == 'away' else '.') / 'store.db'}",
            "state_file": folder / "state.json",
            "write_keys": f"cms:{sha256(KEY.encode()).hexdigest()}:articles+events+rules",
            "live_poll_seconds": 0,
            "rules_file": rules if setup == "file" else None,
        }
        with captured_limits(cors) as limits:
            app = create_app(Settings.read(**(settings | SETUPS[setup])), clock=lambda: self._now)
        if setup == "busy":
            [limit] = limits
            self._scoring_slot = limit.slot
        return app

    def _send(self, app: Flask, example: dict[str, Any]) -> TestResponse:
        endpoint = _ENDPOINT_OF[example["endpoint"]]
        headers = {
            name: value.replace("$ETag", self._etag) for name, value in example.get("headers", {}).items()
        }
        key = example.get("key", "good" if endpoint.key == "required" else "none")
        if key != "none":
            headers["Authorization"] = f"Bearer {KEY if key == 'good' else 'no-such-key'}"
        body = example.get("body")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return app.test_client().open(
            endpoint.path.format(**example.get("path", {})),
            method=endpoint.method.upper(),
            query_string=example.get("query", {}),
            headers=headers,
            data=None if body is None else json.dumps(body),
        )


def masked(value: Any) -> Any:
    """Return a response body with the values that change with every run replaced."""
    if isinstance(value, dict):
        return {name: MASKS.get((name, type(item)), masked(item)) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return _FOLDER.sub("models", value) if isinstance(value, str) else value


def recorded(models: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the examples with their current responses."""
    service = ExampleService(models, folder)
    for example in read_examples():
        response = service.response(example)
        request = {name: value for name, value in example.items() if name != "response"}
        request["status"] = response.status_code
        yield request | ({"response": masked(response.get_json())} if response.data else {})


def main(write: Callable[[str], object] = sys.stdout.write) -> None:
    """Record the responses of all examples."""
    from importlib.resources import as_file, files  # noqa: PLC0415 only recording needs these

    from recommender.artifact import publish  # noqa: PLC0415
    from recommender.training.readers.corpus import read_articles  # noqa: PLC0415
    from recommender.training.train import train  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with as_file(files("recommender") / "sample" / "articles.jsonl") as path:
            publish(train(read_articles(path, now=NOW).articles, now=NOW).model, folder / "models", now=NOW)
        examples = list(recorded(folder / "models", folder))
    EXAMPLES.write_text(json.dumps(examples, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for example in examples:
        write(f"{example['status']} {example['endpoint']} {example['name']}\n")


if __name__ == "__main__":
    main()
