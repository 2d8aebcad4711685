"""Response cache: latency of hits in the service, and the hit rate of a shared cache on a trace."""

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
    """Requests in chronological order."""

    seconds: np.ndarray  # (n,) float64, ascending
    articles: np.ndarray  # (n,) int64, numbers
    lasting: np.ndarray  # (n,) float64, seconds for which a response may be cached with purging


def measure(corpus: Path) -> None:
    """Print the figures of a model trained on the corpus."""
    with tempfile.TemporaryDirectory() as models:
        subprocess.run(
            [RECOMMENDER, "train", str(corpus), "--models-dir", models, "--no-gate"],
            check=True,
            capture_output=True,
        )
        report(Path(models))


def report(models: Path) -> None:
    """Print the figures of the current model in a folder."""
    console, model = Console(), open_current(models)
    table = Table("trace", "requests", "articles", "cache hits, one minute each", "by age, with purging")
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
    """Return the share of a trace that a cache responses immediately, including while it revalidates."""
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
    """Draw articles of the model: the k-th newest is requested 1/k times as often as the newest."""
    generator, n = np.random.default_rng(0), len(model.articles)
    size = int(rate * seconds)
    shares = 1 / np.arange(1, n + 1)
    ranks = generator.choice(n, size, p=shares / shares.sum())
    published = np.sort(model.articles.published[model.articles.published != NO_MOMENT])[::-1]
    now = from_microseconds(int(published[0]))
    assert now is not None
    ages = [seconds_by_age(from_microseconds(int(time_us)), now) for time_us in published.tolist()]
    ages += [seconds_by_age(None, now)] * (n - len(ages))
    lasting = np.array(ages, dtype=np.float64)[ranks]
    return Trace(np.sort(generator.random(size)) * seconds, ranks, lasting)


def _views(path: Path) -> Trace:
    """Read page views; an article is published at its first view, or long ago if that is on the first day."""
    views = pd.read_parquet(path, columns=["ts", "article_id"]).sort_values("ts")
    seconds = (views["ts"] - views["ts"].iloc[0]).dt.total_seconds().to_numpy()
    articles = pd.factorize(views["article_id"])[0]
    first = np.full(articles.max() + 1, np.inf)
    np.minimum.at(first, articles, seconds)
    first[first < 86400] = -7 * 86400  # publication unknown
    ages = seconds - first[articles]
    lasting = np.select([ages < 86400, ages < 7 * 86400, ages < 30 * 86400], [900, 3600, 43200], 604_800)
    return Trace(seconds, articles, lasting.astype(np.float64))


def _times(model: Model, service: int, nginx: int) -> Table:
    ids = [model.articles.ids[row] for row in np.random.default_rng(1).choice(len(model.articles), _ASKED)]
    table = Table("median ms", "computed", "cached", "304", "nginx")
    for call in ("/v1/related", "/v1/page"):
        targets = [f"{call}?id={quote(article_id, safe='')}" for article_id in ids]
        computed, etags = _requested(service, targets)
        cached, _ = _requested(service, targets)
        not_modified, _ = _requested(service, targets, etags)
        _requested(nginx, targets)
        hits, _ = _requested(nginx, targets)
        table.add_row(
            call, *(f"{1e3 * np.median(seconds):.2f}" for seconds in (computed, cached, not_modified, hits))
        )
    return table


def _requested(port: int, targets: Iterable[str], etags: Iterable[str] = ()) -> tuple[list[float], list[str]]:
    """Request the targets sequentially on one connection; return the seconds and the ETags."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    remaining, spent, new_etags = iter(etags), [], []
    for target in targets:
        etag = next(remaining, None)
        start = time.perf_counter()
        connection.request("GET", target, headers={} if etag is None else {"If-None-Match": etag})
        response = connection.getresponse()
        response.read()
        spent.append(time.perf_counter() - start)
        new_etags.append(response.headers["ETag"])
    connection.close()
    return spent, new_etags


def _through_nginx(model: Model, port: int) -> str:
    """Replay a trace through nginx in real time; report its share of cache hits and the predicted share."""
    trace = _zipf(model, _A_SECOND, _THROUGH_NGINX / _A_SECOND)
    newest = np.argsort(-model.articles.published, kind="stable")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    hits, start = 0, time.perf_counter()
    for due, article in zip(trace.seconds.tolist(), trace.articles.tolist(), strict=True):
        time.sleep(max(0.0, due - (time.perf_counter() - start)))
        connection.request(
            "GET", f"/v1/related?id={quote(model.articles.ids[int(newest[article])], safe='')}"
        )
        response = connection.getresponse()
        response.read()
        hits += response.headers["X-Cache"] in {"HIT", "STALE", "UPDATING"}
    connection.close()
    predicted = _hits(trace, np.full(len(trace.seconds), float(SHARED_SECONDS)))
    summary = f"nginx responseed {len(trace.seconds):,} requests in {trace.seconds[-1]:.0f} s:"
    return f"{summary} {hits / len(trace.seconds):.1%} cache hits, predicted {predicted:.1%}"
