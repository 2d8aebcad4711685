"""The figures of the service in one table, with a Flask no-op and a bare function on the same server.

Every figure is the median of several rounds. A round measures all of them in turn, so that a busy moment of
the machine does not favour one of them.
"""

import http.client
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from recommender.artifact import open_current
from recommender.model import Model
from tests.benchmarks.processes import RECOMMENDER
from tests.benchmarks.serving import mix
from tests.benchmarks.serving.servers import NO_LIMITS, Measured, plain, service
from tests.benchmarks.serving.throughput import CONNECTIONS, Load, has_wrk, throughput

_KEY = "benchmark"
_WRITER = {"RECOMMENDER_WRITE_KEYS": f"benchmark:{sha256(_KEY.encode()).hexdigest()}:articles+events"}
_REQUESTS, _TEXTS, _PUTS = 300, 60, 40  # over one connection
_READERS, _RATE, _MIX_SECONDS = 5000, 100.0, 20.0
_CACHED, _ADDRESSES = 2000, 1000
_NO_OP = "Flask no-op"
_OTHER_ROUTES = (
    "/", "/docs", "/openapi.json", "/metrics", "/demo/", "/widget.js", "/v1/topics", "/v1/articles",
    "/v1/trending",
)  # fmt: skip

Figures = dict[str, float]


@dataclass(frozen=True)
class Options:
    """What the benchmark `serving` is run with."""

    json: Path
    plot: Path
    rounds: int = 3
    models: Path | None = None  # None: train on the corpus


def measure(corpus: Path, options: Options) -> None:
    """Print the figures of the service, and write them and the plot of latencies."""
    with tempfile.TemporaryDirectory() as folder:
        models = options.models or Path(folder, "models")
        if options.models is None:
            command = [RECOMMENDER, "train", str(corpus), "--models-dir", str(models), "--no-gate"]
            subprocess.run(command, check=True, capture_output=True)
        _report(open_current(models), models, Path(folder), options)


def _report(model: Model, models: Path, folder: Path, options: Options) -> None:
    console, readers = Console(width=110), _readers(model)
    rounds: dict[str, list[Figures]] = defaultdict(list)
    if not has_wrk():
        console.print("wrk is not installed (apt-get install wrk): no throughput is measured")
    for _ in range(options.rounds):
        for name, figures in _round(models, folder, readers, model):
            rounds[name].append(figures)
    medians = {
        name: {figure: float(np.median([one[figure] for one in measured])) for figure in measured[0]}
        for name, measured in rounds.items()
    }
    with _served(models, folder, _WRITER | NO_LIMITS) as server:
        wanted = list(mix.requests(readers, _RATE, _MIX_SECONDS))
        spent = mix.latencies(server.port, wanted, _KEY)
    for kind, (milliseconds, refused) in spent.items():
        medians[f"mix: {kind}"] = _of_milliseconds(milliseconds) | {"refused": float(refused)}
    console.print(f"{len(model.articles):,} articles, one worker, median of {options.rounds} rounds")
    console.print(_table(medians))
    title = f"{_RATE:.0f} requests a second, {len(model.articles):,} articles, one worker"
    for path in (options.json, options.plot):
        path.parent.mkdir(parents=True, exist_ok=True)
    mix.plot(spent, title).savefig(options.plot)
    options.json.write_text(json.dumps(medians, indent=2) + "\n")
    console.print(f"{options.json} {options.plot}")


def _round(
    models: Path, folder: Path, readers: Sequence[mix.Reader], model: Model
) -> Iterator[tuple[str, Figures]]:
    lists = [f"/v1/related?id={quote(reader.article_id, safe='')}" for reader in readers]
    pages = [target.replace("related", "page", 1) for target in lists]
    if has_wrk():
        for name, factory in ((_NO_OP, "flask_no_op"), ("bare WSGI function", "bare_function")):
            with plain(factory) as server:
                yield name, throughput(server.port, Load(["/"]))
        with _served(models, folder, NO_LIMITS) as server:
            yield "related, cached", throughput(server.port, Load(lists[:1]))
            yield "page, cached", throughput(server.port, Load(pages[:1]))
            known = {"If-None-Match": _asked(server.port, "GET", lists[0]).headers["ETag"]}
            yield "related, cached, 304", throughput(server.port, Load(lists[:1], known))
        with _served(models, folder, {"RECOMMENDER_TRUSTED_PROXIES": "127.0.0.1"}) as server:
            yield "related, cached, with limits", throughput(server.port, Load(lists[:1], {}, _ADDRESSES))
        with _served(models, folder, NO_LIMITS | {"RECOMMENDER_CACHE_BYTES": "0"}) as server:
            yield "related, first time", throughput(server.port, Load(lists))
            yield "page, first time", throughput(server.port, Load(pages))
    with plain("flask_no_op") as server:
        yield f"{_NO_OP}, one connection", _timed(server.port, cycle([("GET", "/", b"")]), _REQUESTS)
    with _served(models, folder, _WRITER | NO_LIMITS) as server:
        yield "start, exec to first response", {"seconds": server.start_seconds}
        for name, (requests, times) in _calls(readers, model).items():
            yield f"{name}, one connection", _timed(server.port, requests, times)
    with _served(models, folder, NO_LIMITS) as server:
        for target in [*lists[: _CACHED // 2], *pages[: _CACHED // 2], *_OTHER_ROUTES]:
            _asked(server.port, "GET", target)
        for method, target, body in (next(requests) for requests, _ in _calls(readers, model).values()):
            _asked(server.port, method, target, body)
        (worker,) = psutil.Process(server.process.pid).children()
        yield "private memory of the worker", {"MiB": _private_mib(worker.pid)}


def _calls(
    readers: Sequence[mix.Reader], model: Model
) -> Mapping[str, tuple[Iterator[tuple[str, str, bytes]], int]]:
    """Return requests by name, and how many to send. None of them is cached."""
    lists = [f"/v1/related?id={quote(reader.article_id, safe='')}" for reader in readers]
    words = (" ".join(reader.title.split()[:3]) for reader in readers)
    searches = [f"/v1/search?q={quote(query)}" for query in words if query.strip()]
    category = quote(model.articles.category.names[0]) if len(model.articles.category.names) else ""
    articles = [json.dumps({"title": reader.title, "body": reader.body}).encode() for reader in readers]
    filtered = [f"{target}&limit=50&category={category}" for target in lists]
    gets = {
        "related, first time": lists,
        "related, explained": [f"{target}&explain=1" for target in lists],
        "related, category filter": filtered if category else lists,
        "page, first time": [target.replace("related", "page", 1) for target in lists],
        "search, three words": searches or lists,
    }
    calls: dict[str, tuple[Iterator[tuple[str, str, bytes]], int]] = {
        name: (cycle([("GET", target, b"") for target in targets]), min(_REQUESTS, len(targets)))
        for name, targets in gets.items()
    }
    calls["POST /v1/similar, whole articles"] = (
        cycle([("POST", "/v1/similar", one) for one in articles]),
        _TEXTS,
    )
    puts = (("PUT", f"/v1/article?id=new-{number}", one) for number, one in enumerate(cycle(articles)))
    calls["PUT, until acknowledged"] = puts, _PUTS
    return calls


def _private_mib(pid: int) -> float:
    """Return the memory that a process has written to and shares with no other, without mapped files."""
    sizes = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in sizes.splitlines() if line.startswith("Private_Dirty")) / 1024


def _readers(model: Model) -> list[mix.Reader]:
    """Return articles in random order."""
    rows = np.random.default_rng(0).permutation(len(model.articles))[:_READERS].tolist()
    articles = [model.articles.article(row) for row in rows]
    return [mix.Reader(article.id, article.title, article.body) for article in articles]


def _served(models: Path, folder: Path, settings: Mapping[str, str]) -> AbstractContextManager[Measured]:
    """Serve with a new store."""
    return service(models, Path(tempfile.mkdtemp(dir=folder)), settings=settings)


def _asked(port: int, method: str, target: str, body: bytes = b"") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, target, body or None, _headers(method))
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def _timed(port: int, requests: Iterator[tuple[str, str, bytes]], times: int) -> Figures:
    """Time requests over one connection."""
    connection, spent = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for _ in range(times):
        method, target, body = next(requests)
        start = time.perf_counter()
        connection.request(method, target, body or None, _headers(method))
        response = connection.getresponse()
        text = response.read()
        spent.append(1e3 * (time.perf_counter() - start))
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {target}: {response.status}: {text[:300]!r}")
    connection.close()
    return _of_milliseconds(spent)


def _headers(method: str) -> dict[str, str]:
    headers = {} if method == "GET" else {"Content-Type": "application/json"}
    return headers | ({"Authorization": f"Bearer {_KEY}"} if method == "PUT" else {})


def _of_milliseconds(spent: Sequence[float]) -> Figures:
    if not spent:
        return {}
    return {"p50_ms": float(np.median(spent)), "p99_ms": float(np.percentile(spent, 99))}


def _table(medians: Mapping[str, Figures]) -> Table:
    table = Table(
        f"wrk: {CONNECTIONS} connections", "requests/s", "of the Flask no-op", "p50 ms", "p99 ms", ""
    )
    no_op = medians.get(_NO_OP, {}).get("a_second")
    for name, figures in medians.items():
        rate = figures.get("a_second")
        other = [
            f"{value:.4g} {unit}"
            for unit, value in figures.items()
            if unit in {"seconds", "MiB", "refused"} and value
        ]
        table.add_row(
            name,
            "" if rate is None else f"{rate:,.0f}",
            "" if rate is None or no_op is None else f"{rate / no_op:.2f} x",
            *(f"{figures[name]:.2f}" if name in figures else "" for name in ("p50_ms", "p99_ms")),
            *other,
        )
    return table
