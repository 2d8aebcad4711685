"""Sends thousands of requests, generated from the OpenAPI document, to the sample newsroom.

`python -m tests.serving.openapi.fuzz --cases 20000` prints the requests per endpoint, the statuses and all
failures.
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
from recommender.serving.openapi.endpoints import ENDPOINTS
from recommender.settings import Settings
from tests.support.sample import NOW

KEY = "key-of-the-fuzz"
UNLIMITED = "9999999/second"
TICK = timedelta(milliseconds=20)  # between two readings of the clock
AWKWARD = ["a/related", "a,b", "https://x/y//z", "/abs", "..", "%2F", "日本 🗞"]
CHAINED_SHARE = 0.2  # of the requests: those that use values of an earlier response
MAX_STEPS = 6  # of a chain
MAX_CHAINED_RUNS = 100
PROCESSES = 2
BOUNDARY_CASES = 3_900  # roughly: the requests that try every bound of every value
OF_ANY_ENDPOINT = {"bad-request", "method-not-allowed"}
_PROBLEMS_OF = {
    f"{endpoint.method.upper()} {endpoint.path}": set(endpoint.problems) for endpoint in ENDPOINTS
}
_PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Report:
    """The requests of a run, counted, and its failures."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_endpoint: dict[str, Counter[int]] = field(default_factory=dict)
    by_phase: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)  # failure -> how to reproduce it
    errors: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> float:
        """The share of responses that are not errors."""
        return sum(count for status, count in self.statuses.items() if status < 400) / max(1, self.cases)

    def add(self, event: events.ScenarioFinished) -> None:
        """Count the requests of a scenario, and record each kind of failure once."""
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is None:
                continue
            status = interaction.response.status_code
            label = recorder.cases[case_id].value.operation.label
            self.cases += 1
            self.statuses[status] += 1
            self.by_endpoint.setdefault(label, Counter())[status] += 1
            self.by_phase[event.phase.value] += 1
            self._check_problem(label, status, interaction.response.content)
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.status == Status.FAILURE and check.failure_info is not None:
                    label = recorder.cases[case_id].value.operation.label
                    message = str(check.failure_info.failure)
                    self.failures.setdefault(
                        f"{label}: {check.name}: {check.failure_info.failure.title}",
                        f"{message}\n{check.failure_info.code_sample}",
                    )

    def __add__(self, other: "Report") -> "Report":
        """Return the sum of two reports."""
        by_endpoint = {
            label: self.by_endpoint.get(label, Counter()) + other.by_endpoint.get(label, Counter())
            for label in self.by_endpoint | other.by_endpoint
        }
        return Report(
            self.cases + other.cases,
            self.statuses + other.statuses,
            by_endpoint,
            self.by_phase + other.by_phase,
            self.failures | other.failures,
            self.errors + other.errors,
        )

    def _check_problem(self, label: str, status: int, body: bytes | None) -> None:
        """Record a problem type that the endpoint does not document."""
        if status < 400 or not body:
            return
        kind = json.loads(body)["type"]
        if kind not in _PROBLEMS_OF[label] | OF_ANY_ENDPOINT:
            self.failures.setdefault(f"{label}: undocumented problem: {kind}", body.decode())


@contextmanager
def newsroom(models: Path, folder: Path) -> Iterator[Flask]:
    """Yield an app whose clock advances with every reading."""
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


def configuration(
    articles: list[Article], phases: dict[str, Any], cases_per_endpoint: int, seed: int
) -> SchemathesisConfig:
    """Return the configuration of a run: real ids among generated ones, and most checks enabled."""
    ids = [article.id for article in articles] + AWKWARD
    urls = [article.url for article in articles if article.url]
    categories = sorted({name for article in articles for name in article.categories})
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "checks": {
                # A schema cannot express that a category is unknown, or that id and url exclude each other.
                "positive_data_acceptance": {"enabled": False},
                "missing_required_header": {"expected-statuses": [400, 401, 403, 428]},
                # One route serves an article and its list; its Allow header has the methods of both.
                "allow_header_conformance": {"enabled": False},
                "ignored_auth": {"enabled": False},  # not supported for an app in the same process
            },
            "headers": {"Accept-Encoding": "identity"},  # no decompression in the same process
            "auth": {"openapi": {"key": {"bearer": KEY}}},
            "dictionaries": {
                "ids": {"values": ids},
                "urls": {"values": urls},
                "categories": {"values": categories},
                "withdrawn": {"values": [f"gone-{number}" for number in range(20)]},
                "rules": {"values": ["live-blog", "mixed", "our-own-work"]},
                "slugs": {"values": ["skerrow-islands", "tarrow-hill-choir"]},
            },
            "parameters": {
                "id": {"dictionary": "ids", "probability": 0.9},
                "exclude": {"dictionary": "ids", "probability": 0.5},
                "url": {"dictionary": "urls", "probability": 0.9},
                "category": {"dictionary": "categories", "probability": 0.9},
                "exclude_category": {"dictionary": "categories", "probability": 0.9},
                "rule_id": {"dictionary": "rules", "probability": 0.7},
                "slug": {"dictionary": "slugs", "probability": 0.8},
            },
            "operations": [
                {
                    "include-operation-id": ["deleteArticle", "deleteArticleByPath"],
                    "parameters": {"id": {"dictionary": "withdrawn", "probability": 0.9}},
                },
                {
                    # A batch reports its invalid items with status 200; deleting an unknown rule succeeds.
                    "include-operation-id": ["postArticles", "postEvents", "deleteRule"],
                    "checks": {"negative_data_rejection": {"enabled": False}},
                },
            ],
            "generation": {"max-examples": cases_per_endpoint},
            "phases": {name: {"enabled": False} for name in _PHASES} | phases,
        }
    )


def fuzz(app: Flask, articles: list[Article], cases: int, seed: int, *, thorough: bool = True) -> Report:
    """Send about `cases` generated requests; a `thorough` run starts with every bound of every value."""
    report = Report()
    single_phases = ("examples", "coverage", "fuzzing") if thorough else ("examples", "fuzzing")
    generated = (1 - CHAINED_SHARE) * cases - (BOUNDARY_CASES if thorough else 0)
    per_endpoint = max(10, round(generated / len(ENDPOINTS)))
    _run(
        report,
        app,
        configuration(articles, {name: {"enabled": True} for name in single_phases}, per_endpoint, seed),
    )
    chained_phases = {"stateful": {"enabled": True, "max-steps": MAX_STEPS}}
    # Responses depend on earlier requests, so chains are not reproducible and a run may end early.
    for number in range(MAX_CHAINED_RUNS):
        if report.cases >= cases and report.by_phase["stateful"] >= CHAINED_SHARE * cases:
            break
        _run(report, app, configuration(articles, chained_phases, per_endpoint, seed + number))
    return report


def _run(report: Report, app: Flask, config: SchemathesisConfig) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)
    schema.hook("map_query")(_drop_url)
    schema.hook("map_body")(_drop_id)

    def use_current_etag(context: Any, headers: Any) -> Any:
        """Send the current ETag with most requests that replace all rules."""
        if (
            context.operation.definition.raw["operationId"] == "putRules"
            and len(headers.get("If-Match", "")) > 1
        ):
            etag = (
                app.test_client().get("/v1/rules", headers={"Authorization": f"Bearer {KEY}"}).headers["ETag"]
            )
            return {**headers, "If-Match": etag}
        return headers

    schema.hook("map_headers")(use_current_etag)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            report.add(event)
        elif isinstance(event, events.NonFatalError):
            report.errors.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            report.errors.append(str(event.exception))


def _drop_url(context: Any, query: Any) -> Any:  # noqa: ARG001 schemathesis' hook
    """Remove `url` if the query has `id` too: the service rejects both together."""
    if isinstance(query, dict) and "id" in query and "url" in query:
        return {name: value for name, value in query.items() if name != "url"}
    return query


def _drop_id(context: Any, body: Any) -> Any:
    """Remove the id from the body: the service rejects an id that differs from the path."""
    if "id" in (body if isinstance(body, dict) else {}) and context.operation.method == "put":
        return {name: value for name, value in body.items() if name != "id"}
    return body


def main() -> int:
    """Fuzz the sample newsroom and print the report; returns the exit status."""
    from importlib.resources import as_file, files  # noqa: PLC0415 the tests do not need these

    from recommender.artifact import publish  # noqa: PLC0415
    from recommender.training.readers.corpus import read_articles  # noqa: PLC0415
    from recommender.training.train import train  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        with as_file(files("recommender") / "sample" / "articles.jsonl") as path:
            articles = read_articles(path, now=NOW).articles
        publish(train(articles, now=NOW).model, models, now=NOW)
        cases = -(-arguments.cases // PROCESSES)
        parts = [
            (models, articles, cases, arguments.seed + 1000 * part, part == 0) for part in range(PROCESSES)
        ]
        with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
            report = sum(pool.map(_fuzz_part, parts), Report())
    write(report)
    return 1 if report.failures or report.errors else 0


def _fuzz_part(part: tuple[Path, list[Article], int, int, bool]) -> Report:
    """Send a part of the requests in a separate process; the first part also tries the bounds."""
    models, articles, cases, seed, thorough = part
    with tempfile.TemporaryDirectory() as name, newsroom(models, Path(name)) as app:
        return fuzz(app, articles, cases, seed, thorough=thorough)


def write(report: Report) -> None:
    """Write a report to standard output."""
    lines = [
        f"{endpoint}: {dict(sorted(counts.items()))}"
        for endpoint, counts in sorted(report.by_endpoint.items())
    ]
    lines += [f"\n{failure}\n{reproduction}" for failure, reproduction in report.failures.items()]
    lines += report.errors
    accepted, statuses = f"{report.accepted:.0%} accepted", dict(report.statuses)
    lines.append(f"{report.cases} cases {dict(report.by_phase)}, {accepted}, {statuses}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
