"""Cached responses: a cached response equals the one that would be built now, and is not built again."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from weakref import ref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from werkzeug.test import TestResponse

from recommender.serving.asgi import SWITCH_SECONDS
from recommender.serving.cache.caching import Build, CachedResponse, ResponseCache, cache_control
from recommender.serving.cache.finished import FinishedResponses
from recommender.serving.http.auth import new_key
from recommender.serving.lists.related import Related
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from tests.support.newsroom import NOW
from tests.support.service import ServiceUnderTest, send_views
from tests.support.state_machine import (
    ARTICLE_IDS,
    MACHINE_SETTINGS,
    SIGNED_JSON,
    TITLES,
    ServiceStateMachine,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KEY, WRITE_KEYS = new_key("cms", ["articles", "rules"])
SIGNED = {"Authorization": f"Bearer {KEY}"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def service(models_dir: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(models_dir)
    yield service
    service.close()


class CacheMachine(ServiceStateMachine):
    """Whatever happens in whatever order, a cached response is the response of that moment."""

    @rule(article_id=st.sampled_from(ARTICLE_IDS), kind=st.sampled_from(["view", "share"]))
    def read(self, article_id: str, kind: str) -> None:
        """Count an event, and let its minute end."""
        answer = self.client.post("/v1/events", json={"article_id": article_id, "type": kind})
        assert answer.status_code == 200
        self.now += timedelta(minutes=1)

    @rule(minutes=st.sampled_from([-1, 0, 1, 2, 5]))
    def pass_minutes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(parts=st.sampled_from([(), ("store",), ("state",)]))
    def degrade(self, parts: tuple[str, ...]) -> None:
        self.context.follower.state = replace(self.context.follower.state, degraded=parts)

    @rule(minutes=st.integers(1, 4), text=st.sampled_from(TITLES))
    def schedule(self, minutes: int, text: str) -> None:
        """Put an article that is published soon."""
        article = self._article(ARTICLE_IDS[0], self.now + timedelta(minutes=minutes), self.now, text)
        answer = self.client.put(f"/v1/articles/{ARTICLE_IDS[0]}", data=article.to_json(), **SIGNED_JSON)
        if answer.json is not None and answer.json["applied"]:
            self.withdrawn.pop(ARTICLE_IDS[0], None)
            self.known[ARTICLE_IDS[0]] = article

    @invariant()
    def nothing_forbidden_is_shown(self) -> None:
        """Build every response again without caches, and compare; the second request needs no Flask."""
        if not hasattr(self, "client"):
            return
        for target in _targets():
            for variant in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": self._etags.get(target, "*")}):
                headers = {"X-Request-ID": "same", **variant}
                cached = [self.client.get(target, headers=headers) for _ in range(2)]
                with (
                    patch.object(ResponseCache, "get", _build),
                    patch.object(ResponseCache, "has", lambda *_: False),
                    patch.object(FinishedResponses, "__call__", _call_flask),
                ):
                    fresh = self.client.get(target, headers=headers)

                for response in cached:
                    assert (response.status_code, response.data) == (fresh.status_code, fresh.data), target
                    assert _headers(response) == _headers(fresh), target
            self._etags[target] = fresh.headers.get("ETag", "*")

    @cached_property
    def _etags(self) -> dict[str, str]:
        """The ETags of the last responses, by target."""
        return {}


def _headers(response: TestResponse) -> set[tuple[str, str]]:
    """Return the headers of a response without `Date`, which the server adds."""
    return {(name, value) for name, value in response.headers.items() if name != "Date"}


def _call_flask(
    layer: FinishedResponses, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    return layer.app(environ, start_response)


def _build(
    _: ResponseCache,
    view: ConsistentView,
    __: Any,
    build: Build,
    leaderboards: Leaderboards | None = None,
    *,
    cost: int | None = 1,  # noqa: ARG001
) -> CachedResponse:
    """Do what `ResponseCache.get` does, without a cache."""
    return CachedResponse.of(build, view, leaderboards)


def _targets() -> Iterator[str]:
    for article_id in ARTICLE_IDS[:3]:
        yield f"/v1/articles/{article_id}"
        yield f"/v1/articles/{article_id}/trending"
        yield f"/v1/page/{article_id}"
        yield f"/v1/related?id={article_id}&limit=2"
        yield f"/v1/related?id={article_id}&limit=50&unknown=fallback"
        yield f"/v1/related?id={article_id}&include=trending"
        yield f"/v1/related?id={article_id}&max_age_days=0.02"
    yield f"/v1/related/batch?id={'&id='.join(ARTICLE_IDS)}"
    yield f"/api/item/{ARTICLE_IDS[0]}/neighbors?n=2"
    yield from ("/v1/search?q=storm", "/v1/search?q=flo&limit=2&lang=any&category=News")
    yield from ("/v1/articles?limit=50", "/v1/topics", "/v1/topics/all?limit=50", "/v1/trending?limit=50")


_FEW = settings(MACHINE_SETTINGS, max_examples=2, stateful_step_count=6)

TestCache = CacheMachine.TestCase
TestCache.settings = _FEW


@pytest.mark.slow
class TestCacheLonger(CacheMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(_FEW, max_examples=5, stateful_step_count=20)


class ListCounter:
    """Counts how many lists are computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lists, of_row = 0, Related.of_row

        def counting_of_row(*arguments: Any, **options: Any) -> Any:
            self.lists += 1
            return of_row(*arguments, **options)

        monkeypatch.setattr(Related, "of_row", counting_of_row)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> ListCounter:
    return ListCounter(monkeypatch)


def test_the_same_list_is_computed_once_for_all_spellings_of_its_parameters(
    service: ServiceUnderTest, counter: ListCounter
) -> None:
    targets = (
        "/v1/related?id=9&limit=5&category=Politics&category=Environment",
        "/v1/related?category=Environment&category=Politics&id=9&limit=5",
        "/v1/related?url=https://www.courier.example/9/&limit=5&category=Environment&category=Politics",
        "/v1/articles/9/related?limit=5&category=Politics&category=Environment&diversity=0.00&mode=related",
    )

    answers = [service.client.get(target) for target in targets]

    assert len({(answer.data, answer.headers["ETag"]) for answer in answers}) == 1
    assert counter.lists == 1


def test_a_matching_etag_gets_304_without_scoring(service: ServiceUnderTest, counter: ListCounter) -> None:
    for target in ("/v1/related?id=9", "/v1/page/9", "/v1/related/batch?id=9&id=a"):
        etag = service.client.get(target).headers["ETag"]
        before = counter.lists

        again = service.client.get(target, headers={"If-None-Match": etag})

        assert (again.status_code, again.data, counter.lists) == (304, b"", before)


def test_every_parameter_is_part_of_the_cache_key(service: ServiceUnderTest, counter: ListCounter) -> None:
    plain = "/v1/related?id=9"
    others = [
        *("limit=3", "category=Environment", "exclude_category=Environment", "exclude=10", "lang=any"),
        *("max_age_days=9", "published_before=2026-02-22", "published_after=2026-02-20", "mode=background"),
        *("freshness=0.3", "diversity=0.3", "min_similarity=0.5", "fallback=none", "explain=1"),
        *("include=trending", "unknown=fallback"),
    ]

    for target in (plain, *(f"{plain}&{other}" for other in others)):
        service.client.get(target)

    assert counter.lists == 1 + len(others)


def test_a_list_without_trends_is_cached_beyond_the_minute(
    service: ServiceUnderTest, counter: ListCounter
) -> None:
    targets = ["/v1/related?id=9&limit=2", "/v1/related?id=9&limit=2&include=trending", "/v1/page/9"]
    for minute in range(3):
        service.now = NOW + timedelta(minutes=2 + minute)
        for target in targets:
            service.client.get(target)

    assert counter.lists == 1 + 3 + 3


def test_a_list_filled_up_with_trending_articles_follows_the_ranks(service: ServiceUnderTest) -> None:
    target = "/v1/related?id=10&min_similarity=1"
    before = service.client.get(target).json
    send_views(service, **{"_/abs": 50})
    service.now += timedelta(minutes=1)
    service.client.get("/v1/trending")  # as the maintenance thread does

    after = service.client.get(target).json

    assert before is not None
    assert after is not None
    assert "trending" not in {item["source"] for item in before["items"]}
    assert "trending" in {item["source"] for item in after["items"]}


def test_a_response_with_ranks_that_exist_no_more_is_not_current(service: ServiceUnderTest) -> None:
    context = service.app.extensions["recommender"]
    view = context.view()
    ranks = Leaderboards(view.related, 0, {}, context.leaderboards(view).counted, is_old=False)
    cached = CachedResponse(b"", "", "", None, ref(ranks))

    del ranks

    assert not cached.is_current(view, None)


def test_a_list_is_computed_again_each_hour(service: ServiceUnderTest, counter: ListCounter) -> None:
    for now in (NOW, NOW + timedelta(seconds=10), NOW + timedelta(hours=1), NOW):
        service.now = now
        service.client.get("/v1/related?id=9&limit=2")

    assert counter.lists == 3


def test_a_full_cache_drops_the_least_recently_used(models_dir: Path, counter: ListCounter) -> None:
    service = ServiceUnderTest(models_dir, cache_bytes=8000)
    for limit in (1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 1):
        service.client.get(f"/v1/related?id=9&limit={limit}")
    service.close()

    assert counter.lists == 10


def test_a_cache_of_zero_bytes_caches_nothing(models_dir: Path, counter: ListCounter) -> None:
    service = ServiceUnderTest(models_dir, cache_bytes=0)
    for _ in range(3):
        service.client.get("/v1/related?id=9")
    service.close()

    assert counter.lists == 3


STORM = {"title": "Storm", "body": "The storm surge flooded the marsh near the lighthouse.", "lang": "en"}
OTHER = {"title": "Zzyzx", "body": "qwertz asdfgh", "lang": "en"}


@pytest.fixture
def writable(models_dir: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(models_dir, write_keys=WRITE_KEYS)
    yield service
    service.close()


def put(service: ServiceUnderTest, article_id: str, **fields: Any) -> None:
    answer = service.client.put(f"/v1/article?id={article_id}", json=fields, headers=SIGNED)
    assert answer.status_code in {200, 201}, answer.text


def test_a_list_that_a_change_does_not_concern_is_not_computed_again(
    writable: ServiceUnderTest, counter: ListCounter
) -> None:
    target = "/v1/related?id=9&limit=2"
    before: Any = writable.client.get(target)

    put(writable, "other", **OTHER, published_at=writable.now.isoformat())
    after: Any = writable.client.get(target)

    assert counter.lists == 1
    assert after.json == before.json | {
        "eligible": before.json["eligible"] + 1,
        "as_of": "2026-03-01T12:00:30Z",
    }
    assert after.headers["ETag"] != before.headers["ETag"]


def test_scores_of_undated_articles_follow_the_median_age(
    writable: ServiceUnderTest, counter: ListCounter
) -> None:
    target = "/v1/related?id=9&limit=3"
    put(writable, "storm", **STORM)
    before: Any = writable.client.get(target).json

    for article_id in "bcdef":
        put(writable, article_id, **OTHER, published_at="2001-01-01T00:00:00Z")
    after: Any = writable.client.get(target).json

    assert counter.lists == 2
    assert [item["id"] for item in after["items"] if item["published_at"] is None] == ["storm"]
    assert [item["id"] for item in before["items"] if item not in after["items"]] == ["storm"]


def test_a_list_that_an_article_joins_or_leaves_is_computed_again(
    writable: ServiceUnderTest, counter: ListCounter
) -> None:
    target = "/v1/related?id=9&limit=3"
    writable.client.get(target)

    put(writable, "storm", **STORM)
    joined: Any = writable.client.get(target).json
    writable.client.delete("/v1/article?id=storm", headers=SIGNED)
    left: Any = writable.client.get(target).json

    assert counter.lists == 3
    assert "storm" in {item["id"] for item in joined["items"]}
    assert "storm" not in {item["id"] for item in left["items"]}


def test_a_request_from_before_a_change_drops_nothing(
    writable: ServiceUnderTest, counter: ListCounter
) -> None:
    context, target = writable.app.extensions["recommender"], "/v1/related?id=9&limit=2"
    old = context.follower.state
    writable.client.get(target)
    put(writable, "storm", **STORM)
    writable.client.get(target)
    new = context.follower.state

    context.follower.state = old  # as a request that has begun before the change sees it
    writable.client.get("/v1/related?id=10&limit=2")
    context.follower.state = new

    assert writable.client.get(target).status_code == 200
    assert counter.lists == 3


def test_problems_are_not_cached(service: ServiceUnderTest) -> None:
    for target in ("/v1/related?id=nobody", "/v1/topics/nothing", "/v1/related?id=9&category=Nothing"):
        first, second = service.client.get(target), service.client.get(target)

        assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "no-store"
        assert "ETag" not in first.headers
        ids = {json.loads(answer.data)["request_id"] for answer in (first, second)}
        assert len(ids) == 2


def all_reached(rounds: Sequence[int], goal: Sequence[int]) -> bool:
    return all(done >= least for done, least in zip(rounds, goal, strict=True))


@pytest.mark.slow
def test_no_response_contains_an_article_withdrawn_before_the_request(models_dir: Path) -> None:
    key, word = new_key("cms", ["articles"])
    service = ServiceUnderTest(models_dir, write_keys=word)
    headers = {"Authorization": f"Bearer {key}"}
    withdrawn: set[str] = set()  # only grows
    violations: list[str] = []
    rounds = [0] * 6  # completed by each thread
    finished = Event()

    def read_lists(number: int) -> None:
        client = service.app.test_client()
        while not finished.is_set():
            before = set(withdrawn)
            for target in ("/v1/related?id=9&limit=50", "/v1/page/9", "/v1/articles?limit=50"):
                text = client.get(target).text
                shown = [article_id for article_id in before if f'"id":"{article_id}"' in text]
                violations.extend(f"{target} shows {article_id}" for article_id in shown)
            rounds[number] += 1

    threads = [Thread(target=read_lists, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(SWITCH_SECONDS)  # otherwise a write waits seconds for the six threads
        for article_id in ("10", "11", "14", "a", "8"):
            assert service.client.delete(f"/v1/articles/{article_id}", headers=headers).status_code == 204
            withdrawn.add(article_id)
            goal = [done + 2 for done in rounds]  # each thread starts at least one round after the withdrawal
            eventually(partial(all_reached, rounds, goal))
    finally:
        sys.setswitchinterval(interval)
        finished.set()
        for thread in threads:
            thread.join()
        service.close()

    assert violations == []


@pytest.mark.parametrize(
    ("seconds_left", "directives"),
    [
        (None, "s-maxage=60, stale-while-revalidate=30, stale-if-error=300"),
        (400, "s-maxage=60, stale-while-revalidate=30, stale-if-error=300"),
        (200, "s-maxage=60, stale-while-revalidate=30, stale-if-error=140"),
        (75, "s-maxage=60, stale-while-revalidate=15, stale-if-error=15"),
        (60.9, "s-maxage=60"),
        (20, "s-maxage=20"),
        (0.5, "s-maxage=0"),
    ],
)
def test_no_cache_serves_a_response_after_the_next_change(
    seconds_left: float | None, directives: str
) -> None:
    change = None if seconds_left is None else NOON + timedelta(seconds=seconds_left)

    assert cache_control(NOON, change) == f"public, max-age=0, {directives}"
