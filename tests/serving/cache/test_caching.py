"""Kept answers: what is kept equals what would be computed now, and is not computed again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from recommender.serving.cache.caching import ResponseCache, cache_control
from recommender.serving.http.auth import new_key
from recommender.serving.lists.related import Related
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

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def room(models_dir: Path) -> Iterator[ServiceUnderTest]:
    room = ServiceUnderTest(models_dir)
    yield room
    room.close()


class KeptOrders(ServiceStateMachine):
    """Whatever happens in whatever order: an answer kept is the answer of that moment."""

    @rule(each=st.sampled_from(ARTICLE_IDS), kind=st.sampled_from(["view", "share"]))
    def read(self, each: str, kind: str) -> None:
        """Let an article be read, and the minute end in which it was."""
        answer = self.client.post("/v1/events", json={"article_id": each, "type": kind})
        assert answer.status_code == 200
        self.now += timedelta(minutes=1)

    @rule(minutes=st.sampled_from([-1, 0, 1, 2, 5]))
    def pass_minutes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(missing=st.sampled_from([(), ("store",), ("state",)]))
    def go_on_without(self, missing: tuple[str, ...]) -> None:
        self.context.follower.state = replace(self.context.follower.state, degraded=missing)

    @rule(minutes=st.integers(1, 4), text=st.sampled_from(TITLES))
    def schedule(self, minutes: int, text: str) -> None:
        """Put an article that is to appear soon."""
        article = self._article(ARTICLE_IDS[0], self.now + timedelta(minutes=minutes), self.now, text)
        answer = self.client.put(f"/v1/articles/{ARTICLE_IDS[0]}", data=article.to_json(), **SIGNED_JSON)
        if answer.json is not None and answer.json["applied"]:
            self.withdrawn.pop(ARTICLE_IDS[0], None)
            self.known[ARTICLE_IDS[0]] = article

    @invariant()
    def nothing_forbidden_is_shown(self) -> None:
        """Every answer, kept or not, is computed anew and compared."""
        if not hasattr(self, "client"):
            return
        for target in _targets():
            kept = self.client.get(target, headers={"X-Request-ID": "one"})
            cache, self.context.cache = self.context.cache, ResponseCache(0)
            fresh = self.client.get(target, headers={"X-Request-ID": "one"})
            self.context.cache = cache

            assert (kept.status_code, kept.data) == (fresh.status_code, fresh.data), target
            for name in ("ETag", "Cache-Control"):
                assert kept.headers.get(name) == fresh.headers.get(name), target


def _targets() -> Iterator[str]:
    for each in ARTICLE_IDS[:3]:
        yield f"/v1/articles/{each}"
        yield f"/v1/articles/{each}/trending"
        yield f"/v1/page/{each}"
        yield f"/v1/related?id={each}&limit=2"
        yield f"/v1/related?id={each}&limit=50&unknown=fallback"
        yield f"/v1/related?id={each}&include=trending"
        yield f"/v1/related?id={each}&max_age_days=0.02"
    yield f"/v1/related/batch?id={'&id='.join(ARTICLE_IDS)}"
    yield from ("/v1/search?q=storm", "/v1/search?q=flo&limit=2&lang=any&category=News")
    yield from ("/v1/articles?limit=50", "/v1/topics", "/v1/topics/all?limit=50", "/v1/trending?limit=50")


_FEW = settings(MACHINE_SETTINGS, max_examples=2, stateful_step_count=6)

TestKeptOrders = KeptOrders.TestCase
TestKeptOrders.settings = _FEW


@pytest.mark.slow
class TestMoreKeptOrders(KeptOrders.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(_FEW, max_examples=5, stateful_step_count=20)


class Counting:
    """Counts how many lists are computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lists, of_row = 0, Related.of_row

        def counted(*given: Any) -> Any:
            self.lists += 1
            return of_row(*given)

        monkeypatch.setattr(Related, "of_row", counted)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


def test_the_same_list_is_computed_once_however_it_is_asked_for(
    room: ServiceUnderTest, computed: Counting
) -> None:
    targets = (
        "/v1/related?id=9&limit=5&category=Politics&category=Environment",
        "/v1/related?category=Environment&category=Politics&id=9&limit=5",
        "/v1/related?url=https://www.courier.example/9/&limit=5&category=Environment&category=Politics",
        "/v1/articles/9/related?limit=5&category=Politics&category=Environment&diversity=0.00&mode=related",
    )

    answers = [room.client.get(target) for target in targets]

    assert len({(answer.data, answer.headers["ETag"]) for answer in answers}) == 1
    assert computed.lists == 1


def test_who_has_an_answer_is_told_so_without_any_scoring(room: ServiceUnderTest, computed: Counting) -> None:
    for target in ("/v1/related?id=9", "/v1/page/9", "/v1/related/batch?id=9&id=a"):
        etag = room.client.get(target).headers["ETag"]
        before = computed.lists

        again = room.client.get(target, headers={"If-None-Match": etag})

        assert (again.status_code, again.data, computed.lists) == (304, b"", before)


def test_every_parameter_asks_for_an_answer_of_its_own(room: ServiceUnderTest, computed: Counting) -> None:
    plain = "/v1/related?id=9"
    others = [
        *("limit=3", "category=Environment", "exclude_category=Environment", "exclude=10", "lang=any"),
        *("max_age_days=9", "published_before=2026-02-22", "published_after=2026-02-20", "mode=background"),
        *("freshness=0.3", "diversity=0.3", "min_similarity=0.5", "fallback=none", "explain=1"),
        *("include=trending", "unknown=fallback"),
    ]

    for target in (plain, *(f"{plain}&{other}" for other in others)):
        room.client.get(target)

    assert computed.lists == 1 + len(others)


def test_lists_that_no_trend_touches_outlive_the_minute(room: ServiceUnderTest, computed: Counting) -> None:
    targets = ["/v1/related?id=9&limit=2", "/v1/related?id=9&limit=2&include=trending", "/v1/page/9"]
    for minute in range(3):
        room.now = NOW + timedelta(minutes=2 + minute)
        for target in targets:
            room.client.get(target)

    assert computed.lists == 1 + 3 + 3


def test_a_list_that_trends_fill_follows_them(room: ServiceUnderTest) -> None:
    target = "/v1/related?id=10&min_similarity=1"
    before = room.client.get(target).json
    send_views(room, **{"_/abs": 50})
    room.now += timedelta(minutes=1)
    room.client.get("/v1/trending")  # as upkeep does

    after = room.client.get(target).json

    assert before is not None
    assert after is not None
    assert "trending" not in {item["source"] for item in before["items"]}
    assert "trending" in {item["source"] for item in after["items"]}


def test_answers_of_one_hour_are_not_those_of_the_next(room: ServiceUnderTest, computed: Counting) -> None:
    for now in (NOW, NOW + timedelta(seconds=10), NOW + timedelta(hours=1), NOW):
        room.now = now
        room.client.get("/v1/related?id=9&limit=2")

    assert computed.lists == 3


def test_a_worker_keeps_no_more_than_it_may(models_dir: Path, computed: Counting) -> None:
    room = ServiceUnderTest(models_dir, cache_bytes=8000)
    for limit in (1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 1):
        room.client.get(f"/v1/related?id=9&limit={limit}")
    room.close()

    assert computed.lists == 10


def test_a_worker_may_be_told_to_keep_nothing(models_dir: Path, computed: Counting) -> None:
    room = ServiceUnderTest(models_dir, cache_bytes=0)
    for _ in range(3):
        room.client.get("/v1/related?id=9")
    room.close()

    assert computed.lists == 3


def test_refusals_are_not_kept(room: ServiceUnderTest) -> None:
    for target in ("/v1/related?id=nobody", "/v1/topics/nothing", "/v1/related?id=9&category=Nothing"):
        first, second = room.client.get(target), room.client.get(target)

        assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "no-store"
        assert "ETag" not in first.headers
        ids = {json.loads(answer.data)["request_id"] for answer in (first, second)}
        assert len(ids) == 2


@pytest.mark.slow
def test_no_request_gets_what_was_withdrawn_before_it_began(models_dir: Path) -> None:
    key, word = new_key("desk", ["articles"])
    room = ServiceUnderTest(models_dir, write_keys=word)
    headers = {"Authorization": f"Bearer {key}"}
    gone: set[str] = set()  # grows only
    wrong: list[str] = []
    rounds = [0] * 6  # done by each thread
    ended = Event()

    def ask(number: int) -> None:
        client = room.app.test_client()
        while not ended.is_set():
            before = set(gone)
            for target in ("/v1/related?id=9&limit=50", "/v1/page/9", "/v1/articles?limit=50"):
                text = client.get(target).text
                wrong.extend(f"{target} shows {each}" for each in before if f'"id":"{each}"' in text)
            rounds[number] += 1

    threads = [Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for each in ("10", "11", "14", "a", "8"):
        assert room.client.delete(f"/v1/articles/{each}", headers=headers).status_code == 204
        gone.add(each)
        goal = [done + 2 for done in rounds]  # so that each thread began at least one round since
        eventually(lambda goal=goal: all(done >= least for done, least in zip(rounds, goal, strict=True)))  # type: ignore[misc]
    ended.set()
    for thread in threads:
        thread.join()
    room.close()

    assert wrong == []


@pytest.mark.parametrize(
    ("left", "told"),
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
def test_no_cache_shows_an_answer_after_the_next_change(left: float | None, told: str) -> None:
    change = None if left is None else NOON + timedelta(seconds=left)

    assert cache_control(NOON, change) == f"public, max-age=0, {told}"
