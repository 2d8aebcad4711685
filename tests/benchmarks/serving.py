"""The service over loopback: startup time, latency compared with a no-op route, private memory."""

import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks.processes import RECOMMENDER

_WORKERS = 4
_REQUESTS = 2000
_START_SECONDS = 60


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
    )
    try:
        while time.perf_counter() - start < _START_SECONDS and not _is_ready(port):
            time.sleep(0.01)
        yield port, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(timeout=20)


def _latencies(port: int) -> Table:
    """Time sequential requests to each route over one connection."""
    ids = _some_ids(port)
    generator = np.random.default_rng(0)
    body = json.dumps({"title": "Council votes on the harbour budget", "body": "A vote. " * 200})
    routes: dict[str, Callable[[], tuple[str, str, str | None]]] = {
        "/healthz": lambda: ("GET", "/healthz", None),
        "/v1/related?id=": lambda: ("GET", f"/v1/related?id={quote(generator.choice(ids), safe='')}", None),
        "/v1/article?id=": lambda: ("GET", f"/v1/article?id={quote(generator.choice(ids), safe='')}", None),
        "POST /v1/similar": lambda: ("POST", "/v1/similar", body),
    }
    table = Table("", "median ms", "p99 ms", "requests/s, one connection")
    for name, route in routes.items():
        spent = _timed(port, route, _REQUESTS if "POST" not in name else 200)
        figures = np.median(spent) * 1e3, np.percentile(spent, 99) * 1e3, 1 / np.mean(spent)
        table.add_row(name, f"{figures[0]:.2f}", f"{figures[1]:.2f}", f"{figures[2]:,.0f}")
    return table


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
    for article_id in _some_ids(port)[:40]:
        for _ in range(10):
            _timed(port, lambda: ("GET", f"/v1/related?id={quote(article_id, safe='')}", None), 1)  # noqa: B023 called at once


def _some_ids(port: int) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/v1/articles?limit=50")
    items = json.loads(connection.getresponse().read())["items"]
    connection.close()
    return [item["id"] for item in items]


def _is_ready(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/readyz")
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
