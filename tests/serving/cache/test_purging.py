"""A shared cache is purged of every change, in time and repeatedly, and again after a failed purge."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from recommender.serving.app import create_app
from recommender.serving.cache.caching import seconds_by_age
from recommender.serving.cache.purging import (
    NginxCacheFolder,
    PurgeEndpoint,
    PurgeError,
    Purger,
    shared_cache_at,
)
from recommender.serving.http.auth import new_key
from recommender.serving.worker.context import Context
from recommender.serving.worker.follower import WorkerState
from recommender.settings import Settings, SettingsError
from tests.support.newsroom import NOW
from tests.support.servers import serving
from tests.support.sites import listening
from tests.support.waiting import eventually

KEY, WORD = new_key("cms", ["articles"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
LIST = "/v1/related?id=9&limit=3"


class FakeSharedCache:
    """A shared cache that records the keys that it is purged of, and can be down."""

    def __init__(self) -> None:
        self.purges: list[set[str]] = []
        self.is_down = False

    def purge(self, keys: Iterable[str]) -> None:
        if self.is_down:
            raise PurgeError("it is down")
        self.purges.append(set(keys))


class PurgingService:
    """A service with a shared cache, and clocks that the test sets."""

    def __init__(self, models_dir: Path) -> None:
        settings = Settings(models_dir=models_dir, write_keys=(WORD,), live_poll_seconds=0)
        self.now, self.seconds, self.shared_cache = NOW + timedelta(minutes=5), 0.0, FakeSharedCache()
        app = create_app(settings, clock=lambda: self.now, make_purger=self._make_purger)
        self.client, self.context = app.test_client(), app.extensions["recommender"]

    def _make_purger(self, context: Context) -> Purger:
        self.purger = Purger(self.shared_cache, lambda: context.follower.state, lambda: self.seconds)
        return self.purger

    def purges_after(self, seconds: float = 0.0) -> list[set[str]]:
        """Let so many seconds pass, and return the purges that were due."""
        self.seconds += seconds
        self.shared_cache.purges.clear()
        self.purger.run_once()
        return self.shared_cache.purges

    def settle(self) -> None:
        """Send all purges that are due, and their repetitions."""
        self.purges_after()
        self.purges_after(20)

    def s_maxage(self, target: str = LIST) -> str:
        control = self.client.get(target).headers["Cache-Control"]
        return next(part for part in control.split(", ") if part.startswith("s-maxage"))


@pytest.fixture
def service(models_dir: Path) -> PurgingService:
    return PurgingService(models_dir)


def test_at_the_start_everything_is_purged_three_times(service: PurgingService) -> None:
    everything = [{"recommender"}]

    purges = [list(service.purges_after(seconds)) for seconds in (0, 0.5, 0.6, 2, 3, 10)]

    assert purges == [everything, [], everything, [], everything, []]


def test_a_change_is_purged_at_once_and_again(service: PurgingService) -> None:
    service.settle()
    assert service.client.delete("/v1/article?id=9", headers=HEADERS).status_code == 204

    first, none, second = [list(service.purges_after(seconds)) for seconds in (0, 0.5, 0.6)]

    assert len(first) == 1
    assert {"a-9", "of-9"} <= first[0]
    assert none == []
    assert second == first


def test_a_failed_purge_is_retried(service: PurgingService, caplog: pytest.LogCaptureFixture) -> None:
    service.settle()
    service.shared_cache.is_down = True
    service.client.delete("/v1/article?id=9", headers=HEADERS)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            service.purges_after(1)
    answer = service.client.get("/v1/related?id=10").json
    assert answer is not None
    assert answer["degraded"] == ["purge"]
    assert service.client.get("/readyz").json["degraded"] == ["purge"]  # type: ignore[index]
    assert service.s_maxage("/v1/related?id=10&limit=3") == "s-maxage=60"

    service.shared_cache.is_down = False
    [keys] = service.purges_after(20)

    assert {"a-9", "of-9"} <= keys
    assert service.client.get("/readyz").json["degraded"] == []  # type: ignore[index]
    assert [record.message for record in caplog.records] == [
        "cannot purge the shared cache: it is down",
        "the shared cache can be purged again",
    ]


def test_lists_live_long_only_in_a_cache_that_is_purged_of_everything(service: PurgingService) -> None:
    assert service.s_maxage() == "s-maxage=60"

    service.settle()
    assert service.s_maxage() == f"s-maxage={12 * 3600}"
    assert service.s_maxage("/v1/related?id=a&limit=3") == f"s-maxage={12 * 3600}"
    assert (
        service.s_maxage("/v1/related?id=9&limit=50&min_similarity=1") == "s-maxage=60"
    )  # trending articles may join it
    for target in ("/v1/page/9", f"{LIST}&include=trending", "/v1/trending", "/v1/article?id=9"):
        assert service.s_maxage(target) == "s-maxage=60"

    state = service.context.follower.state
    service.context.follower.state = replace(state, degraded=("state",))
    assert service.s_maxage() == "s-maxage=60"
    service.context.follower.state = state

    service.client.delete("/v1/article?id=10", headers=HEADERS)
    assert (
        service.s_maxage("/v1/related?id=8&limit=3") != "s-maxage=60"
    )  # the purger has not seen the change yet
    service.shared_cache.is_down = True
    service.purges_after()
    assert service.s_maxage("/v1/related?id=8&limit=3") == "s-maxage=60"


def test_without_a_shared_cache_to_purge_lists_live_for_a_minute(models_dir: Path) -> None:
    app = create_app(
        Settings(models_dir=models_dir, live_poll_seconds=0), clock=lambda: NOW + timedelta(minutes=5)
    )

    assert "s-maxage=60" in app.test_client().get(LIST).headers["Cache-Control"]


@pytest.mark.parametrize(
    ("days", "hours"), [(0.9, 0.25), (1, 1), (6.9, 1), (7, 12), (29, 12), (30, 168), (None, 168)]
)
def test_the_older_the_article_the_longer_its_list_lives(days: float | None, hours: float) -> None:
    published: datetime | None = None if days is None else NOW - timedelta(days=days)

    assert seconds_by_age(published, NOW) == hours * 3600


@contextmanager
def purge_endpoint(status: int = 200) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
    posts: list[tuple[Any, Any]] = []

    def answer(environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        posts.append((request.headers, request.get_json()))
        return Response(status=status)(environ, start_response)

    with listening(answer) as origin:
        yield f"{origin}/purge", posts


def test_keys_are_posted_in_a_header_and_in_json() -> None:
    with purge_endpoint() as (url, posts):
        PurgeEndpoint(url, "Fastly-Key: secret").purge({"b", "a"})
        PurgeEndpoint(url).purge(str(number) for number in range(450))

    headers, body = posts[0]
    assert (headers["Surrogate-Key"], headers["Fastly-Key"]) == ("a b", "secret")
    assert body == {"surrogate_keys": ["a", "b"]}
    assert [len(body["surrogate_keys"]) for _, body in posts[1:]] == [200, 200, 50]


def test_an_endpoint_that_refuses_or_does_not_respond_is_an_error() -> None:
    with purge_endpoint(503) as (url, _), pytest.raises(PurgeError, match="it responds with status 503"):
        PurgeEndpoint(url).purge({"a"})

    with pytest.raises(PurgeError, match="refused"):
        PurgeEndpoint(url).purge({"a"})


def cache_file(folder: Path, name: str, keys: str) -> Path:
    path = folder / name[-1] / name
    path.parent.mkdir(exist_ok=True)
    head = f"\x05\x00\x00\nKEY: /v1/related?id=9\nHTTP/1.1 200 OK\r\nSurrogate-Key: {keys}\r\n\r\n"
    path.write_text(head + '{"a":"Surrogate-Key: body"}')
    return path


def test_files_with_any_of_the_keys_are_deleted(tmp_path: Path) -> None:
    names = [digit * 32 for digit in "abcd"]
    first, second, third, fourth = [
        cache_file(tmp_path, name, keys)
        for name, keys in zip(names, ("x a-9 y", "a-99 a", "a-9", "body"), strict=True)
    ]
    being_written = cache_file(tmp_path, "e" * 32 + ".0000000012", "a-9")

    shared_cache_at(f"file://{tmp_path}").purge({"a-9", "a-10"})

    assert [path.exists() for path in (first, second, third, fourth, being_written)] == [
        False, True, False, True, True,
    ]  # fmt: skip


def test_a_missing_cache_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PurgeError, match="No such file"):
        NginxCacheFolder(tmp_path / "nothing").purge({"a"})


def test_invalid_purge_urls_are_rejected() -> None:
    for url in ("ftp://x/", "cache.example", "http://"):
        with pytest.raises(SettingsError, match=r"RECOMMENDER_PURGE_URL is invalid; allowed: a URL"):
            Settings.read(purge_url=url)
    with pytest.raises(SettingsError, match="RECOMMENDER_PURGE_HEADER is invalid"):
        Settings.read(purge_header="a: b\r\nc: d")


@pytest.mark.slow
def test_every_worker_of_a_server_purges_every_change(models_dir: Path, tmp_path: Path) -> None:
    database_url = f"sqlite:///{tmp_path / 'store.db'}"
    options: dict[str, object] = {"models_dir": models_dir, "database_url": database_url, "write_keys": WORD}
    options |= {"state_file": tmp_path / "state.json"}
    article = {"title": "Storm", "body": "The storm surge flooded the marsh.", "lang": "en"}
    with purge_endpoint() as (url, posts), serving(tmp_path / "log", 2, purge_url=url, **options) as server:

        def wait_for(key: str, times: int) -> None:
            eventually(
                lambda: sum(key in body["surrogate_keys"] for _, body in posts) >= times,
                20,
                lambda: f"{key} {times} times: {posts}",
            )

        wait_for("recommender", 2 * 2)
        server.ask("PUT", "/v1/articles/new", article, HEADERS)
        wait_for("a-new", 2 * 2)
        server.ask("DELETE", "/v1/articles/9", headers=HEADERS)
        wait_for("of-9", 2 * 2)

    assert all(headers["Surrogate-Key"].split() == body["surrogate_keys"] for headers, body in posts)


def test_a_worker_without_a_model_purges_once_at_the_start() -> None:
    shared_cache = FakeSharedCache()
    purger = Purger(shared_cache, WorkerState, lambda: 0.0)

    purger.run_once()
    purger.run_once()

    assert shared_cache.purges == [{"recommender"}]
