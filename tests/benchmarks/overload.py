"""Latency of lists while another caller sends more than the service can compute.

Two tables: precomputed lists, not cached, while more texts are sent than the service can score; and cached
lists of one address while another one has ninety costly requests outstanding, for each kind of them.
"""

import http.client
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing import Queue, get_context
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.artifact import open_current
from recommender.model import Model
from tests.benchmarks.processes import RECOMMENDER
from tests.support.servers import serving

_LISTS = 500
_SENDERS = 60
_TEXT_CHARS = 4000
_PAUSE_SECONDS = 0.2  # after a rejection; the sender ignores Retry-After
# The default limit, and the highest that the settings allow.
_SETTINGS: dict[str, dict[str, object]] = {
    "2 at once, 16 wait": {},
    "16 at once, 16 wait": {"scoring_at_once": 16},
}


# The requests of a caller that wants to cost as much as possible. NUMBER differs in each, so none is cached.
_COSTLY = "limit=50&diversity=0.5&explain=1&lang=any"
_LETTERS = "+".join("abcdefghijklmnopqrstuvwxyz" * 4)[:190]
_FLOODS = {
    "batches of 99 costly lists": f"/v1/related/batch?{_COSTLY}&exclude=NUMBER&id=unknown&IDS",
    "the same batch, cached": f"/v1/related/batch?{_COSTLY}&IDS",
    "costly lists": f"/v1/related?{_COSTLY}&exclude=NUMBER&id=FIRST",
    "lists of an unknown id": f"/v1/related?{_COSTLY}&exclude=NUMBER&id=unknown&unknown=fallback",
    "plain lists": "/v1/related?exclude=NUMBER&id=FIRST",
    "lists with 198 exclusions": "/v1/related?exclude=NUMBER&id=FIRST&EXCLUDES",
    "searches of 95 letters": f"/v1/search?limit=50&q={_LETTERS}+NUMBER",
    "pages of articles": "/v1/articles?limit=50&updated_after=2000-01-01T00:00:00.NUMBERZ",
    "demo pages": "/demo/article?id=FIRST&NUMBER",
    "metrics": "/metrics",
    "the OpenAPI document": "/openapi.json",
}
_CALLERS = 90
_FLOOD_SECONDS, _BEGIN_SECONDS, _RECOVERY_SECONDS = 6.0, 2.0, 1.0
_GREEDY, _OTHER = "198.51.100.1", "198.51.100.2"


def measure(corpus: Path) -> None:
    """Print both tables."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", str(models), "--no-gate"],
            check=True,
            capture_output=True,
        )
        console.print(_texts(models, Path(folder)))
        console.print(_floods(models, Path(folder)))


def _floods(models: Path, folder: Path) -> Table:
    """Return the latency of cached lists during a flood of each kind, and right after it."""
    table = Table(
        "outstanding from one address", "cached lists: median ms", "p99 ms", "p99 after", "statuses"
    )
    articles = open_current(models).articles
    ids = [quote(article_id, safe="") for article_id in articles.ids][:99]
    paths = {"database_url": f"sqlite:///{folder}/store.db", "state_file": folder / "state.json"}
    for name, form in _FLOODS.items():
        target = form.replace("IDS", "&".join(f"id={article_id}" for article_id in ids))
        target = target.replace("EXCLUDES", "&".join(f"exclude={number}-" for number in range(198)))
        target = target.replace("FIRST", ids[0])
        with serving(folder / "log", 1, models_dir=models, trusted_proxies="127.0.0.1", **paths) as server:
            _request_cached(server.port, ids, _RECOVERY_SECONDS)
            # Another process, so that the senders do not slow down this one.
            context = get_context("spawn")
            statuses: Queue[Counter[int]] = context.Queue()
            sender = context.Process(target=_send_costly, args=(server.port, target, statuses))
            sender.start()
            time.sleep(_BEGIN_SECONDS)
            during = _request_cached(server.port, ids, _FLOOD_SECONDS - _BEGIN_SECONDS - 1)
            counts = statuses.get()
            sender.join()
            after = _request_cached(server.port, ids, _RECOVERY_SECONDS)
        shown = " ".join(f"{status}: {count}" for status, count in sorted(counts.items()))
        table.add_row(name, *_percentiles(during), _percentiles(after)[1], shown)
    return table


def _send_costly(port: int, form: str, statuses: "Queue[Counter[int]]") -> None:
    """Keep ninety requests outstanding for some seconds; then report the responses by status."""
    numbers, counts, end = count(), Counter[int](), time.monotonic() + _FLOOD_SECONDS

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=200)
        while time.monotonic() < end:
            target = form.replace("NUMBER", str(next(numbers)))
            connection.request("GET", target, headers={"X-Forwarded-For": _GREEDY})
            response = connection.getresponse()
            response.read()
            counts[response.status] += 1
        connection.close()

    senders = [Thread(target=send) for _ in range(_CALLERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    statuses.put(counts)


def _request_cached(port: int, ids: list[str], seconds: float) -> list[float]:
    """Request ten lists again and again, each on a new connection; return the seconds of each request."""
    spent, end = [], time.monotonic() + seconds
    for number in count():
        start = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, 200, source_address=("127.0.0.2", 0))
        connection.request("GET", f"/v1/related?id={ids[number % 10]}", headers={"X-Forwarded-For": _OTHER})
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.status == 200
        spent.append(time.perf_counter() - start)
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return spent


def _texts(models: Path, folder: Path) -> Table:
    """Return the latency of lists during a flood of texts, with the default limit and the highest one."""
    table = Table("texts", "flood", "lists: median ms", "p99 ms", "texts a second: 200", "503")
    model = open_current(models)
    for name, settings in _SETTINGS.items():
        paths = {"database_url": f"sqlite:///{folder}/store.db", "state_file": f"{folder}/state.json"}
        options: dict[str, object] = {"models_dir": models, "cache_bytes": 0, **paths, **settings}
        with serving(folder / "log", 1, **options) as server:
            _request_lists(server.port, model)
            table.add_row(name, "no", *_percentiles(_request_lists(server.port, model)))
            with _flooded(server.port, model) as statuses:
                start = time.perf_counter()
                spent = _request_lists(server.port, model)
                seconds = time.perf_counter() - start
                rates = (f"{statuses[status] / seconds:.0f}" for status in (200, 503))
                table.add_row(name, "yes", *_percentiles(spent), *rates)
    return table


def _request_lists(port: int, model: Model) -> list[float]:
    """Request lists sequentially; return the seconds of each request."""
    generator, spent = np.random.default_rng(0), []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for row in generator.integers(0, len(model.articles), _LISTS).tolist():
        start = time.perf_counter()
        connection.request("GET", f"/v1/related?id={quote(model.articles.ids[row], safe='')}")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        spent.append(time.perf_counter() - start)
    connection.close()
    return spent


@contextmanager
def _flooded(port: int, model: Model) -> Iterator[Counter[int]]:
    """Send texts in the background; yield the number of responses so far, by status."""
    statuses, end = Counter[int](), Event()
    articles, generator = model.articles, np.random.default_rng(1)
    texts = [
        json.dumps({"title": articles.titles[row], "body": articles.bodies[row][:_TEXT_CHARS]})
        for row in generator.integers(0, len(articles), 100).tolist()
    ]

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        number = 0
        while not end.is_set():
            connection.request(
                "POST", "/v1/similar", texts[number % len(texts)], {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            response.read()
            statuses[response.status] += 1
            number += 1
            if response.status == 503:
                time.sleep(_PAUSE_SECONDS)
        connection.close()

    senders = [Thread(target=send) for _ in range(_SENDERS)]
    for sender in senders:
        sender.start()
    time.sleep(2)
    statuses.clear()
    try:
        yield statuses
    finally:
        end.set()
        for sender in senders:
            sender.join()


def _percentiles(spent: list[float]) -> list[str]:
    return [f"{1e3 * np.median(spent):.1f}", f"{1e3 * np.percentile(spent, 99):.1f}"]
