"""The service over loopback: startup time, latency compared with a no-op route, private memory."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import numpy as np
import psutil
from flask import Flask
from rich.console import Console
from rich.table import Table

from tests.benchmarks.processes import RECOMMENDER

_WORKERS = 4
_REQUESTS = 2000
_START_SECONDS = 60
_NO_LIMITS = dict.fromkeys(
    (f"RECOMMENDER_{name}_LIMIT" for name in ("SCORING", "COMPUTING", "ADDRESS", "ADDRESS_READ")),
    "100000/second",
)


def measure(corpus: Path) -> None:
    """Print the figures of the service with a model trained on the corpus."""
    console = Console()
    with tempfile.TemporaryDirectory() as models:
        trained = subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", models], check=True, capture_output=True
        )
        console.print(trained.stdout.decode())
        with _served(models, workers=1) as (port, seconds):
            console.print(f"from exec to the first response, one worker: {seconds:.2f} s")
            console.print(_latencies(port))
        with _served(models, workers=_WORKERS) as (port, _):
            _warm_up(port)
            sizes = ", ".join(f"{size:.0f}" for size in _private_mib())
            console.print(f"private memory (USS), {_WORKERS} workers and their parent: {sizes} MiB")


@contextmanager
def _served(models: str, workers: int) -> Iterator[tuple[int, float]]:
    """Serve the models; yield the port and the seconds until /readyz responded with 200."""
    port = _free_port()
    start = time.perf_counter()
    process = subprocess.Popen(
        [RECOMMENDER, "serve", "--models-dir", models, "--port", str(port), "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_NO_LIMITS},
    )
    try:
        while time.perf_counter() - start < _START_SECONDS and not _is_ready(port):
            time.sleep(0.01)
        yield port, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(timeout=20)


def flask_no_op() -> Flask:
    """Return a Flask application with one route, which responds with 11 bytes."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello world")
    return app


def bare_function() -> WSGIApplication:
    """Return a WSGI function that responds with 11 bytes."""

    def respond(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "11")])
        return [b"hello world"]

    return respond


def _latencies(port: int) -> Table:
    """Time requests over one connection: no-ops on the same server, and responses not yet cached."""
    ids = _some_ids(port, _REQUESTS)
    titles = [title for _, title in ids]
    addresses = cycle(quote(article_id, safe="") for article_id, _ in ids)
    words = cycle(quote(" ".join(title.split()[:3])) for title in titles if len(title.split()) > 2)
    texts = (json.dumps({"title": title, "body": f"{title}. " * 80}) for title in cycle(titles))
    routes: dict[str, Callable[[], tuple[str, str, str | None]]] = {
        "/healthz": lambda: ("GET", "/healthz", None),
        "related, first time": lambda: ("GET", f"/v1/related?id={next(addresses)}", None),
        "related, explained": lambda: ("GET", f"/v1/related?id={next(addresses)}&explain=1", None),
        "page, first time": lambda: ("GET", f"/v1/page?id={next(addresses)}", None),
        "search, three words": lambda: ("GET", f"/v1/search?q={next(words)}", None),
        "POST /v1/similar": lambda: ("POST", "/v1/similar", next(texts)),
    }
    table = Table("one connection", "median ms", "p99 ms", "requests/s", "of the Flask no-op")
    with _plain("flask_no_op") as no_op_port, _plain("bare_function") as bare_port:
        no_op = _timed(no_op_port, lambda: ("GET", "/", None), _REQUESTS)
        bare = _timed(bare_port, lambda: ("GET", "/", None), _REQUESTS)
    rows = {"Flask no-op": no_op, "bare WSGI function": bare}
    for name, route in routes.items():
        rows[name] = _timed(port, route, len(ids) if "POST" not in name else min(200, len(ids)))
    for name, spent in rows.items():
        figures = np.median(spent) * 1e3, np.percentile(spent, 99) * 1e3, 1 / np.mean(spent)
        ratio = np.mean(no_op) / np.mean(spent)
        table.add_row(name, f"{figures[0]:.2f}", f"{figures[1]:.2f}", f"{figures[2]:,.0f}", f"{ratio:.2f} x")
    return table


@contextmanager
def _plain(factory: str) -> Iterator[int]:
    """Serve one of the applications of this module by granian with its default options; yield the port."""
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, f"{__name__}:{factory}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        start = time.perf_counter()
        while time.perf_counter() - start < _START_SECONDS and not _is_ready(port, "/"):
            time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _timed(port: int, route: Callable[[], tuple[str, str, str | None]], times: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    spent = []
    for _ in range(times):
        method, path, body = route()
        headers = {"Content-Type": "application/json"} if body else {}
        start = time.perf_counter()
        connection.request(method, path, body, headers)
        connection.getresponse().read()
        spent.append(time.perf_counter() - start)
    connection.close()
    return spent


def _warm_up(port: int) -> None:
    """Send enough requests on new connections for every worker to open its model."""
    for article_id, _ in _some_ids(port)[:40]:
        for _ in range(10):
            _timed(port, lambda: ("GET", f"/v1/related?id={quote(article_id, safe='')}", None), 1)  # noqa: B023 called at once


def _some_ids(port: int, count: int = 50) -> list[tuple[str, str]]:
    """Return the ids and titles of up to `count` articles, newest first."""
    connection, articles = http.client.HTTPConnection("127.0.0.1", port, timeout=30), list[tuple[str, str]]()
    cursor = ""
    while cursor is not None and len(articles) < count:
        connection.request("GET", f"/v1/articles?limit=50{cursor and f'&cursor={quote(cursor)}'}")
        response = json.loads(connection.getresponse().read())
        articles += [(item["id"], item["title"]) for item in response["items"]]
        cursor = response["next_cursor"]
    connection.close()
    return articles[:count]


def _is_ready(port: int, path: str = "/readyz") -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False


def _private_mib() -> list[float]:
    """Return the USS of the server process and of its workers."""
    family = psutil.Process(os.getpid()).children(recursive=True)
    return [process.memory_full_info().uss / (1 << 20) for process in family]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
