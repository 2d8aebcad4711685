"""Mixed load by several readers, whose responses are checked and counted."""

import http.client
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from threading import Lock
from typing import Any
from urllib.parse import quote

import numpy as np

from recommender.article import Article
from tests.soak.expectations import STATES, Expectations, Fault
from tests.support.servers import Answer, Server

KILL_SECONDS = 5.0  # after the kill of a worker, connections to it may break
_MOST_FAULTS = 50  # that are described; all are counted
_EVENTS = 20  # in a batch
_EXPECTED = {200, 201, 204}

KINDS = {
    "related": 30, "page": 15, "trending": 10, "search": 10, "newest": 8, "article": 12, "batch": 5,
    "similar": 4, "events": 6,
}  # fmt: skip
_OPTIONS = {
    "related": ("limit=9", "limit=50&lang=any", "include=trending", "explain=1", "diversity=0.5"),
    "page": ("dedupe=all", "dedupe=none"),
}


class ServerEndedError(RuntimeError):
    """The server has ended, so no change can be acknowledged."""


class Tally:
    """Responses by kind and status, faults, broken connections and latencies. Threads may share it."""

    def __init__(self) -> None:
        self.statuses = defaultdict[str, Counter[int]](Counter)
        self.faults: list[Fault] = []
        self._described = set[str]()
        self.n_faults = Counter[str]()
        self.broken = Counter[str]()  # connections: `killed` with a worker, or `unexplained`
        self.seconds = defaultdict[str, list[float]](list)
        self.events = 0  # that the server accepted
        self.last_kill = float("-inf")
        self._lock = Lock()

    def count(self, kind: str, status: int, seconds: float) -> None:
        """Count a response."""
        with self._lock:
            self.statuses[kind][status] += 1
            self.seconds[kind].append(seconds)

    def add(self, faults: Sequence[Fault]) -> None:
        """Add faults; equal ones of several requests are described once."""
        with self._lock:
            for fault in faults:
                self.n_faults[fault.kind] += 1
                if fault.detail not in self._described and len(self.faults) < _MOST_FAULTS:
                    self._described.add(fault.detail)
                    self.faults.append(fault)

    def break_off(self, target: str, error: Exception) -> None:
        """Count a connection that broke."""
        with self._lock:
            if time.monotonic() < self.last_kill + KILL_SECONDS:
                self.broken["killed"] += 1
                return
            self.broken["unexplained"] += 1
        self.add([Fault("wrong", f"the connection broke: {error!r}", target)])

    def count_events(self, accepted: int) -> None:
        """Count events that the server accepted."""
        with self._lock:
            self.events += accepted


class Client:
    """Sends requests of one kind or another to a server, and counts the responses."""

    def __init__(self, server: Server, tally: Tally, key: str) -> None:
        self._server, self._tally = server, tally
        self._headers = {"Authorization": f"Bearer {key}"}

    def ask(self, kind: str, target: str, method: str = "GET", body: object = None) -> Answer | None:
        """Send a request; None if the connection breaks."""
        begun = time.perf_counter()
        headers = {} if method == "GET" else self._headers
        try:
            answer = self._server.ask(method, target, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._tally.break_off(target, error)
            return None
        self._tally.count(kind, answer.status, time.perf_counter() - begun)
        return answer

    def send(self, kind: str, method: str, target: str, body: object = None) -> Answer:
        """Send a change until it is acknowledged; all changes may be repeated. Raises ServerEndedError."""
        while (answer := self.ask(kind, target, method, body)) is None:
            if self._server.process.poll() is not None:
                raise ServerEndedError
            time.sleep(0.05)
        if answer.status not in _EXPECTED:
            self._tally.add([Fault("wrong", f"{method} has status {answer.status}: {answer.body}", target)])
        return answer


class Reader:
    """A thread's readers: requests of all kinds about popular and changed articles."""

    def __init__(
        self, client: Client, tally: Tally, expectations: Expectations, articles: Sequence[Article], seed: int
    ) -> None:
        self._client, self._tally, self._expectations = client, tally, expectations
        self._articles, self._random, self._seed = articles, random.Random(seed), seed  # noqa: S311
        shares = 1 / np.arange(1, len(articles) + 1)
        self._weights = (shares / shares.sum()).tolist()
        self._numbers = count()
        self._requests: dict[str, Callable[[], tuple[str, str, Any]]] = {
            "trending": lambda: self._get(f"/v1/trending?window={self._any('1h', '24h')}&limit=50"),
            "search": lambda: self._get(f"/v1/search?q={quote(self._word())}&limit=50"),
            "newest": lambda: self._get("/v1/articles?limit=50"),
            "batch": self._batch,
            "similar": self._similar,
        }

    def run_once(self) -> None:
        """Send a request of a random kind, and check the response."""
        kind = self._random.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "events":
            self._send_events()
        elif kind in {"related", "page", "article"}:
            self._request_of_article(kind)
        else:
            method, target, body = self._requests[kind]()
            begun = time.monotonic()
            answer = self._client.ask(kind, target, method, body)
            if answer is not None and answer.status == 200:
                self._tally.add([*self._expectations.faults(target, answer, begun, time.monotonic())])
            elif answer is not None:
                self._tally.add([Fault("wrong", f"status {answer.status}: {answer.body}", target)])

    def _request_of_article(self, kind: str) -> None:
        changed = self._expectations.changed(self._any(*STATES))
        article_id = (
            self._random.choice(changed) if changed and self._random.random() < 0.5 else self._popular().id
        )
        target = f"/v1/{kind}?id={article_id}"
        if kind != "article":
            target += f"&{self._any(*_OPTIONS[kind])}"
        begun = time.monotonic()
        answer = self._client.ask(kind, target)
        if answer is None:
            return
        ended = time.monotonic()
        self._tally.add([*self._expectations.status_fault(article_id, target, answer, begun, ended)])
        if answer.status == 200:
            self._tally.add([*self._expectations.faults(target, answer, begun, ended)])

    def _send_events(self) -> None:
        number = next(self._numbers)
        events = [
            {"article_id": self._popular().id, "type": "view", "event_id": f"{self._seed}-{number}-{place}"}
            for place in range(_EVENTS)
        ]
        answer = self._client.send("events", "POST", "/v1/events", {"events": events})
        if answer.status == 200:
            # Those of a batch whose response was lost are duplicates when they are sent again.
            self._tally.count_events(answer.body["accepted"] + answer.body["duplicates"])

    def _get(self, target: str) -> tuple[str, str, Any]:
        return "GET", target, None

    def _similar(self) -> tuple[str, str, Any]:
        article = self._popular()
        body = {"title": article.title, "body": f"{article.body} {next(self._numbers)}"}
        return "POST", "/v1/similar", body

    def _popular(self) -> Article:
        return self._random.choices(self._articles, self._weights)[0]

    def _batch(self) -> tuple[str, str, Any]:
        return self._get("/v1/related/batch?" + "&".join(f"id={self._popular().id}" for _ in range(3)))

    def _word(self) -> str:
        return self._random.choice(self._popular().title.split())

    def _any(self, *choices: Any) -> Any:
        return self._random.choice(choices)
