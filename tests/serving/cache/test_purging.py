"""A shared cache is told of every change, in time, again, and later where it did not answer."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from recommender.serving.app import create_app
from recommender.serving.cache.caching import lasting_seconds
from recommender.serving.cache.purging import (
    NginxCacheFolder,
    PurgeEndpoint,
    PurgeError,
    Purger,
    shared_cache_at,
)
from recommender.serving.http.auth import new_key
from recommender.serving.worker.follower import WorkerState
from recommender.settings import Settings, SettingsError
from tests.support.newsroom import NOW
from tests.support.servers import serving

KEY, WORD = new_key("cms", ["articles"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
AGAIN = "/v1/related?id=9&limit=3"


class Told:
    """A cache that notes what it is told, and may not answer."""

    def __init__(self) -> None:
        self.keys: list[set[str]] = []
        self.is_down = False

    def forget(self, keys: Iterable[str]) -> None:
        if self.is_down:
            raise PurgeError("it is down")
        self.keys.append(set(keys))


class CapCounter:
    """A service that tells a cache, under clocks to turn."""

    def __init__(self, models_dir: Path) -> None:
        settings = Settings(
            models_dir=models_dir, write_keys=(WORD,), live_poll_seconds=0, purge_url="http://127.0.0.1:9/"
        )
        self.now, self.seconds = NOW + timedelta(minutes=5), 0.0
        app = create_app(settings, clock=lambda: self.now)
        self.client, self.context, self.told = app.test_client(), app.extensions["recommender"], Told()
        self.purger = Purger(self.told, lambda: self.context.follower.state, lambda: self.seconds)
        self.context.purger = self.purger

    def look(self, after: float = 0.0) -> list[set[str]]:
        """Return what the cache was told after so many seconds."""
        self.seconds += after
        self.told.keys.clear()
        self.purger.look()
        return self.told.keys

    def settle(self) -> None:
        """Let all be told that there was to tell so far."""
        self.look()
        self.look(20)

    def fresh(self, target: str = AGAIN) -> str:
        control = self.client.get(target).headers["Cache-Control"]
        return next(part for part in control.split(", ") if part.startswith("s-maxage"))


@pytest.fixture
def room(models_dir: Path) -> CapCounter:
    return CapCounter(models_dir)


def test_all_is_forgotten_at_the_start_and_thrice(room: CapCounter) -> None:
    everything = [{"recommender"}]

    told = [list(room.look(after)) for after in (0, 0.5, 0.6, 2, 3, 10)]

    assert told == [everything, [], everything, [], everything, []]


def test_a_change_is_told_at_once_and_again(room: CapCounter) -> None:
    room.settle()
    assert room.client.delete("/v1/article?id=9", headers=HEADERS).status_code == 204

    first, none, second = [list(room.look(after)) for after in (0, 0.5, 0.6)]

    assert len(first) == 1
    assert {"a-9", "of-9"} <= first[0]
    assert none == []
    assert second == first


def test_what_cannot_be_told_is_told_later(room: CapCounter, caplog: pytest.LogCaptureFixture) -> None:
    room.settle()
    room.told.is_down = True
    room.client.delete("/v1/article?id=9", headers=HEADERS)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            room.look(1)
    answer = room.client.get("/v1/related?id=10").json
    assert answer is not None
    assert answer["degraded"] == ["purge"]
    assert room.client.get("/readyz").json["degraded"] == ["purge"]  # type: ignore[index]
    assert room.fresh("/v1/related?id=10&limit=3") == "s-maxage=60"

    room.told.is_down = False
    [told] = room.look(20)

    assert {"a-9", "of-9"} <= told
    assert room.client.get("/readyz").json["degraded"] == []  # type: ignore[index]
    assert [record.message for record in caplog.records] == [
        "the shared cache cannot be told what to forget: it is down",
        "the shared cache can be told again",
    ]


def test_lists_are_kept_by_age_only_where_caches_are_told_all(room: CapCounter) -> None:
    assert room.fresh() == "s-maxage=60"

    room.settle()
    assert room.fresh() == f"s-maxage={12 * 3600}"
    assert room.fresh("/v1/related?id=a&limit=3") == f"s-maxage={12 * 3600}"
    assert (
        room.fresh("/v1/related?id=9&limit=50&min_similarity=1") == "s-maxage=60"
    )  # what trends may join it
    for target in ("/v1/page/9", f"{AGAIN}&include=trending", "/v1/trending", "/v1/article?id=9"):
        assert room.fresh(target) == "s-maxage=60"

    state = room.context.follower.state
    room.context.follower.state = replace(state, degraded=("state",))
    assert room.fresh() == "s-maxage=60"
    room.context.follower.state = state

    room.client.delete("/v1/article?id=10", headers=HEADERS)
    assert room.fresh("/v1/related?id=8&limit=3") != "s-maxage=60"  # nobody has noted it yet
    room.told.is_down = True
    room.look()
    assert room.fresh("/v1/related?id=8&limit=3") == "s-maxage=60"


def test_without_a_cache_to_tell_lists_are_kept_a_minute(models_dir: Path) -> None:
    app = create_app(
        Settings(models_dir=models_dir, live_poll_seconds=0), clock=lambda: NOW + timedelta(minutes=5)
    )

    assert "s-maxage=60" in app.test_client().get(AGAIN).headers["Cache-Control"]


@pytest.mark.parametrize(
    ("days", "hours"), [(0.9, 0.25), (1, 1), (6.9, 1), (7, 12), (29, 12), (30, 168), (None, 168)]
)
def test_the_older_the_article_the_longer_its_list_is_kept(days: float | None, hours: float) -> None:
    published: datetime | None = None if days is None else NOW - timedelta(days=days)

    assert lasting_seconds(published, NOW) == hours * 3600


@contextmanager
def listening(status: int = 200) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
    got: list[tuple[Any, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/purge", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_keys_are_posted_in_a_header_and_in_json() -> None:
    with listening() as (url, got):
        PurgeEndpoint(url, "Fastly-Key: secret").forget({"b", "a"})
        PurgeEndpoint(url).forget(str(number) for number in range(450))

    headers, body = got[0]
    assert (headers["Surrogate-Key"], headers["Fastly-Key"]) == ("a b", "secret")
    assert body == {"surrogate_keys": ["a", "b"]}
    assert [len(told["surrogate_keys"]) for _, told in got[1:]] == [200, 200, 50]


def test_an_address_that_refuses_or_does_not_answer_is_an_error() -> None:
    with listening(503) as (url, _), pytest.raises(PurgeError, match="it answers 503"):
        PurgeEndpoint(url).forget({"a"})

    with pytest.raises(PurgeError, match="refused"):
        PurgeEndpoint(url).forget({"a"})


def kept(folder: Path, name: str, keys: str) -> Path:
    path = folder / name[-1] / name
    path.parent.mkdir(exist_ok=True)
    head = f"\x05\x00\x00\nKEY: /v1/related?id=9\nHTTP/1.1 200 OK\r\nSurrogate-Key: {keys}\r\n\r\n"
    path.write_text(head + '{"a":"Surrogate-Key: body"}')
    return path


def test_of_a_folder_the_files_with_any_of_the_keys_go(tmp_path: Path) -> None:
    names = [digit * 32 for digit in "abcd"]
    first, second, third, fourth = [
        kept(tmp_path, name, keys)
        for name, keys in zip(names, ("x a-9 y", "a-99 a", "a-9", "body"), strict=True)
    ]
    being_written = kept(tmp_path, "e" * 32 + ".0000000012", "a-9")

    shared_cache_at(f"file://{tmp_path}").forget({"a-9", "a-10"})

    assert [path.exists() for path in (first, second, third, fourth, being_written)] == [
        False, True, False, True, True,
    ]  # fmt: skip


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PurgeError, match="No such file"):
        NginxCacheFolder(tmp_path / "nothing").forget({"a"})


def test_addresses_that_nobody_can_post_to_are_refused() -> None:
    for url in ("ftp://x/", "cache.example", "http://"):
        with pytest.raises(SettingsError, match=r"RECOMMENDER_PURGE_URL is invalid; allowed: a URL"):
            Settings.read(purge_url=url)
    with pytest.raises(SettingsError, match="RECOMMENDER_PURGE_HEADER is invalid"):
        Settings.read(purge_header="a: b\r\nc: d")


@pytest.mark.slow
def test_every_worker_of_a_server_tells_of_every_change(models_dir: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    given: dict[str, object] = {"models_dir": models_dir, "database_url": url, "write_keys": WORD}
    given |= {"state_file": tmp_path / "state.json"}
    article = {"title": "Storm", "body": "The storm surge flooded the marsh.", "lang": "en"}
    with listening() as (told, got), serving(tmp_path / "log", 2, purge_url=told, **given) as server:

        def wait_for(key: str, times: int) -> None:
            end = time.monotonic() + 20
            while time.monotonic() < end:
                if sum(key in body["surrogate_keys"] for _, body in got) >= times:
                    return
                time.sleep(0.02)
            pytest.fail(f"{key} was not told {times} times: {got}")

        wait_for("recommender", 2 * 2)
        server.ask("PUT", "/v1/articles/new", article, HEADERS)
        wait_for("a-new", 2 * 2)
        server.ask("DELETE", "/v1/articles/9", headers=HEADERS)
        wait_for("of-9", 2 * 2)

    assert all(headers["Surrogate-Key"].split() == body["surrogate_keys"] for headers, body in got)


def test_a_worker_without_a_model_has_nothing_to_tell_but_the_beginning() -> None:
    told = Told()
    purger = Purger(told, WorkerState, lambda: 0.0)

    purger.look()
    purger.look()

    assert told.keys == [{"recommender"}]
