"""Latency of precomputed lists while more texts are sent than the service can score."""

import http.client
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
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


def measure(corpus: Path) -> None:
    """Print the latency of lists during a flood of texts, with the default limit and the highest one."""
    console = Console()
    table = Table("texts", "flood", "lists: median ms", "p99 ms", "texts a second: 200", "503")
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", str(models), "--no-gate"],
            check=True,
            capture_output=True,
        )
        model = open_current(models)
        for name, settings in _SETTINGS.items():
            paths = {"database_url": f"sqlite:///{folder}/store.db", "state_file": f"{folder}/state.json"}
            options: dict[str, object] = {"models_dir": models, "cache_bytes": 0, **paths, **settings}
            with serving(Path(folder) / "log", 1, **options) as server:
                _request_lists(server.port, model)
                table.add_row(name, "no", *_percentiles(_request_lists(server.port, model)))
                with _flooded(server.port, model) as statuses:
                    start = time.perf_counter()
                    spent = _request_lists(server.port, model)
                    seconds = time.perf_counter() - start
                    rates = (f"{statuses[status] / seconds:.0f}" for status in (200, 503))
                    table.add_row(name, "yes", *_percentiles(spent), *rates)
    console.print(table)


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
