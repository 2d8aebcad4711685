"""Trending: the articles that are read most now, the rank of an article, and articles never shown."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from recommender.serving.http.auth import new_key
from recommender.serving.store import Store, StoreDownError
from recommender.serving.trending import rankings
from recommender.trending import Ranking, ranking
from tests.support.service import WITH_KEY, ServiceUnderTest, get_json, item_ids, send_views

NEWEST = ["14", "13", "11", "10", "9", "%2F", "8", "日本 🗞"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def service(request: pytest.FixtureRequest, models_dir: Path, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgresql":  # the store's own tests run on it every time
        url = request.getfixturevalue("postgresql_url")
    service = ServiceUnderTest(models_dir, database_url=url)
    yield service
    service.close()


def test_without_events_the_list_has_the_newest_articles_and_says_so(service: ServiceUnderTest) -> None:
    response = get_json(service, "/v1/trending")

    assert {name: response[name] for name in ("as_of", "window", "basis", "degraded")} == {
        "as_of": "2026-03-01T12:00:00Z",
        "window": "1h",
        "basis": "recent",
        "degraded": [],
    }
    assert item_ids(response) == NEWEST
    assert {(item["source"], item["trending_rank"], item["score"]) for item in response["items"]} == {
        ("recent", None, None)
    }


def test_the_most_read_articles_come_first_then_the_newest(service: ServiceUnderTest) -> None:
    send_views(service, _9=30, _a=50, _12=20)

    response = get_json(service, "/v1/trending?limit=5")

    assert response["basis"] == "views"
    assert [(item["id"], item["source"], item["trending_rank"]) for item in response["items"]] == [
        ("a", "trending", 1),
        ("9", "trending", 2),
        ("12", "trending", 3),
        ("14", "recent", None),
        ("13", "recent", None),
    ]


def test_ranks_change_every_minute_and_count_whole_minutes(service: ServiceUnderTest) -> None:
    service.send({"article_id": "a", "type": "view"})
    assert get_json(service, "/v1/trending")["basis"] == "recent"

    service.now += timedelta(seconds=30)

    response = get_json(service, "/v1/trending")
    assert (response["as_of"], response["basis"], item_ids(response)[0]) == (
        "2026-03-01T12:01:00Z",
        "views",
        "a",
    )


def test_a_share_weighs_more_than_a_view(service: ServiceUnderTest) -> None:
    service.send({"article_id": "a", "type": "view"}, {"article_id": "9", "type": "share"})
    service.now += timedelta(minutes=1)

    assert item_ids(get_json(service, "/v1/trending?limit=2")) == ["9", "a"]


def test_event_weights_and_half_lives_can_be_set(models_dir: Path) -> None:
    service = ServiceUnderTest(models_dir, event_weights="share=1 view=3", trending_half_lives="1h=600")
    send_views(service, 120, _8=20)
    service.send(*[{"article_id": "9", "type": "share"}] * 5, {"article_id": "a", "type": "view"}, **WITH_KEY)
    service.send({"article_id": "a", "type": "view", "count": 2}, **WITH_KEY)
    service.now += timedelta(minutes=1)

    assert item_ids(get_json(service, "/v1/trending?limit=3")) == ["8", "a", "9"]


def test_a_longer_window_remembers_more(service: ServiceUnderTest) -> None:
    send_views(service, 60 * 20, _9=400)
    send_views(service, 2, _a=30)

    assert item_ids(get_json(service, "/v1/trending?limit=2")) == ["a", "9"]
    assert item_ids(get_json(service, "/v1/trending?limit=2&window=7d")) == ["9", "a"]


def test_the_list_can_be_filtered_by_category_and_date(service: ServiceUnderTest) -> None:
    send_views(service, _9=30, _a=50, _8=10)

    politics = get_json(service, "/v1/trending?category=politics&limit=2")
    assert [(item["id"], item["trending_rank"]) for item in politics["items"]] == [("8", 3), ("10", None)]
    assert item_ids(get_json(service, "/v1/trending?published_after=2026-02-10&limit=2")) == ["9", "8"]
    both = get_json(service, "/v1/trending?category=politics&category=environment&limit=2")
    assert item_ids(both) == ["9", "8"]


def test_a_category_without_events_has_its_newest_articles_and_says_so(service: ServiceUnderTest) -> None:
    send_views(service, _9=30)

    response = get_json(service, "/v1/trending?category=Politics&limit=2")

    assert (response["basis"], item_ids(response)) == ("recent", ["10", "%2F"])


def test_simultaneous_requests_compute_the_ranks_of_a_minute_once(
    service: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_views(service, _9=30, _a=50)
    get_json(service, "/v1/trending")
    service.now += timedelta(minutes=1)
    computed, start = count(), Barrier(20)

    def counting(*arguments: Any) -> Ranking:
        next(computed)
        return ranking(*arguments)

    monkeypatch.setattr(rankings, "ranking", counting)

    def request(limit: int) -> list[str]:
        client = service.app.test_client()
        start.wait()
        return item_ids(dict(client.get(f"/v1/trending?limit={limit}").get_json()))

    with ThreadPoolExecutor(20) as pool:
        lists = list(pool.map(request, range(1, 21)))

    assert next(computed) == 1
    assert {ids[0] for ids in lists} == {"a"}


def test_an_article_has_a_rank_and_its_change(service: ServiceUnderTest) -> None:
    send_views(service, 70, _9=30, _a=50, _13=5)
    send_views(service, 2, _9=80, _11=20, _13=5)

    article_rank = get_json(service, "/v1/trending/rank?id=9")

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
    newcomer = get_json(service, "/v1/articles/11/trending")
    assert (newcomer["rank"], newcomer["change"], newcomer["new"]) == (2, None, True)
    assert get_json(service, "/v1/trending/rank?url=https://courier.example/9")["article_id"] == "9"


def test_an_article_without_events_has_no_rank(service: ServiceUnderTest) -> None:
    send_views(service, _9=30, _13=5)

    article_rank = get_json(service, "/v1/trending/rank?id=14&window=24h")

    assert (article_rank["rank"], article_rank["of"]) == (None, 2)
    assert (article_rank["category_rank"], article_rank["category_of"]) == (None, 2)
    assert (article_rank["score"], article_rank["change"], article_rank["new"]) == (0, None, False)
    assert article_rank["window"] == "24h"
    assert get_json(service, "/v1/trending/rank?id=12")["category_of"] == 0


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
def test_an_invalid_request_is_refused(
    service: ServiceUnderTest, target: str, status: int, kind: str
) -> None:
    response = service.client.get(target)

    assert (response.status_code, response.get_json()["type"]) == (status, kind)


def test_the_error_for_an_id_with_a_slash_names_both_urls(service: ServiceUnderTest) -> None:
    detail = service.client.get("/v1/articles/a%2Frelated/trending").get_json()["detail"]

    assert detail.endswith("use /v1/article?id=a%2Frelated%2Ftrending or /v1/trending/rank?id=a%2Frelated")
    assert get_json(service, "/v1/trending/rank?id=a%2Frelated")["article_id"] == "a/related"


def test_an_article_that_is_not_public_is_neither_listed_nor_ranked(service: ServiceUnderTest) -> None:
    send_views(service, **{"_15": 500, "_16": 900, "_9": 3, "_no such article": 700})

    assert "15" not in item_ids(get_json(service, "/v1/trending?limit=50"))
    assert get_json(service, "/v1/trending/rank?id=9")["of"] == 1

    service.now += timedelta(minutes=1)  # 15 is published now
    assert item_ids(get_json(service, "/v1/trending?limit=50"))[:2] == ["15", "9"]


def test_a_withdrawal_or_an_article_takes_effect_at_once_with_the_counts_before(models_dir: Path) -> None:
    key, setting = new_key("cms", ["articles", "events"])
    service = ServiceUnderTest(models_dir, write_keys=setting)
    headers = {"Authorization": f"Bearer {key}"}
    service.send(*[{"article_id": article_id, "type": "view"} for article_id in ("9", "late")], **headers)
    service.now += timedelta(minutes=1)
    assert item_ids(get_json(service, "/v1/trending"))[0] == "9"

    service.client.delete("/v1/articles/9", headers=headers)
    new = {
        "id": "late",
        "title": "Late news",
        "body": "It came late.",
        "published_at": "2026-03-01T10:00:00Z",
    }
    put = service.client.put("/v1/articles/late", json=new, headers=headers)

    assert put.status_code == 201, put.text
    assert item_ids(get_json(service, "/v1/trending"))[0] == "late"
    assert "9" not in item_ids(get_json(service, "/v1/trending?limit=50"))
    assert service.client.get("/v1/trending/rank?id=9").status_code == 410
    assert get_json(service, "/v1/trending/rank?id=late")["rank"] == 1


def test_two_workers_return_the_same_list(models_dir: Path) -> None:
    first, second = ServiceUnderTest(models_dir), ServiceUnderTest(models_dir)
    for minute in range(5):
        send_views(first, 5 - minute, _9=minute + 1, _a=3, _12=3)
        first.now += timedelta(minutes=1)
        get_json(first, "/v1/trending")
    second.now = first.now

    assert get_json(first, "/v1/trending") == get_json(second, "/v1/trending")


def test_after_the_clock_jumps_back_the_list_is_as_it_was_then(service: ServiceUnderTest) -> None:
    send_views(service, 3, _9=5)
    before = get_json(service, "/v1/trending")
    service.now += timedelta(minutes=10)
    send_views(service, 1, _a=50)
    get_json(service, "/v1/trending")

    service.now -= timedelta(minutes=10)

    assert get_json(service, "/v1/trending") == before


def test_while_the_database_is_down_the_last_ranks_are_shown(
    service: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = count()  # pass between two readings of the clock, so that the database is read every time
    monkeypatch.setattr(rankings, "monotonic", lambda: 3600.0 * next(hours))
    send_views(service, _9=30)
    before = get_json(service, "/v1/trending")

    def fail(*_: object) -> None:
        raise StoreDownError("down")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "counts", fail)
        service.now += timedelta(minutes=5)
        meanwhile = get_json(service, "/v1/trending")

    assert meanwhile["degraded"] == ["store"]
    assert (meanwhile["as_of"], meanwhile["items"][0]) == (before["as_of"], before["items"][0])
    assert get_json(service, "/v1/trending")["as_of"] == "2026-03-01T12:05:00Z"
    assert get_json(service, "/v1/trending")["degraded"] == []


def test_if_the_database_never_responded_the_newest_articles_are_shown(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreDownError("down")

    service = ServiceUnderTest(models_dir)
    monkeypatch.setattr(Store, "counts", fail)

    response = get_json(service, "/v1/trending")

    assert (response["basis"], response["degraded"], item_ids(response)) == ("recent", ["store"], NEWEST)


def test_responses_are_cacheable_and_can_be_revalidated(service: ServiceUnderTest) -> None:
    send_views(service, _9=30)
    for target in ("/v1/trending", "/v1/trending/rank?id=9"):
        first = service.client.get(target)

        again = service.client.get(target, headers={"If-None-Match": first.headers["ETag"]})

        assert again.status_code == 304
        assert "s-maxage" in first.headers["Cache-Control"]
