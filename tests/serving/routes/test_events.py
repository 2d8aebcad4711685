"""Every event is counted once, and events that cannot be counted are rejected one by one."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recommender.serving.http.auth import new_key
from recommender.serving.store import Store, StoreDownError
from tests.support.newsroom import NOW
from tests.support.service import KEY_SETTING, VIEW, WITH_KEY, ServiceUnderTest

CreateService = Callable[..., ServiceUnderTest]


@pytest.fixture
def create_service(models_dir: Path) -> Iterator[CreateService]:
    services: list[ServiceUnderTest] = []

    def create(**settings: Any) -> ServiceUnderTest:
        services.append(ServiceUnderTest(models_dir, **settings))
        return services[-1]

    yield create
    for service in services:
        service.close()


def test_a_body_is_an_event_or_a_batch(create_service: CreateService) -> None:
    service = create_service()

    single = service.post(VIEW)
    batch = service.send(VIEW, {"article_id": "b", "type": "share"}, {"article_id": 7, "type": "like"})

    assert single.get_json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert single.headers["Cache-Control"] == "no-store"
    assert batch == {"accepted": 3, "duplicates": 0, "rejected": []}
    assert service.counts() == {("a", "view"): 2, ("b", "share"): 1, ("7", "like"): 1}


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/json", None])
def test_a_beacon_is_accepted(create_service: CreateService, content_type: str | None) -> None:
    service = create_service()

    response = service.client.post("/v1/events", data=json.dumps(VIEW), content_type=content_type)

    assert (response.status_code, service.counts()) == (200, {("a", "view"): 1})


def test_a_repeated_event_id_is_a_duplicate(create_service: CreateService) -> None:
    service = create_service()
    event = VIEW | {"event_id": "4711"}

    responses = [service.send(event), service.send(event), service.send(event, event, **WITH_KEY)]

    assert [response["duplicates"] for response in responses] == [0, 1, 1]  # event ids of a key are separate
    assert service.counts() == {("a", "view"): 2}


def test_a_visitor_counts_once_per_article_and_type_in_the_window(
    create_service: CreateService,
) -> None:
    service = create_service(visitor_window_minutes=10)
    event = VIEW | {"visitor_id": "reader-1"}
    service.send(
        event, VIEW | {"visitor_id": "reader-2"}, event | {"article_id": "b"}, event | {"type": "like"}
    )

    assert service.send(event)["duplicates"] == 1
    service.now += timedelta(minutes=10)
    assert service.send(event)["duplicates"] == 0


def test_an_address_counts_up_to_its_cap_and_gets_no_error(create_service: CreateService) -> None:
    service = create_service(source_cap=5, trusted_proxies="127.0.0.1")
    for number in range(20):
        event = VIEW | {"visitor_id": f"fresh-{number}"}
        assert service.send(event, X_Forwarded_For="6.6.6.6, 192.0.2.1")["accepted"] == 1

    service.send(VIEW, X_Forwarded_For="192.0.2.2")
    assert service.counts() == {("a", "view"): 6}


def test_readers_behind_an_undeclared_proxy_are_not_counted_as_a_single_reader(
    create_service: CreateService,
) -> None:
    service = create_service(source_cap=5, daily_visitor_hash=True)

    for _ in range(20):
        service.send(VIEW, X_Forwarded_For="192.0.2.1")

    assert service.counts() == {("a", "view"): 20}


def test_events_with_a_key_have_no_cap(create_service: CreateService) -> None:
    service = create_service(source_cap=5)

    service.send(*[VIEW | {"visitor_id": f"reader-{number}"} for number in range(20)], **WITH_KEY)

    assert service.counts() == {("a", "view"): 20}


def test_without_a_key_ts_and_count_are_ignored(create_service: CreateService) -> None:
    service = create_service()
    year_ago = (NOW - timedelta(days=365)).isoformat()

    response = service.send(VIEW | {"ts": year_ago, "count": 1_000_000})

    assert response == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert (service.counts(), service.minutes()) == ({("a", "view"): 1}, {0})


@pytest.mark.parametrize(
    "format_time", [lambda at: at.isoformat(), datetime.timestamp, lambda at: at.timestamp() * 1000]
)
def test_with_a_key_ts_and_count_are_used(
    create_service: CreateService, format_time: Callable[[datetime], Any]
) -> None:
    service = create_service()

    service.send(VIEW | {"ts": format_time(NOW - timedelta(minutes=90)), "count": 300}, **WITH_KEY)

    assert (service.counts(), service.minutes()) == ({("a", "view"): 300}, {90})


def test_a_ts_in_the_future_is_clamped_and_reported(create_service: CreateService) -> None:
    service = create_service()
    future, almost_now = ((NOW + timedelta(seconds=seconds)).isoformat() for seconds in (90, 0.5))

    response = service.send(VIEW, VIEW | {"ts": future}, VIEW | {"ts": almost_now}, **WITH_KEY)

    assert response["clamped"] == [{"index": 1, "reason": "ts is 90 s in the future; counted as now"}]
    assert (response["accepted"], service.minutes()) == (3, {0})


def test_an_event_older_than_the_retention_of_counts_is_rejected(create_service: CreateService) -> None:
    service = create_service()
    old = VIEW | {"ts": (NOW - timedelta(days=8)).isoformat()}

    response = service.send(VIEW, old, **WITH_KEY)

    assert response["rejected"] == [{"index": 1, "reason": "ts is more than 8 days ago"}]
    assert service.counts() == {("a", "view"): 1}
    assert service.post(old, WITH_KEY).status_code == 400


def test_a_total_is_counted_once_for_its_event_id(create_service: CreateService) -> None:
    service = create_service()
    day = VIEW | {"event_id": "2026-11-29", "total": 100}

    responses = [service.send(event, **WITH_KEY) for event in (day, day, day | {"total": 250})]

    assert [(response["accepted"], response["duplicates"]) for response in responses] == [
        (1, 0),
        (0, 1),
        (1, 0),
    ]
    assert service.counts() == {("a", "view"): 250}


def test_a_total_is_counted_once_by_all_keys(create_service: CreateService) -> None:
    other, setting = new_key("other", ["events"])
    service = create_service(write_keys=f"{KEY_SETTING} {setting}")
    day = VIEW | {"event_id": "2026-11-29", "total": 100}

    service.send(day, **WITH_KEY)

    assert service.send(day, Authorization=f"Bearer {other}")["duplicates"] == 1


@pytest.mark.parametrize(
    "fields", [{}, {"event_id": "x", "count": 3}, {"event_id": "x", "visitor_id": "reader"}]
)
def test_a_total_that_may_mean_something_else_is_rejected(
    create_service: CreateService, fields: dict[str, Any]
) -> None:
    service = create_service()

    response = service.send(VIEW | {"total": 9} | fields, VIEW, **WITH_KEY)

    assert response["accepted"] == 1
    assert "together with an event_id and without count or visitor_id" in response["rejected"][0]["reason"]
    assert service.counts() == {("a", "view"): 1}


def test_without_a_key_a_total_is_ignored(create_service: CreateService) -> None:
    service = create_service()

    assert service.send(VIEW | {"event_id": "x", "total": 9})["accepted"] == 1
    assert service.counts() == {("a", "view"): 1}


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0.0.0",
        "facebookexternalhit/1.1",
    ],
)
def test_events_from_crawlers_are_accepted_and_not_counted(create_service: CreateService, agent: str) -> None:
    service = create_service()

    assert service.send(VIEW, User_Agent=agent) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert service.counts() == {}
    service.send(VIEW, User_Agent=agent, **WITH_KEY)
    assert service.counts() == {("a", "view"): 1}


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 [FBAN/FBIOS;FBAV/400]",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0",
        "Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0",
        "okhttp/4.12.0",
        "PaperApp/5.1 CFNetwork/1490 Darwin/23.2.0",
        "",
        "x" * 5000,
    ],
)
def test_events_of_browsers_and_apps_are_counted(create_service: CreateService, agent: str) -> None:
    service = create_service()

    service.send(VIEW, User_Agent=agent)

    assert service.counts() == {("a", "view"): 1}


def test_the_position_of_a_click_is_counted(create_service: CreateService) -> None:
    service = create_service()
    position = {"from_id": "9", "position": 2, "list": "related", "model_version": "v1"}

    service.send(VIEW | {"type": "click"} | position)

    (counted,) = service.store.position_counts()
    assert (counted.from_id, counted.position) == ("9", 2)
    assert (counted.list, counted.model_version) == ("related", "v1")


def test_events_of_an_unknown_article_are_counted(create_service: CreateService) -> None:
    service = create_service()

    assert service.send({"article_id": "not published yet", "type": "view"})["accepted"] == 1


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_a_reader_who_asks_not_to_be_tracked_is_not_distinguished(
    create_service: CreateService, header: str
) -> None:
    service = create_service(daily_visitor_hash=True, trusted_proxies="10.0.0.1")
    event = VIEW | {"visitor_id": "reader-1"}

    assert [service.send(event, VIEW, **{header: "1"})["duplicates"] for _ in range(2)] == [0, 0]
    assert [service.send(event, **{header: "0"})["duplicates"] for _ in range(2)] == [0, 1]


def test_readers_who_are_not_tracked_share_the_cap_of_their_network(
    create_service: CreateService,
) -> None:
    service = create_service(source_cap=5, trusted_proxies="127.0.0.1")
    for number in range(20):
        service.send(VIEW, DNT="1", X_Forwarded_For=f"192.0.2.{number}")
        service.send(VIEW | {"type": "click"}, DNT="1", X_Forwarded_For=f"2001:db8:1:{number}::1")

    assert service.counts() == {("a", "view"): 5, ("a", "click"): 5}


def test_readers_without_an_id_are_distinguished_only_if_configured(
    create_service: CreateService,
) -> None:
    distinguishing = create_service(daily_visitor_hash=True, trusted_proxies="10.0.0.1")

    assert [create_service().send(VIEW, User_Agent="x")["duplicates"] for _ in range(2)] == [0, 0]
    assert [distinguishing.send(VIEW, User_Agent=agent)["duplicates"] for agent in ("x", "x", "y")] == [
        0,
        1,
        0,
    ]


def test_only_pages_of_configured_origins_may_send_events(
    create_service: CreateService,
) -> None:
    service = create_service(event_origins="https://www.courier.example https://m.courier.example")
    allowed_origin, other_origin = ({"Origin": f"https://{host}.example"} for host in ("m.courier", "spam"))

    allowed, refused = service.post(VIEW, allowed_origin), service.post(VIEW, other_origin)

    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (
        200,
        allowed_origin["Origin"],
    )
    assert (refused.status_code, refused.get_json()["type"]) == (403, "origin-not-allowed")
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert service.post(VIEW, other_origin | WITH_KEY).status_code == 200
    assert service.post(VIEW).status_code == 200
    assert service.counts() == {("a", "view"): 3}


def test_a_preflight_allows_json_from_any_origin_by_default(create_service: CreateService) -> None:
    preflight = {"Origin": "https://any.example", "Access-Control-Request-Method": "POST"}

    response = create_service().client.options("/v1/events", headers=preflight)

    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert create_service().post({"x": 1}, preflight).headers["Access-Control-Allow-Origin"] == "*"


def test_events_are_limited_per_address_but_not_per_key(create_service: CreateService) -> None:
    service = create_service(address_event_limit="10/hour")
    batch = {"events": [VIEW] * 10}

    assert service.post(batch).status_code == 200
    refused = service.post(VIEW)

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) in range(300, 361)
    assert service.post(batch, WITH_KEY).status_code == 200


def test_without_a_database_the_response_is_503_and_a_retry_is_counted(
    create_service: CreateService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service()

    def fail(*_: object) -> None:
        raise StoreDownError("the disk of /secret/place is full")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "count", fail)
        refused = service.post(VIEW)

    assert (refused.status_code, refused.get_json()["type"]) == (503, "store-down")
    assert int(refused.headers["Retry-After"]) > 0
    assert "secret" not in refused.text
    assert service.send(VIEW)["accepted"] == 1


def test_a_key_without_the_scope_may_not_send_events(create_service: CreateService) -> None:
    other, setting = new_key("other", ["rules"])
    service = create_service(write_keys=f"{KEY_SETTING} {setting}")

    response = service.post(VIEW, {"Authorization": f"Bearer {other}"})

    assert (response.status_code, response.get_json()["type"]) == (403, "key-not-allowed")
