"""Latency under a mixed load: an open loop sends each request at its time, however late the others are.

A closed loop waits for a slow response before it sends the next request, and so measures too few slow ones.
Latency counts from the moment when a request was due.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure

# Of every hundred requests.
SHARES = {"page": 50, "related": 24, "trending": 6, "search": 8, "events": 10, "put": 2}
_EVENTS = 20  # in a batch
_TIMEOUT_SECONDS = 30
_IDLE_SECONDS = 4  # after which a connection is not used again; the server closes it after 10
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Request(NamedTuple):
    """A request, and when it is due."""

    due: float  # seconds
    kind: str
    method: str
    target: str
    body: bytes


class Reader(NamedTuple):
    """What is known of an article to ask for it."""

    article_id: str
    title: str
    body: str


def requests(readers: Sequence[Reader], rate: float, seconds: float) -> Iterator[Request]:
    """Yield a random mix; the k-th article is requested 1/k times as often as the first."""
    generator, count = np.random.default_rng(0), int(rate * seconds)
    shares = 1 / np.arange(1, len(readers) + 1)
    articles = generator.choice(len(readers), (count, _EVENTS), p=shares / shares.sum())
    kinds = generator.choice(list(SHARES), count, p=np.array(list(SHARES.values())) / sum(SHARES.values()))
    dues = np.sort(generator.random(count)) * seconds
    for number, (due, kind) in enumerate(zip(dues.tolist(), kinds.tolist(), strict=True)):
        asked = [readers[row] for row in articles[number].tolist()]
        yield Request(due, kind, *_request(kind, asked, number))


class Spent(NamedTuple):
    """How long the responses to one kind of request took, and how many requests were refused with 503."""

    milliseconds: list[float]  # ascending
    refused: int


def latencies(port: int, wanted: Sequence[Request], key: str) -> dict[str, Spent]:
    """Send the requests at their times; return how long the responses took, by kind."""
    return asyncio.run(_sent(port, wanted, key))


def plot(spent: dict[str, Spent], title: str) -> Figure:
    """Plot the latency of each kind of request by percentile."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for kind, (milliseconds, _) in spent.items():
        above = 1 - np.arange(len(milliseconds)) / len(milliseconds)
        axes.loglog(1 / above, milliseconds, label=f"{kind}: {len(milliseconds):,} requests")
    axes.set_xticks([1, 2, 10, 100, 1000], ["0", "50", "90", "99", "99.9"])
    axes.minorticks_off()
    axes.set_xlabel("percentile")
    axes.set_ylabel("ms from when the request was due")
    axes.set_title(title, fontsize="medium")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def _request(kind: str, asked: Sequence[Reader], number: int) -> tuple[str, str, bytes]:
    first = asked[0]
    address = quote(first.article_id, safe="")
    if kind == "events":
        events = [{"article_id": reader.article_id, "type": "view"} for reader in asked]
        return "POST", "/v1/events", _json({"events": events})
    if kind == "put":
        article = {"title": first.title, "body": first.body}
        return "PUT", f"/v1/article?id=new-{number}", _json(article)
    words = quote(" ".join(first.title.split()[:3]) or first.article_id)
    target = {
        "page": f"/v1/page?id={address}",
        "related": f"/v1/related?id={address}",
        "trending": "/v1/trending?window=24h",
        "search": f"/v1/search?q={words}",
    }[kind]
    return "GET", target, b""


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


async def _sent(port: int, wanted: Sequence[Request], key: str) -> dict[str, Spent]:
    refused = Counter[str]()
    spent: dict[str, list[float]] = defaultdict(list)
    idle: list[tuple[float, _Connection]] = []  # since when, ascending
    begun = perf_counter()

    async def send(request: Request) -> None:
        await asyncio.sleep(request.due - (perf_counter() - begun))
        is_open = bool(idle) and perf_counter() - idle[-1][0] < _IDLE_SECONDS
        connection = idle.pop()[1] if is_open else await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            is_answered, stays_open = await _answered(connection, request, key)
        if is_answered:
            spent[request.kind].append(1e3 * (perf_counter() - begun - request.due))
        else:
            refused[request.kind] += 1
        if stays_open:
            idle.append((perf_counter(), connection))
        else:
            connection[1].close()

    async with asyncio.TaskGroup() as tasks:
        for request in wanted:
            tasks.create_task(send(request))
    for _, (_, writer) in idle:
        writer.close()
    return {kind: Spent(sorted(spent[kind]), refused[kind]) for kind in SHARES}


async def _answered(connection: _Connection, request: Request, key: str) -> tuple[bool, bool]:
    """Send a request and read the response; return whether it is not 503, and the connection stays open.

    Raises RuntimeError for another error.
    """
    reader, writer = connection
    head = f"{request.method} {request.target} HTTP/1.1\r\nHost: localhost\r\n"
    if request.body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n"
    if request.kind in {"put", "events"}:
        head += f"Authorization: Bearer {key}\r\n"
    writer.write(f"{head}\r\n".encode() + request.body)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    lengths = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
    body = await reader.readexactly(lengths[0] if lengths else 0)
    status = int(lines[0].split()[1])
    if status not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.SERVICE_UNAVAILABLE}:
        raise RuntimeError(f"{request.method} {request.target}: {lines[0]}: {body[:300]!r}")
    return status != HTTPStatus.SERVICE_UNAVAILABLE, "connection: close" not in lines
