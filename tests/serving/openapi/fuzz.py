"""Requests made up out of the contract, thousands of them, asked of the sample newsroom.

`python -m tests.serving.openapi.fuzz --cases 20000` tells what was asked, what came back, and what broke.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from recommender.article import Article
from recommender.serving.app import create_app
from recommender.serving.openapi.endpoints import CALLS
from recommender.settings import Settings
from tests.support.sample import NOW

KEY = "key-of-the-fuzz"
UNLIMITED = "9999999/second"
TICK = timedelta(milliseconds=20)  # between two looks at the clock
AWKWARD = ["a/related", "a,b", "https://x/y//z", "/abs", "..", "%2F", "日本 🗞"]
CHAINED_SHARE = 0.2  # of the requests: those that follow from the answer to another
STEPS = 6  # of a chain, at most
MAX_TURNS = 100
PARTS = 2  # at once
BOUNDS = 3_900  # requests about that try every bound of every value
OF_ANY_CALL = {"bad-request", "method-not-allowed"}
_KINDS_OF = {f"{call.method.upper()} {call.path}": set(call.problems) for call in CALLS}
_PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Found:
    """What was asked, and what came of it."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_call: dict[str, Counter[int]] = field(default_factory=dict)
    by_phase: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)  # what and where → how to see it again
    errors: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> float:
        """The share of answers that are no refusals."""
        return sum(count for status, count in self.statuses.items() if status < 400) / max(1, self.cases)

    def add(self, event: events.ScenarioFinished) -> None:
        """Count the requests of a scenario, and keep each kind of failure once."""
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is None:
                continue
            status = interaction.response.status_code
            label = recorder.cases[case_id].value.operation.label
            self.cases += 1
            self.statuses[status] += 1
            self.by_call.setdefault(label, Counter())[status] += 1
            self.by_phase[event.phase.value] += 1
            self._check_kind(label, status, interaction.response.content)
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.status == Status.FAILURE and check.failure_info is not None:
                    label = recorder.cases[case_id].value.operation.label
                    shown = str(check.failure_info.failure)
                    self.failures.setdefault(
                        f"{label}: {check.name}: {check.failure_info.failure.title}",
                        f"{shown}\n{check.failure_info.code_sample}",
                    )

    def __add__(self, other: "Found") -> "Found":
        """Return both together."""
        by_call = {
            label: self.by_call.get(label, Counter()) + other.by_call.get(label, Counter())
            for label in self.by_call | other.by_call
        }
        return Found(
            self.cases + other.cases,
            self.statuses + other.statuses,
            by_call,
            self.by_phase + other.by_phase,
            self.failures | other.failures,
            self.errors + other.errors,
        )

    def _check_kind(self, label: str, status: int, body: bytes | None) -> None:
        """Keep a refusal whose kind the call does not tell of."""
        if status < 400 or not body:
            return
        kind = json.loads(body)["type"]
        if kind not in _KINDS_OF[label] | OF_ANY_CALL:
            self.failures.setdefault(f"{label}: a refusal not told of: {kind}", body.decode())


@contextmanager
def newsroom(models: Path, folder: Path) -> Iterator[Flask]:
    """Yield an app over a models folder, whose clock moves with every look at it."""
    ticks = itertools.count()
    settings = Settings.read(
        models_dir=models,
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
        write_keys=f"fuzz:{sha256(KEY.encode()).hexdigest()}:articles+events+rules",
        live_poll_seconds=0,
        key_limit=UNLIMITED,
        address_limit=UNLIMITED,
        address_event_limit=UNLIMITED,
    )
    yield create_app(settings, clock=lambda: NOW + TICK * next(ticks))


def configured(
    articles: list[Article], phases: dict[str, Any], cases_of_call: int, seed: int
) -> SchemathesisConfig:
    """Return the configuration of a run: real ids among made-up ones, and all checks but a few."""
    ids = [article.id for article in articles] + AWKWARD
    urls = [article.url for article in articles if article.url]
    categories = sorted({name for article in articles for name in article.categories})
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "checks": {
                # No schema knows that a category is unknown, or that there is to be an id or a url, not both.
                "positive_data_acceptance": {"enabled": False},
                "missing_required_header": {"expected-statuses": [400, 401, 403, 428]},
                # One route serves an article and its list, and tells the methods of both.
                "allow_header_conformance": {"enabled": False},
                "ignored_auth": {"enabled": False},  # it cannot ask an app in its own process
            },
            "headers": {"Accept-Encoding": "identity"},  # schemathesis unpacks nothing in its own process
            "auth": {"openapi": {"key": {"bearer": KEY}}},
            "dictionaries": {
                "ids": {"values": ids},
                "urls": {"values": urls},
                "sections": {"values": categories},
                "gone": {"values": [f"gone-{number}" for number in range(20)]},
                "rules": {"values": ["live-blog", "mixed", "our-own-work"]},
                "slugs": {"values": ["islands-skerrow", "tarrow-hill-pit"]},
            },
            "parameters": {
                "id": {"dictionary": "ids", "probability": 0.9},
                "exclude": {"dictionary": "ids", "probability": 0.5},
                "url": {"dictionary": "urls", "probability": 0.9},
                "category": {"dictionary": "sections", "probability": 0.9},
                "exclude_category": {"dictionary": "sections", "probability": 0.9},
                "rule_id": {"dictionary": "rules", "probability": 0.7},
                "slug": {"dictionary": "slugs", "probability": 0.8},
            },
            "operations": [
                {
                    "include-operation-id": ["deleteArticle", "deleteArticleByPath"],
                    "parameters": {"id": {"dictionary": "gone", "probability": 0.9}},
                },
                {
                    # What is wrong in a batch is told of each item; what is not there may be deleted.
                    "include-operation-id": ["postArticles", "postEvents", "deleteRule"],
                    "checks": {"negative_data_rejection": {"enabled": False}},
                },
            ],
            "generation": {"max-examples": cases_of_call},
            "phases": {name: {"enabled": False} for name in _PHASES} | phases,
        }
    )


def fuzz(app: Flask, articles: list[Article], cases: int, seed: int, *, thorough: bool = True) -> Found:
    """Ask the app some so many made-up requests; a `thorough` run begins with every bound of every value."""
    found = Found()
    singly = ("examples", "coverage", "fuzzing") if thorough else ("examples", "fuzzing")
    drawn = (1 - CHAINED_SHARE) * cases - (BOUNDS if thorough else 0)
    of_call = max(10, round(drawn / len(CALLS)))
    _run(found, app, configured(articles, {name: {"enabled": True} for name in singly}, of_call, seed))
    chained = {"stateful": {"enabled": True, "max-steps": STEPS}}
    # Each answer depends on those before, so that no chain goes twice the same way, and a run may end early.
    for slot in range(MAX_TURNS):
        if found.cases >= cases and found.by_phase["stateful"] >= CHAINED_SHARE * cases:
            break
        _run(found, app, configured(articles, chained, of_call, seed + slot))
    return found


def _run(found: Found, app: Flask, config: SchemathesisConfig) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)
    schema.hook("map_query")(_one_address)
    schema.hook("map_body")(_id_of_address)

    def read_before(context: Any, headers: Any) -> Any:
        """Let whoever replaces the rules say for the most part that they were read."""
        if (
            context.operation.definition.raw["operationId"] == "putRules"
            and len(headers.get("If-Match", "")) > 1
        ):
            etag = (
                app.test_client().get("/v1/rules", headers={"Authorization": f"Bearer {KEY}"}).headers["ETag"]
            )
            return {**headers, "If-Match": etag}
        return headers

    schema.hook("map_headers")(read_before)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            found.add(event)
        elif isinstance(event, events.NonFatalError):
            found.errors.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            found.errors.append(str(event.exception))


def _one_address(context: Any, query: Any) -> Any:  # noqa: ARG001 schemathesis' hook
    """Leave one of id and url, for what has both is refused."""
    if isinstance(query, dict) and "id" in query and "url" in query:
        return {name: value for name, value in query.items() if name != "url"}
    return query


def _id_of_address(context: Any, body: Any) -> Any:
    """Leave the id to the address, for another one is refused."""
    if "id" in (body if isinstance(body, dict) else {}) and context.operation.method == "put":
        return {name: value for name, value in body.items() if name != "id"}
    return body


def main() -> int:
    """Fuzz the sample newsroom, and tell; returns the exit status."""
    from importlib.resources import as_file, files  # noqa: PLC0415 tests have a model already

    from recommender.artifact import publish  # noqa: PLC0415
    from recommender.training.readers.corpus import read_articles  # noqa: PLC0415
    from recommender.training.train import train  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        with as_file(files("recommender") / "sample" / "articles.jsonl") as path:
            articles = read_articles(path, now=NOW).articles
        publish(train(articles, now=NOW).model, models, now=NOW)
        share = -(-given.cases // PARTS)
        parts = [(models, articles, share, given.seed + 1000 * part, part == 0) for part in range(PARTS)]
        with ProcessPoolExecutor(PARTS, get_context("spawn")) as pool:
            found = sum(pool.map(_part, parts), Found())
    tell(found)
    return 1 if found.failures or found.errors else 0


def _part(given: tuple[Path, list[Article], int, int, bool]) -> Found:
    """Ask a part of the requests, in a process and a newsroom of its own; the first part tries the bounds."""
    models, articles, cases, seed, thorough = given
    with tempfile.TemporaryDirectory() as name, newsroom(models, Path(name)) as app:
        return fuzz(app, articles, cases, seed, thorough=thorough)


def tell(found: Found) -> None:
    """Write what came of a run."""
    lines = [f"{call}: {dict(sorted(counts.items()))}" for call, counts in sorted(found.by_call.items())]
    lines += [f"\n{what}\n{how}" for what, how in found.failures.items()]
    lines += found.errors
    lines.append(
        f"{found.cases} cases {dict(found.by_phase)}, {found.accepted:.0%} accepted, {dict(found.statuses)}"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
