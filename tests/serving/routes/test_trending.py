"""Trending over HTTP: what is read most now, where an article stands, and what is never shown."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from recommender.serving.http.auth import new_key
from recommender.serving.store import Store, StoreDownError
from recommender.serving.trending import rankings
from tests.support.service import WITH_KEY, ServiceUnderTest, get_json, item_ids, send_views

NEWEST = ["14", "13", "11", "10", "9", "%2F", "8", "日本 🗞"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def room(request: pytest.FixtureRequest, models_dir: Path, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgresql":  # the store's own tests run on it every time
        url = request.getfixturevalue("postgresql_url")
    room = ServiceUnderTest(models_dir, database_url=url)
    yield room
    room.close()


def test_without_events_the_newest_are_shown_and_the_answer_says_so(room: ServiceUnderTest) -> None:
    answer = get_json(room, "/v1/trending")

    assert {name: answer[name] for name in ("as_of", "window", "basis", "degraded")} == {
        "as_of": "2026-03-01T12:00:00Z",
        "window": "1h",
        "basis": "recent",
        "degraded": [],
    }
    assert item_ids(answer) == NEWEST
    assert {(item["source"], item["trending_rank"], item["score"]) for item in answer["items"]} == {
        ("recent", None, None)
    }


def test_what_is_read_most_comes_first_then_the_newest(room: ServiceUnderTest) -> None:
    send_views(room, _9=30, _a=50, _12=20)

    answer = get_json(room, "/v1/trending?limit=5")

    assert answer["basis"] == "views"
    assert [(item["id"], item["source"], item["trending_rank"]) for item in answer["items"]] == [
        ("a", "trending", 1),
        ("9", "trending", 2),
        ("12", "trending", 3),
        ("14", "recent", None),
        ("13", "recent", None),
    ]


def test_a_tick_comes_every_minute_and_counts_whole_minutes(room: ServiceUnderTest) -> None:
    room.send({"article_id": "a", "type": "view"})
    assert get_json(room, "/v1/trending")["basis"] == "recent"

    room.now += timedelta(seconds=30)

    answer = get_json(room, "/v1/trending")
    assert (answer["as_of"], answer["basis"], item_ids(answer)[0]) == ("2026-03-01T12:01:00Z", "views", "a")


def test_a_share_weighs_more_than_a_view(room: ServiceUnderTest) -> None:
    room.send({"article_id": "a", "type": "view"}, {"article_id": "9", "type": "share"})
    room.now += timedelta(minutes=1)

    assert item_ids(get_json(room, "/v1/trending?limit=2")) == ["9", "a"]


def test_the_weights_of_events_and_the_half_lives_can_be_set(models_dir: Path) -> None:
    room = ServiceUnderTest(models_dir, event_weights="share=1 view=3", trending_half_lives="1h=600")
    send_views(room, 120, _8=20)
    room.send(*[{"article_id": "9", "type": "share"}] * 5, {"article_id": "a", "type": "view"}, **WITH_KEY)
    room.send({"article_id": "a", "type": "view", "count": 2}, **WITH_KEY)
    room.now += timedelta(minutes=1)

    assert item_ids(get_json(room, "/v1/trending?limit=3")) == ["8", "a", "9"]


def test_a_longer_window_remembers_more(room: ServiceUnderTest) -> None:
    send_views(room, 60 * 20, _9=400)
    send_views(room, 2, _a=30)

    assert item_ids(get_json(room, "/v1/trending?limit=2")) == ["a", "9"]
    assert item_ids(get_json(room, "/v1/trending?limit=2&window=7d")) == ["9", "a"]


def test_the_list_can_be_of_a_section_and_of_late(room: ServiceUnderTest) -> None:
    send_views(room, _9=30, _a=50, _8=10)

    politics = get_json(room, "/v1/trending?category=politics&limit=2")
    assert [(item["id"], item["trending_rank"]) for item in politics["items"]] == [("8", 3), ("10", None)]
    assert item_ids(get_json(room, "/v1/trending?published_after=2026-02-10&limit=2")) == ["9", "8"]
    both = get_json(room, "/v1/trending?category=politics&category=environment&limit=2")
    assert item_ids(both) == ["9", "8"]


def test_a_section_without_events_shows_its_newest_and_says_so(room: ServiceUnderTest) -> None:
    send_views(room, _9=30)

    answer = get_json(room, "/v1/trending?category=Politics&limit=2")

    assert (answer["basis"], item_ids(answer)) == ("recent", ["10", "%2F"])


def test_where_an_article_stands_is_told(room: ServiceUnderTest) -> None:
    send_views(room, 70, _9=30, _a=50, _13=5)
    send_views(room, 2, _9=80, _11=20, _13=5)

    article_rank = get_json(room, "/v1/trending/rank?id=9")

    assert article_rank.pop("score") > 0
    assert article_rank == {
        "article_id": "9",
        "as_of": "2026-03-01T12:00:00Z",
        "window": "1h",
        "rank": 1,
        "of": 4,
        "category_rank": 1,
        "category_of": 3,
        "change": 1,
        "new": False,
    }
    newcomer = get_json(room, "/v1/articles/11/trending")
    assert (newcomer["rank"], newcomer["change"], newcomer["new"]) == (2, None, True)
    assert get_json(room, "/v1/trending/rank?url=https://courier.example/9")["article_id"] == "9"


def test_an_article_without_events_has_no_rank(room: ServiceUnderTest) -> None:
    send_views(room, _9=30, _13=5)

    article_rank = get_json(room, "/v1/trending/rank?id=14&window=24h")

    assert (
        article_rank["rank"],
        article_rank["of"],
        article_rank["category_rank"],
        article_rank["category_of"],
    ) == (
        None,
        2,
        None,
        2,
    )
    assert (article_rank["score"], article_rank["change"], article_rank["new"], article_rank["window"]) == (
        0,
        None,
        False,
        "24h",
    )
    assert get_json(room, "/v1/trending/rank?id=12")["category_of"] == 0


@pytest.mark.parametrize(
    ("target", "status", "kind"),
    [
        ("/v1/trending/rank?id=nobody", 404, "unknown-article"),
        ("/v1/trending/rank?id=16", 404, "unknown-article"),
        ("/v1/trending/rank", 400, "bad-parameter"),
        ("/v1/trending/rank?id=a&window=2h", 400, "bad-parameter"),
        ("/v1/trending?window=1H", 400, "bad-parameter"),
        ("/v1/trending?limit=51", 400, "bad-parameter"),
        ("/v1/trending?id=a", 400, "bad-parameter"),
        ("/v1/trending?category=Gardening", 400, "bad-parameter"),
        ("/v1/articles/nobody/trending", 404, "unknown-article"),
        ("/v1/articles/../trending", 400, "bad-parameter"),
        ("/v1/articles/a/trending?id=a", 400, "bad-parameter"),
        ("/v1/articles/https:%2F%2Fx/trending", 404, "not-found"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    room: ServiceUnderTest, target: str, status: int, kind: str
) -> None:
    answer = room.client.get(target)

    assert (answer.status_code, answer.get_json()["type"]) == (status, kind)


def test_an_id_with_a_slash_is_told_its_address(room: ServiceUnderTest) -> None:
    detail = room.client.get("/v1/articles/a%2Frelated/trending").get_json()["detail"]

    assert detail.endswith("ask /v1/article?id=a%2Frelated%2Ftrending or /v1/trending/rank?id=a%2Frelated")
    assert get_json(room, "/v1/trending/rank?id=a%2Frelated")["article_id"] == "a/related"


def test_what_is_not_public_is_neither_listed_nor_ranked(room: ServiceUnderTest) -> None:
    send_views(room, **{"_15": 500, "_16": 900, "_9": 3, "_no such article": 700})

    assert "15" not in item_ids(get_json(room, "/v1/trending?limit=50"))
    assert get_json(room, "/v1/trending/rank?id=9")["of"] == 1

    room.now += timedelta(minutes=1)  # 15 is published now
    assert item_ids(get_json(room, "/v1/trending?limit=50"))[:2] == ["15", "9"]


def test_what_is_withdrawn_or_put_shows_at_once_and_its_counts_wait(models_dir: Path) -> None:
    key, setting = new_key("cms", ["articles", "events"])
    room = ServiceUnderTest(models_dir, write_keys=setting)
    headers = {"Authorization": f"Bearer {key}"}
    room.send(*[{"article_id": each, "type": "view"} for each in ("9", "late")], **headers)
    room.now += timedelta(minutes=1)
    assert item_ids(get_json(room, "/v1/trending"))[0] == "9"

    room.client.delete("/v1/articles/9", headers=headers)
    new = {
        "id": "late",
        "title": "Late news",
        "body": "It came late.",
        "published_at": "2026-03-01T10:00:00Z",
    }
    put = room.client.put("/v1/articles/late", json=new, headers=headers)

    assert put.status_code == 201, put.text
    assert item_ids(get_json(room, "/v1/trending"))[0] == "late"
    assert "9" not in item_ids(get_json(room, "/v1/trending?limit=50"))
    assert room.client.get("/v1/trending/rank?id=9").status_code == 410
    assert get_json(room, "/v1/trending/rank?id=late")["rank"] == 1


def test_two_workers_tell_the_same(models_dir: Path) -> None:
    first, second = ServiceUnderTest(models_dir), ServiceUnderTest(models_dir)
    for minute in range(5):
        send_views(first, 5 - minute, _9=minute + 1, _a=3, _12=3)
        first.now += timedelta(minutes=1)
        get_json(first, "/v1/trending")
    second.now = first.now

    assert get_json(first, "/v1/trending") == get_json(second, "/v1/trending")


def test_a_clock_that_jumps_back_gives_what_it_gave_before(room: ServiceUnderTest) -> None:
    send_views(room, 3, _9=5)
    before = get_json(room, "/v1/trending")
    room.now += timedelta(minutes=10)
    send_views(room, 1, _a=50)
    get_json(room, "/v1/trending")

    room.now -= timedelta(minutes=10)

    assert get_json(room, "/v1/trending") == before


def test_while_the_database_is_down_the_last_ranks_are_shown(
    room: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = count()  # pass from one look at the clock to the next, so that the database is asked each time
    monkeypatch.setattr(rankings, "monotonic", lambda: 3600.0 * next(hours))
    send_views(room, _9=30)
    before = get_json(room, "/v1/trending")

    def fail(*_: object) -> None:
        raise StoreDownError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "counts", fail)
        room.now += timedelta(minutes=5)
        meanwhile = get_json(room, "/v1/trending")

    assert meanwhile["degraded"] == ["store"]
    assert (meanwhile["as_of"], meanwhile["items"][0]) == (before["as_of"], before["items"][0])
    assert get_json(room, "/v1/trending")["as_of"] == "2026-03-01T12:05:00Z"
    assert get_json(room, "/v1/trending")["degraded"] == []


def test_where_the_database_was_never_seen_the_newest_are_shown(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreDownError("gone")

    room = ServiceUnderTest(models_dir)
    monkeypatch.setattr(Store, "counts", fail)

    answer = get_json(room, "/v1/trending")

    assert (answer["basis"], answer["degraded"], item_ids(answer)) == ("recent", ["store"], NEWEST)


def test_answers_are_cacheable_and_304_to_who_has_them(room: ServiceUnderTest) -> None:
    send_views(room, _9=30)
    for target in ("/v1/trending", "/v1/trending/rank?id=9"):
        first = room.client.get(target)

        again = room.client.get(target, headers={"If-None-Match": first.headers["ETag"]})

        assert again.status_code == 304
        assert "s-maxage" in first.headers["Cache-Control"]
