"""The examples of the contract, asked of a newsroom of the sample at a set hour.

`python -m tests.serving.openapi.examples` records the responses again. The requests, and what each of them
shows, are written by hand.
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
from recommender.serving.openapi.endpoints import CALLS
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
MASKS: dict[tuple[str, type], object] = {  # what differs from one time to the next
    ("version", str): "20270101T120000Z-1a2b3c4d",
    ("model_version", str): "20270101T120000Z-1a2b3c4d",
    ("version", int): 812,
    ("live_version", int): 812,
    ("request_id", str): "5b1a6d0c2e7f4c1f9a3be0a4d3c6f7e8",
}
_CALL_OF = {call.name: call for call in CALLS}
_FOLDER = re.compile(r"/\S+/empty")


class ExampleService:
    """Apps over one models folder, one for each setup, that answer examples in their order."""

    def __init__(self, models: Path, folder: Path) -> None:
        self._models, self._folder = models, folder
        self._apps: dict[str, Flask] = {}
        self._etag = ""
        self._now = NOW

    def answer(self, example: dict[str, Any]) -> TestResponse:
        """Return what is answered to the request of an example."""
        self._now = NOW + timedelta(minutes=example.get("minute", 0))
        setup = example.get("setup", "")
        app = self._apps.get(setup) or self._apps.setdefault(setup, self._open(setup))
        with ExitStack() as busy:
            if setup == "busy":
                busy.enter_context(self._scoring_slot())
            if setup == "limited":
                self._ask(app, example)
            response = self._ask(app, example)
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

    def _ask(self, app: Flask, example: dict[str, Any]) -> TestResponse:
        call = _CALL_OF[example["call"]]
        headers = {
            name: value.replace("$ETag", self._etag) for name, value in example.get("headers", {}).items()
        }
        key = example.get("key", "good" if call.key == "required" else "none")
        if key != "none":
            headers["Authorization"] = f"Bearer {KEY if key == 'good' else 'no-such-key'}"
        body = example.get("body")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return app.test_client().open(
            call.path.format(**example.get("path", {})),
            method=call.method.upper(),
            query_string=example.get("query", {}),
            headers=headers,
            data=None if body is None else json.dumps(body),
        )


def masked(value: Any) -> Any:
    """Return an answer with what differs from one time to the next made the same."""
    if isinstance(value, dict):
        return {name: MASKS.get((name, type(each)), masked(each)) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return _FOLDER.sub("models", value) if isinstance(value, str) else value


def recorded(models: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the examples with what is answered now."""
    newsroom = ExampleService(models, folder)
    for example in read_examples():
        response = newsroom.answer(example)
        fresh = {name: value for name, value in example.items() if name != "answer"}
        fresh["status"] = response.status_code
        yield fresh | ({"answer": masked(response.get_json())} if response.data else {})


def main(write: Callable[[str], object] = sys.stdout.write) -> None:
    """Write the answers of all examples down."""
    from importlib.resources import as_file, files  # noqa: PLC0415 tests that only replay need none of this

    from recommender.artifact import publish  # noqa: PLC0415
    from recommender.training.readers.corpus import read_articles  # noqa: PLC0415
    from recommender.training.train import train  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with as_file(files("recommender") / "sample" / "articles.jsonl") as path:
            publish(train(read_articles(path, now=NOW).articles, now=NOW).model, folder / "models", now=NOW)
        found = list(recorded(folder / "models", folder))
    EXAMPLES.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for each in found:
        write(f"{each['status']} {each['call']} {each['name']}\n")


if __name__ == "__main__":
    main()
