"""Events are counted once each, whoever sends them, and what cannot be counted is told one by one."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.model import microseconds
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.store import Store, StoreDownError
from recommender.settings import Settings
from tests.support.newsroom import NOW

KEY, SETTING = new_key("cms", ["events"])
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
VIEW = {"article_id": "a", "type": "view"}


class Newsroom:
    """An app, a clock to set, and a look into its database."""

    def __init__(self, models_dir: Path, **given: Any) -> None:
        plain = {"models_dir": models_dir, "write_keys": SETTING, "verify": False, "live_poll_seconds": 0}
        settings = Settings.read(**plain | given)
        self.now: datetime = NOW
        self.app: Flask = create_app(settings, clock=lambda: self.now)
        self.client: FlaskClient = self.app.test_client()
        self.store = Store(settings.database_url)

    def post(self, body: Any, headers: dict[str, str] | None = None, **given: Any) -> TestResponse:
        return self.client.post("/v1/events", json=body, headers=headers, **given)

    def send(self, *events: Any, **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.post({"events": events}, named)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def close(self) -> None:
        self.store.close()
        self.app.extensions["recommender"].store.close()

    def counts(self) -> Counter[tuple[str, str]]:
        """Return how many events of each article and type are counted."""
        found, total = self.store.counts(), Counter[tuple[str, str]]()
        for article, kind, count in zip(
            found.article_codes, found.type_codes, found.counts.tolist(), strict=True
        ):
            total[found.article_ids[article], found.types[kind]] += count
        return total

    def minutes(self) -> set[int]:
        """Return how many minutes before the clock there are counts."""
        return set((microseconds(self.now) // 60_000_000 - self.store.counts().minutes).tolist())


@pytest.fixture
def newsroom(models_dir: Path) -> Iterator[Callable[..., Newsroom]]:
    rooms: list[Newsroom] = []

    def open_room(**given: Any) -> Newsroom:
        rooms.append(Newsroom(models_dir, **given))
        return rooms[-1]

    yield open_room
    for room in rooms:
        room.close()


def test_an_event_may_come_alone_or_in_a_batch(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()

    alone = room.post(VIEW)
    batch = room.send(VIEW, {"article_id": "b", "type": "share"}, {"article_id": 7, "type": "like"})

    assert alone.get_json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert alone.headers["Cache-Control"] == "no-store"
    assert batch == {"accepted": 3, "duplicates": 0, "rejected": []}
    assert room.counts() == {("a", "view"): 2, ("b", "share"): 1, ("7", "like"): 1}


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/json", None])
def test_a_beacon_is_taken(newsroom: Callable[..., Newsroom], content_type: str | None) -> None:
    room = newsroom()

    answer = room.client.post("/v1/events", data=json.dumps(VIEW), content_type=content_type)

    assert (answer.status_code, room.counts()) == (200, {("a", "view"): 1})


def test_a_retry_is_harmless(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()
    event = VIEW | {"event_id": "4711"}

    answers = [room.send(event), room.send(event), room.send(event, event, **WITH_KEY)]

    assert [answer["duplicates"] for answer in answers] == [0, 1, 1]  # the ids of a key are its own
    assert room.counts() == {("a", "view"): 2}


def test_a_visitor_counts_once_for_an_article_and_type_in_the_window(
    newsroom: Callable[..., Newsroom],
) -> None:
    room = newsroom(visitor_window_minutes=10)
    event = VIEW | {"visitor_id": "reader-1"}
    room.send(event, VIEW | {"visitor_id": "reader-2"}, event | {"article_id": "b"}, event | {"type": "like"})

    assert room.send(event)["duplicates"] == 1
    room.now += timedelta(minutes=10)
    assert room.send(event)["duplicates"] == 0


def test_one_address_counts_up_to_its_cap_and_is_not_told(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom(source_cap=5, trusted_proxies="127.0.0.1")
    for number in range(20):
        event = VIEW | {"visitor_id": f"fresh-{number}"}
        assert room.send(event, X_Forwarded_For="6.6.6.6, 192.0.2.1")["accepted"] == 1

    room.send(VIEW, X_Forwarded_For="192.0.2.2")
    assert room.counts() == {("a", "view"): 6}


def test_readers_behind_a_proxy_that_is_not_declared_are_not_taken_for_one(
    newsroom: Callable[..., Newsroom],
) -> None:
    room = newsroom(source_cap=5, daily_visitor_hash=True)

    for _ in range(20):
        room.send(VIEW, X_Forwarded_For="192.0.2.1")

    assert room.counts() == {("a", "view"): 20}


def test_a_cms_that_relays_with_its_key_is_under_no_cap(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom(source_cap=5)

    room.send(*[VIEW | {"visitor_id": f"reader-{number}"} for number in range(20)], **WITH_KEY)

    assert room.counts() == {("a", "view"): 20}


def test_without_a_key_ts_and_count_are_ignored(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()
    year_ago = (NOW - timedelta(days=365)).isoformat()

    answer = room.send(VIEW | {"ts": year_ago, "count": 1_000_000})

    assert answer == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert (room.counts(), room.minutes()) == ({("a", "view"): 1}, {0})


@pytest.mark.parametrize(
    "form", [lambda at: at.isoformat(), datetime.timestamp, lambda at: at.timestamp() * 1000]
)
def test_with_a_key_they_are_taken(
    newsroom: Callable[..., Newsroom], form: Callable[[datetime], Any]
) -> None:
    room = newsroom()

    room.send(VIEW | {"ts": form(NOW - timedelta(minutes=90)), "count": 300}, **WITH_KEY)

    assert (room.counts(), room.minutes()) == ({("a", "view"): 300}, {90})


def test_a_clock_that_is_ahead_is_set_right_and_told(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()
    ahead, nearly = ((NOW + timedelta(seconds=seconds)).isoformat() for seconds in (90, 0.5))

    answer = room.send(VIEW, VIEW | {"ts": ahead}, VIEW | {"ts": nearly}, **WITH_KEY)

    assert answer["clamped"] == [{"index": 1, "reason": "ts is 90 s ahead; taken as now"}]
    assert (answer["accepted"], room.minutes()) == (3, {0})


def test_what_is_older_than_counts_are_kept_is_rejected(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()
    old = VIEW | {"ts": (NOW - timedelta(days=8)).isoformat()}

    answer = room.send(VIEW, old, **WITH_KEY)

    assert answer["rejected"] == [{"index": 1, "reason": "ts is over 8 days ago"}]
    assert room.counts() == {("a", "view"): 1}
    assert room.post(old, WITH_KEY).status_code == 400


def test_where_a_reader_met_an_article_is_kept(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()
    where = {"from_id": "9", "position": 2, "list": "related", "model_version": "v1"}

    room.send(VIEW | {"type": "click"} | where)

    (folded_article,) = room.store.position_counts()
    assert (
        folded_article.from_id,
        folded_article.position,
        folded_article.list,
        folded_article.model_version,
    ) == (
        "9",
        2,
        "related",
        "v1",
    )


def test_an_article_that_is_not_known_yet_is_counted(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom()

    assert room.send({"article_id": "not published yet", "type": "view"})["accepted"] == 1


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_a_reader_who_is_not_to_be_followed_is_not_told_apart(
    newsroom: Callable[..., Newsroom], header: str
) -> None:
    room = newsroom(daily_visitor_hash=True, trusted_proxies="10.0.0.1")
    event = VIEW | {"visitor_id": "reader-1"}

    assert [room.send(event, VIEW, **{header: "1"})["duplicates"] for _ in range(2)] == [0, 0]
    assert [room.send(event, **{header: "0"})["duplicates"] for _ in range(2)] == [0, 1]


def test_readers_who_are_not_followed_share_the_cap_of_their_network(
    newsroom: Callable[..., Newsroom],
) -> None:
    room = newsroom(source_cap=5, trusted_proxies="127.0.0.1")
    for number in range(20):
        room.send(VIEW, DNT="1", X_Forwarded_For=f"192.0.2.{number}")
        room.send(VIEW | {"type": "click"}, DNT="1", X_Forwarded_For=f"2001:db8:1:{number}::1")

    assert room.counts() == {("a", "view"): 5, ("a", "click"): 5}


def test_readers_without_an_id_are_told_apart_only_where_the_setting_says_so(
    newsroom: Callable[..., Newsroom],
) -> None:
    apart = newsroom(daily_visitor_hash=True, trusted_proxies="10.0.0.1")

    assert [newsroom().send(VIEW, User_Agent="x")["duplicates"] for _ in range(2)] == [0, 0]
    assert [apart.send(VIEW, User_Agent=agent)["duplicates"] for agent in ("x", "x", "y")] == [0, 1, 0]


def test_pages_of_other_origins_may_send_where_the_setting_names_them(
    newsroom: Callable[..., Newsroom],
) -> None:
    room = newsroom(event_origins="https://www.courier.example https://m.courier.example")
    ours, theirs = ({"Origin": f"https://{host}.example"} for host in ("m.courier", "spam"))

    allowed, refused = room.post(VIEW, ours), room.post(VIEW, theirs)

    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, ours["Origin"])
    assert (refused.status_code, refused.get_json()["type"]) == (403, "origin-not-allowed")
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert room.post(VIEW, theirs | WITH_KEY).status_code == 200
    assert room.post(VIEW).status_code == 200
    assert room.counts() == {("a", "view"): 3}


def test_a_browser_that_asks_first_is_told_what_it_may(newsroom: Callable[..., Newsroom]) -> None:
    asking = {"Origin": "https://any.example", "Access-Control-Request-Method": "POST"}

    answer = newsroom().client.options("/v1/events", headers=asking)

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert newsroom().post({"x": 1}, asking).headers["Access-Control-Allow-Origin"] == "*"


def test_an_address_that_sends_too_many_is_told_to_wait(newsroom: Callable[..., Newsroom]) -> None:
    room = newsroom(address_event_limit="10/hour")
    batch = {"events": [VIEW] * 10}

    assert room.post(batch).status_code == 200
    refused = room.post(VIEW)

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) in range(300, 361)
    assert room.post(batch, WITH_KEY).status_code == 200


def test_a_database_that_is_down_is_told_and_a_retry_counts(
    newsroom: Callable[..., Newsroom], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = newsroom()

    def fail(*_: object) -> None:
        raise StoreDownError("the disk of /secret/place is full")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "count", fail)
        refused = room.post(VIEW)

    assert (refused.status_code, refused.get_json()["type"]) == (503, "store-down")
    assert int(refused.headers["Retry-After"]) > 0
    assert "secret" not in refused.text
    assert room.send(VIEW)["accepted"] == 1


def test_a_key_without_the_scope_sends_nothing(newsroom: Callable[..., Newsroom]) -> None:
    other, setting = new_key("other", ["rules"])
    room = newsroom(write_keys=f"{SETTING} {setting}")

    answer = room.post(VIEW, {"Authorization": f"Bearer {other}"})

    assert (answer.status_code, answer.get_json()["type"]) == (403, "key-not-allowed")
