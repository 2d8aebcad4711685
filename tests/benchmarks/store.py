"""Counting events in the store and over HTTP, compared with `executemany` of the resulting rows."""

import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.serving.store import Event, Store
from recommender.serving.store.engine import checked_url, new_engine
from recommender.serving.store.schema import migrate
from tests.benchmarks.processes import RECOMMENDER
from tests.support.servers import Server, serving

_BATCH = 500
_ROUNDS = 10
_BATCHES = 200  # per round; a million events in total
_ARTICLES = 5_000
_CONNECTIONS = 4
_NOW = 1_800_000_000_000_000
_KEY = "benchmark"
_SAMPLE = Path(__file__).parents[2] / "recommender" / "sample" / "articles.jsonl"

Round = Callable[[int], Callable[[], None]]  # from a round's number to a function that runs the round


def measure(corpus: Path) -> None:
    """Count a million events in batches of 500, alternating between the ways to even out the load."""
    del corpus
    with tempfile.TemporaryDirectory() as folder, _ways(Path(folder)) as ways:
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(_ROUNDS):
            for name, way in ways.items():
                run = way(number)
                start = time.perf_counter()
                run()
                spent[name].append(time.perf_counter() - start)
    table = Table("1,000,000 events, SQLite, batches of 500", "events/s", "of executemany")
    plain = np.array(spent["executemany"])
    for name, seconds in spent.items():
        rate = _BATCH * _BATCHES * _ROUNDS / sum(seconds)
        table.add_row(name, f"{rate:,.0f}", f"{np.median(plain / np.array(seconds)):.2f}")
    Console().print(table)


@contextmanager
def _ways(folder: Path) -> Iterator[dict[str, Round]]:
    """Yield the ways by name; each uses a separate database."""
    with (
        _rows_alone(folder / "rows.db") as executemany,
        closing(Store(f"sqlite:///{folder}/store.db")) as store,
        _served(folder) as server,
    ):
        yield {
            "executemany": executemany,
            "Store.count": lambda number: _counting(store, number),
            f"POST /v1/events, {_CONNECTIONS} connections, 1 worker": lambda number: _posting(server, number),
        }


@contextmanager
def _rows_alone(file: Path) -> Iterator[Round]:
    """Yield a round that writes prepared rows into the store's tables, without processing events."""
    engine = new_engine(checked_url(f"sqlite:///{file}"), timeout_seconds=2)
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        migrate(connection)
    with closing(engine.raw_connection()) as pooled:
        driver: Any = pooled.driver_connection

        def prepare(number: int) -> Callable[[], None]:
            batches = [_rows(number, batch) for batch in range(_BATCHES)]
            return lambda: _put(driver, batches)

        yield prepare
    engine.dispose()


def _put(driver: Any, batches: list[dict[str, list[tuple[Any, ...]]]]) -> None:
    for batch in batches:
        driver.execute("BEGIN IMMEDIATE")
        for table, rows in batch.items():
            places = ", ".join("?" * len(rows[0]))
            driver.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)  # noqa: S608 our own
        driver.execute("COMMIT")


def _rows(number: int, batch: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each table for a batch of events."""
    generator = np.random.default_rng((number, batch))
    keys = generator.integers(-(1 << 63), (1 << 63) - 1, (2, _BATCH))
    articles, counts = np.unique(_articles(number, batch), return_counts=True)
    minute = _NOW // 60_000_000 + number
    return {
        "seen_events": [(None, key, _NOW) for key in keys[0].tolist()],
        "seen_visitors": [(None, key, _NOW) for key in keys[1].tolist()],
        "counts": [
            (minute, f"article-{article}", "view", n, batch)
            for article, n in zip(articles.tolist(), counts.tolist(), strict=True)
        ],
    }


def _articles(number: int, batch: int) -> np.ndarray:
    """Return the articles of a batch, Zipf-distributed."""
    generator = np.random.default_rng((number, batch))
    return np.minimum(generator.zipf(1.3, _BATCH), _ARTICLES)


def _counting(store: Store, number: int) -> Callable[[], None]:
    at = _NOW + number * 60_000_000
    batches = [
        [Event(article, "view", at, event_id=name, visitor=name.encode()) for article, name in names]
        for names in (_names(number, batch) for batch in range(_BATCHES))
    ]

    def run() -> None:
        for batch in batches:
            store.count(batch, at)

    return run


def _names(number: int, batch: int) -> list[tuple[str, str]]:
    articles = _articles(number, batch).tolist()
    return [(f"article-{article}", f"{number}-{batch}-{at}") for at, article in enumerate(articles)]


@contextmanager
def _served(folder: Path) -> Iterator[Server]:
    models = folder / "models"
    subprocess.run(
        [RECOMMENDER, "train", str(_SAMPLE), "--models-dir", str(models)], check=True, capture_output=True
    )
    keys = f"benchmark:{sha256(_KEY.encode()).hexdigest()}:events"
    database, state = f"sqlite:///{folder}/served.db", folder / "state.json"
    with serving(
        folder / "log", models_dir=models, database_url=database, state_file=state, write_keys=keys
    ) as server:
        yield server


def _posting(server: Server, number: int) -> Callable[[], None]:
    """Return a function that sends the bodies of a round over a few connections."""
    bodies = [_body(_names(number, batch)) for batch in range(_BATCHES)]

    def run() -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            list(threads.map(lambda first: _post(server, bodies[first::_CONNECTIONS]), range(_CONNECTIONS)))

    return run


def _body(names: list[tuple[str, str]]) -> bytes:
    events = [
        {"article_id": article, "type": "view", "event_id": name, "visitor_id": name}
        for article, name in names
    ]
    return json.dumps({"events": events}).encode()


def _post(server: Server, bodies: list[bytes]) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {_KEY}"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        for body in bodies:
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            totals = json.loads(answer.read())
            if totals.get("accepted") != _BATCH:
                raise RuntimeError(f"{answer.status}: {totals}")
