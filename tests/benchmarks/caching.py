"""Answers kept: what a hit costs in the service, and how many of a trace a shared cache answers by itself."""

import http.client
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from recommender.artifact import open_current
from recommender.model import NO_MOMENT, Model, from_microseconds
from recommender.serving.cache.caching import SHARED_SECONDS, seconds_by_age
from tests.benchmarks.processes import RECOMMENDER
from tests.nginx.proxy import proxied

_ASKED = 400  # articles, for the times
_REVALIDATING = 30.0
_HOURS, _PER_SECOND = 6, (1, 10, 100)
_THROUGH_NGINX, _A_SECOND = 12_000, 100


class Trace(NamedTuple):
    """Requests in the order of time."""

    seconds: np.ndarray  # (n,) float64, ascending
    articles: np.ndarray  # (n,) int64, numbers
    lasting: np.ndarray  # (n,) float64, for how many seconds the answer to each may be kept with purging


def measure(corpus: Path) -> None:
    """Print the figures of a model of the corpus."""
    with tempfile.TemporaryDirectory() as models:
        subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", models, "--no-gate"],
            check=True,
            capture_output=True,
        )
        report(Path(models))


def report(models: Path) -> None:
    """Print the figures of the current model of a folder."""
    console, model = Console(), open_current(models)
    table = Table(
        "trace", "requests", "articles", "answered by the cache, a minute each", "by age, with purging"
    )
    for name, trace in _traces(model):
        shares = [
            _hits(trace, np.full(len(trace.seconds), float(SHARED_SECONDS))),
            _hits(trace, trace.lasting),
        ]
        articles = len(np.unique(trace.articles))
        table.add_row(name, f"{len(trace.seconds):,}", f"{articles:,}", *(f"{share:.1%}" for share in shares))
    console.print(table)
    with tempfile.TemporaryDirectory() as folder, proxied(Path(folder), models_dir=models) as proxy:
        console.print(_times(model, proxy.service.port, proxy.port))
        console.print(_through_nginx(model, proxy.port))


def _hits(trace: Trace, lasting: np.ndarray) -> float:
    """Return the share of a trace that a cache answers at once, be it while it asks anew."""
    until: dict[int, float] = {}
    hits = 0
    for now, article, seconds in zip(
        trace.seconds.tolist(), trace.articles.tolist(), lasting.tolist(), strict=True
    ):
        end = until.get(article, -np.inf)
        hits += now < end + _REVALIDATING
        if now >= end:
            until[article] = now + seconds
    return hits / len(trace.seconds)


def _traces(model: Model) -> Iterator[tuple[str, Trace]]:
    for rate in _PER_SECOND:
        yield f"Zipf, {rate}/s, {_HOURS} h", _zipf(model, rate, _HOURS * 3600)
    folder = os.environ.get("RECOMMENDER_TEST_DATA")
    if folder:
        yield "views of a portal", _views(Path(folder) / "clicks.parquet")


def _zipf(model: Model, rate: float, seconds: float) -> Trace:
    """Draw articles of the model: the newest is asked for most, the k-th newest a k-th as often."""
    draw, n = np.random.default_rng(0), len(model.articles)
    size = int(rate * seconds)
    shares = 1 / np.arange(1, n + 1)
    ranks = draw.choice(n, size, p=shares / shares.sum())
    published = np.sort(model.articles.published[model.articles.published != NO_MOMENT])[::-1]
    now = from_microseconds(int(published[0]))
    assert now is not None
    ages = [seconds_by_age(from_microseconds(int(each)), now) for each in published.tolist()]
    ages += [seconds_by_age(None, now)] * (n - len(ages))
    lasting = np.array(ages, dtype=np.float64)[ranks]
    return Trace(np.sort(draw.random(size)) * seconds, ranks, lasting)


def _views(path: Path) -> Trace:
    """Read page views; an article is published when it is first seen, and those of the first day long ago."""
    views = pd.read_parquet(path, columns=["ts", "article_id"]).sort_values("ts")
    seconds = (views["ts"] - views["ts"].iloc[0]).dt.total_seconds().to_numpy()
    articles = pd.factorize(views["article_id"])[0]
    first = np.full(articles.max() + 1, np.inf)
    np.minimum.at(first, articles, seconds)
    first[first < 86400] = -7 * 86400  # nobody knows
    ages = seconds - first[articles]
    lasting = np.select([ages < 86400, ages < 7 * 86400, ages < 30 * 86400], [900, 3600, 43200], 604_800)
    return Trace(seconds, articles, lasting.astype(np.float64))


def _times(model: Model, service: int, nginx: int) -> Table:
    ids = [model.articles.ids[row] for row in np.random.default_rng(1).choice(len(model.articles), _ASKED)]
    table = Table("median ms", "computed", "kept", "304", "nginx")
    for call in ("/v1/related", "/v1/page"):
        targets = [f"{call}?id={quote(each, safe='')}" for each in ids]
        computed, etags = _asked(service, targets)
        kept, _ = _asked(service, targets)
        known, _ = _asked(service, targets, etags)
        _asked(nginx, targets)
        hits, _ = _asked(nginx, targets)
        table.add_row(call, *(f"{1e3 * np.median(each):.2f}" for each in (computed, kept, known, hits)))
    return table


def _asked(port: int, targets: Iterable[str], etags: Iterable[str] = ()) -> tuple[list[float], list[str]]:
    """Ask for each, one after the other on one connection; returns the seconds and the ETags."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    left, spent, found = iter(etags), [], []
    for target in targets:
        etag = next(left, None)
        began = time.perf_counter()
        connection.request("GET", target, headers={} if etag is None else {"If-None-Match": etag})
        answer = connection.getresponse()
        answer.read()
        spent.append(time.perf_counter() - began)
        found.append(answer.headers["ETag"])
    connection.close()
    return spent, found


def _through_nginx(model: Model, port: int) -> str:
    """Ask nginx a trace in real time, and say what it answered by itself, beside what the table reckons."""
    trace = _zipf(model, _A_SECOND, _THROUGH_NGINX / _A_SECOND)
    newest = np.argsort(-model.articles.published, kind="stable")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    hits, began = 0, time.perf_counter()
    for due, article in zip(trace.seconds.tolist(), trace.articles.tolist(), strict=True):
        time.sleep(max(0.0, due - (time.perf_counter() - began)))
        connection.request(
            "GET", f"/v1/related?id={quote(model.articles.ids[int(newest[article])], safe='')}"
        )
        answer = connection.getresponse()
        answer.read()
        hits += answer.headers["X-Cache"] in {"HIT", "STALE", "UPDATING"}
    connection.close()
    reckoned = _hits(trace, np.full(len(trace.seconds), float(SHARED_SECONDS)))
    told = f"of {len(trace.seconds):,} in {trace.seconds[-1]:.0f} s nginx answered"
    return f"{told} {hits / len(trace.seconds):.1%} by itself; reckoned {reckoned:.1%}"
