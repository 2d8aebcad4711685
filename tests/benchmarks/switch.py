"""How soon changes take effect in every worker during a model switch, and how soon a restart is ready.

Two workers serve a model with 1,000 live articles. Each change is made through one worker; then both are
asked, on new connections, until its effect has been visible for a while.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.artifact import open_current
from recommender.serving.http.auth import new_key
from tests.benchmarks.processes import RECOMMENDER
from tests.support.servers import Answer, Server, serving

_LIVE = 1000
_BATCH = 50
_GROUPS = 50  # categories of the live articles
_WORKERS = 2
_PUBLISH = (
    "import sys; from datetime import UTC, datetime; from recommender.artifact import open_current, publish; "
    "publish(open_current(sys.argv[1]), sys.argv[1], now=datetime.now(UTC))"
)
_STEADY_SECONDS = 20.0
_WATCH_SECONDS = 1.5  # in which the effect of a change must stay visible
_SWITCH_SECONDS = 900.0
_ASKERS = 4

KEY, KEY_SETTING = new_key("cms", ["articles", "rules"])
_HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass
class _Seconds:
    """Measured seconds by kind of request or change."""

    response: dict[str, list[float]] = field(default_factory=dict)  # of the change itself
    effect: dict[str, list[float]] = field(default_factory=dict)  # from the start of the change


def measure(corpus: Path) -> None:
    """Train, then measure."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        command = [RECOMMENDER, "train", str(corpus), "--models-dir", str(models), "--no-gate"]
        subprocess.run(command, check=True, capture_output=True)
        measure_models(models)


def measure_models(models: Path) -> None:
    """Print the times of a service with the current model of this folder, which gets another version."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, object] = {
            "models_dir": models,
            "database_url": f"sqlite:///{folder}/live.db",
            "state_file": f"{folder}/state.json",
            "write_keys": KEY_SETTING,
            "address_limit": "1000000/second",
        }
        log = Path(folder) / "log"
        with serving(log, _WORKERS, **options) as server:
            start = time.perf_counter()
            _put_live_articles(server, models)
            console.print(f"{_LIVE} articles put in {time.perf_counter() - start:.0f} s")
            steady = time.monotonic() + _STEADY_SECONDS
            _print(console, "no switch", _changes(server, lambda: time.monotonic() > steady))
            subprocess.run([sys.executable, "-c", _PUBLISH, str(models)], check=True)
            start = time.perf_counter()
            is_done = _switched(server, open_current(models).manifest.version)
            _print(console, "switch", _changes(server, is_done))
            console.print(f"the switch took {time.perf_counter() - start:.0f} s")
        start = time.perf_counter()
        with serving(log, _WORKERS, **options):
            console.print(f"ready {time.perf_counter() - start:.1f} s after a restart")
        subprocess.run([sys.executable, "-c", _PUBLISH, str(models)], check=True)
        start = time.perf_counter()
        with serving(log, _WORKERS, **options):
            console.print(f"ready {time.perf_counter() - start:.1f} s after a restart with a new version")


def _put_live_articles(server: Server, models: Path) -> None:
    """Put articles whose bodies are made from halves of the model's, so that none is a near-duplicate."""
    articles = open_current(models).articles
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, len(articles), (_LIVE, 2)).tolist()
    bodies = [
        articles.bodies[first][: len(articles.bodies[first]) // 2]
        + articles.bodies[second][len(articles.bodies[second]) // 2 :]
        for first, second in pairs
    ]
    batch = []
    for number, (body, (first, _)) in enumerate(zip(bodies, pairs, strict=True), start=1):
        category = f"Group {number % _GROUPS}"
        batch.append(
            {"id": f"live-{number}", "title": articles.titles[first], "body": body, "category": category}
        )
        if len(batch) == _BATCH or number == _LIVE:
            answer = server.ask("POST", "/v1/articles", {"articles": batch}, _HEADERS)
            assert answer.body["accepted"] == len(batch), answer.body
            batch = []


def _switched(server: Server, version: str) -> Callable[[], bool]:
    """Return a test of whether all workers serve this version, or the time is over."""
    ends = time.monotonic() + _SWITCH_SECONDS

    def is_done() -> bool:
        answers = [server.ask("GET", "/readyz").body["model"]["version"] for _ in range(20)]
        return set(answers) == {version} or time.monotonic() > ends

    return is_done


def _changes(server: Server, is_done: Callable[[], bool]) -> _Seconds:
    """Make one change of each kind again and again, until `is_done`."""
    seconds = _Seconds()
    for number in _numbers:
        if is_done():
            return seconds
        listed = _timed(
            seconds.response, "a related list", server, f"/v1/related?id=live-500&exclude={number}"
        )
        assert listed.status == 200, listed
        article = {"title": f"Storm number {number}", "body": "The harbour was flooded. " * 20}
        hidden = _LIVE - number
        rule = {"kind": "block", "articles": [f"live-{hidden}"], "reason": "x", "author": "y"}
        group = f"/v1/articles?limit=50&category=group-{hidden % _GROUPS}"
        changes: list[tuple[str, str, str, object, str, Callable[[Answer], bool]]] = [
            ("PUT", "PUT", f"/v1/articles/new-{number}", article, "", lambda answer: answer.status == 200),
            (
                "DELETE",
                "DELETE",
                f"/v1/articles/live-{number}",
                None,
                "",
                lambda answer: answer.status == 410,
            ),
            ("block", "PUT", f"/v1/rules/r{number}", rule, group, partial(_lacks, f"live-{hidden}")),
        ]
        for name, method, target, body, shown_at, has_effect in changes:
            start = time.perf_counter()
            answer = _timed(seconds.response, name, server, target, method, body)
            assert answer.status in {200, 201, 204}, answer
            last = _last_without(server, shown_at or target, has_effect, start)
            seconds.effect.setdefault(name, []).append(last - start)
    raise AssertionError


_numbers = count(1)


def _timed(
    seconds: dict[str, list[float]],
    name: str,
    server: Server,
    target: str,
    method: str = "GET",
    body: object = None,
) -> Answer:
    start = time.perf_counter()
    answer = server.ask(method, target, body, _HEADERS)
    seconds.setdefault(name, []).append(time.perf_counter() - start)
    return answer


def _lacks(article_id: str, answer: Answer) -> bool:
    return all(item["id"] != article_id for item in answer.body["items"])


def _last_without(server: Server, target: str, has_effect: Callable[[Answer], bool], start: float) -> float:
    """Return when the last request began whose response did not have the effect, `start` if all had it."""

    def ask(_: int) -> float:
        last, end = start, time.perf_counter() + _WATCH_SECONDS
        while (now := time.perf_counter()) < end:
            if not has_effect(server.ask("GET", target)):
                last, end = now, now + _WATCH_SECONDS
            time.sleep(0.02)
        return last

    with ThreadPoolExecutor(_ASKERS) as pool:
        return max(pool.map(ask, range(_ASKERS)))


def _print(console: Console, name: str, seconds: _Seconds) -> None:
    table = Table(name, "number", "response: median s", "max s", "in every worker: median s", "max s")
    for kind, spent in seconds.response.items():
        table.add_row(kind, str(len(spent)), *_shown(spent), *_shown(seconds.effect.get(kind, [])))
    console.print(table)


def _shown(spent: list[float]) -> Iterator[str]:
    if spent:
        yield f"{np.median(spent):.2f}"
        yield f"{max(spent):.2f}"
