"""Many costly requests from one address do not stop the requests of other addresses."""

import http.client
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Self
from urllib.parse import quote

import pytest

from recommender.artifact import open_current
from tests.support.servers import Server, connected, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

SENDERS = 90
GREEDY, OTHER = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
COSTLY = "limit=50&diversity=0.5&explain=1&lang=any"


@pytest.fixture(scope="module")
def article_ids(published: Path) -> list[str]:
    return [quote(article_id, safe="") for article_id in open_current(published).articles.ids]


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("overload")
    settings = {
        "models_dir": published,
        "database_url": f"sqlite:///{folder / 'store.db'}",
        "state_file": folder / "state.json",
        "trusted_proxies": "127.0.0.1",
        "connections_per_address": 300,  # 127.0.0.1 is exempt
    }
    with serving(folder / "log", 1, **settings) as server:
        yield server


class Flood:
    """Sends costly requests, as many at once as there are senders, until it is stopped.

    In their form, NUMBER becomes a different number each time, so that no response is cached.
    """

    def __init__(self, server: Server, form: str, caller: dict[str, str]) -> None:
        self._server, self._form, self._caller = server, form, caller
        self._stopped, self._numbers = Event(), count()
        self._threads = [Thread(target=self._send) for _ in range(SENDERS)]
        self.statuses = Counter[int]()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        eventually(lambda: self.statuses.total() >= SENDERS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)) as connection:
            while not self._stopped.is_set():
                target = self._form.replace("NUMBER", str(next(self._numbers)))
                connection.request("GET", target, headers=self._caller)
                response = connection.getresponse()
                response.read()
                self.statuses[response.status] += 1


FORMS = {
    "batches": f"/v1/related/batch?{COSTLY}&exclude=NUMBER&id=unknown&IDS",
    "lists": f"/v1/related?{COSTLY}&exclude=NUMBER&id=FIRST",
    "fallback lists": f"/v1/related?{COSTLY}&exclude=NUMBER&id=unknown&unknown=fallback",
    "searches": f"/v1/search?limit=50&q={'+'.join('abcdefghijklm' * 4)}+NUMBER",
    "demo pages": "/demo/article?id=FIRST&NUMBER",
}


@pytest.mark.parametrize("name", FORMS)
def test_others_get_their_cached_lists_while_one_address_sends_costly_requests(
    server: Server, article_ids: list[str], name: str
) -> None:
    ids = "&".join(f"id={article_id}" for article_id in article_ids[:99])
    form = FORMS[name].replace("IDS", ids).replace("FIRST", article_ids[0])
    lists = [f"/v1/related?id={article_id}" for article_id in article_ids[:10]]
    assert {server.ask("GET", target, headers=OTHER).status for target in lists} == {200}

    with Flood(server, form, GREEDY) as flood:
        during = [server.ask("GET", target, headers=OTHER).status for target in lists * 3]

    assert during == [200] * len(during)
    assert set(flood.statuses) <= {200, 429, 503}
    assert flood.statuses[429] + flood.statuses[503] >= 1
    assert (
        server.ask("GET", f"/v1/related/batch?{ids}&exclude=after-{len(name)}", headers=OTHER).status == 200
    )


def test_others_get_new_lists_and_short_batches_too(server: Server, article_ids: list[str]) -> None:
    ids = "&".join(f"id={article_id}" for article_id in article_ids[:99])
    form = FORMS["batches"].replace("IDS", ids)

    with Flood(server, form, GREEDY):
        new = [
            server.ask("GET", f"/v1/related?id={article_id}&exclude=new", headers=OTHER).status
            for article_id in article_ids[:20]
        ]
        batch = server.ask("GET", f"/v1/related/batch?id={article_ids[0]}&id={article_ids[1]}", headers=OTHER)

    assert new == [200] * 20
    assert batch.status == 200


def test_without_a_declared_proxy_cached_lists_are_served_too(
    published: Path, tmp_path: Path, article_ids: list[str]
) -> None:
    ids = "&".join(f"id={article_id}" for article_id in article_ids[:99])
    lists = [f"/v1/related?id={article_id}" for article_id in article_ids[:10]]
    settings = {"models_dir": published, "database_url": f"sqlite:///{tmp_path / 'store.db'}"}
    with serving(tmp_path / "log", 1, **settings, state_file=tmp_path / "state.json") as server:
        assert {server.ask("GET", target).status for target in lists} == {200}

        with Flood(server, FORMS["batches"].replace("IDS", ids), {}) as flood:
            during = [server.ask("GET", target).status for target in lists * 3]

        assert during == [200] * 30
        assert set(flood.statuses) <= {200, 503}


def test_an_address_that_opens_connections_without_end_keeps_its_limit_and_others_connect(
    published: Path, tmp_path: Path
) -> None:
    settings = {"models_dir": published, "database_url": f"sqlite:///{tmp_path / 'store.db'}"}
    with (
        serving(tmp_path / "log", 1, **settings, state_file=tmp_path / "state.json") as server,
        ExitStack() as stack,
    ):
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10, ("127.0.0.3", 0)))
            for _ in range(400)
        ]

        eventually(lambda: sum(map(connected, clients)) <= 256)

        assert sum(map(connected, clients)) == 256
        assert server.ask("GET", "/readyz").status == 200


def test_connections_of_a_declared_proxy_are_kept(server: Server) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(400)
        ]
        with ThreadPoolExecutor(8) as pool:
            statuses = set(pool.map(lambda _: server.ask("GET", "/readyz").status, range(200)))

        assert statuses == {200}
        assert all(map(connected, clients))
