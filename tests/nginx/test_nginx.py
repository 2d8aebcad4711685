"""Responses through a shared cache, with a real nginx: `make test-nginx`."""

import http.client
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from recommender.artifact import publish
from recommender.serving.http.auth import new_key
from tests.nginx.proxy import Proxy, proxied
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.nginx,
    pytest.mark.skipif(
        not os.environ.get("RECOMMENDER_TEST_NGINX"), reason="it takes seven minutes: make test-nginx"
    ),
]

KEY, KEY_SETTING = new_key("cms", ["articles", "rules"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
STORM = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."
FLOOD = "The storm surge flooded the library hours after a long vote of the council near the sea wall."
SHIPS = "The storm failed the larger ships near the lighthouse; the harbour channel and the marsh flooded."
OLD = "/v1/related?id=old&limit=5"
PAGE = "/v1/page/old"
AWKWARD = ["a/related", "a,b", "https://x/y//z", "/abs", "%2F", "日本 🗞", "a b+c&d=e?f#g", "a%2Fb", "ü."]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(build_model(newsroom()), folder, now=NOW)
    return folder


@pytest.fixture(scope="module")
def start(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Proxy]]:
    """Return a function that starts a service behind nginx; all stop after the tests."""
    with ExitStack() as stack:

        def started(**settings: object) -> Proxy:
            folder = tmp_path_factory.mktemp("proxied")
            proxy = stack.enter_context(
                proxied(folder, workers=2, models_dir=models, write_keys=KEY_SETTING, **settings)
            )
            put(proxy, "old", datetime.now(UTC) - timedelta(days=400))
            put(proxy, "story", datetime.now(UTC) - timedelta(days=1), FLOOD)
            return proxy

        yield started


@pytest.fixture(scope="module")
def plain(start: Callable[..., Proxy]) -> Proxy:
    return start()


@pytest.fixture(scope="module")
def purged(start: Callable[..., Proxy]) -> Proxy:
    proxy = start(purge=True)
    time.sleep(7)  # at the start, the whole cache is purged three times
    return proxy


def put(proxy: Proxy, article_id: str, published: datetime, body: str = STORM) -> None:
    article = {"title": f"Storm {article_id}", "body": body, "lang": "en", "category": "Environment"}
    article["published_at"] = published.isoformat()
    answer = proxy.service.ask("PUT", f"/v1/article?id={quote(article_id, safe='')}", article, HEADERS)
    assert answer.status in {200, 201}, answer
    time.sleep(1)  # until every worker has the article


def withdraw(proxy: Proxy, article_id: str) -> None:
    assert proxy.service.ask("DELETE", f"/v1/article?id={article_id}", headers=HEADERS).status == 204


def shows(proxy: Proxy, target: str, article_id: str) -> bool:
    answer = proxy.get(target)
    return f'"id": "{article_id}"' in str(answer.body).replace("'", '"')


def test_a_repeated_request_is_a_cache_hit(plain: Proxy) -> None:
    target = "/v1/related?id=9&limit=4"

    assert [plain.state(target) for _ in range(3)] == ["MISS", "HIT", "HIT"]
    assert plain.get(target).body == plain.service.ask("GET", target).body
    assert "surrogate-key" not in plain.get(target).headers


def test_a_new_story_is_visible_at_once(plain: Proxy) -> None:
    for target in ("/v1/related?id=breaking", "/v1/page/breaking", "/v1/article?id=breaking"):
        assert [plain.get(target).status for _ in range(2)] == [404, 404]
    put(plain, "breaking", datetime.now(UTC))

    for target in ("/v1/related?id=breaking", "/v1/page/breaking", "/v1/article?id=breaking"):
        assert plain.get(target).status == 200


def test_a_response_to_a_request_with_a_key_is_not_cached(plain: Proxy) -> None:
    for _ in range(2):
        answer = plain.get("/v1/rules", HEADERS)
        assert (answer.status, answer.headers["x-cache"]) == (200, "MISS")
    assert plain.get("/v1/rules").status == 401


def test_unusual_ids_work(plain: Proxy) -> None:
    for article_id in AWKWARD[6:]:  # the model contains the others
        put(plain, article_id, datetime.now(UTC) - timedelta(days=2))
    for article_id in AWKWARD:
        name = quote(article_id, safe="")
        targets = [f"/v1/article?id={name}", f"/v1/page?id={name}", f"/v1/related?id={name}&limit=2"]
        if "/" not in article_id:
            targets += [f"/v1/articles/{name}", f"/v1/articles/{name}/related?limit=2", f"/v1/page/{name}"]
        for target in targets:
            first, second = plain.get(target), plain.get(target)
            assert (first.status, second.headers["x-cache"]) == (200, "HIT"), target
            facts = second.body.get("article", second.body)
            assert facts.get("id", facts.get("article_id")) == article_id
    for target in ("/v1/articles/..", "/v1/articles/%2e%2e", "/v1/article?id=..", "/v1/articles//abs"):
        assert plain.get(target).status in {400, 404}
    assert plain.get("/v1/articles/a%2Frelated").status == 404  # the problem detail names the other URL


def test_the_host_and_the_order_of_parameters_cannot_poison_the_cache(plain: Proxy) -> None:
    target = "/v1/related?id=10&limit=3&category=Environment&category=Politics"
    reordered = "/v1/related?category=Politics&limit=3&category=Environment&id=10"
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Original-URL": "/v1/related?id=a"}
    evil |= {"X-Forwarded-Proto": "gopher", "X-Rewrite-URL": "/v1/topics", "Origin": "https://evil.example"}

    first = plain.get(target, evil)
    second, third = plain.get(target), plain.get(reordered, evil)

    assert second.headers["x-cache"] == "HIT"
    assert first.body == second.body == third.body == plain.service.ask("GET", target).body
    assert "evil" not in str(second)
    assert plain.get(reordered.replace("id=10", "id=nobody"), evil).status == 404
    assert plain.get(target + "&nonsense=1", evil).status == 400
    assert plain.get(target).body == second.body


def test_nginx_returns_304_for_a_matching_etag(plain: Proxy) -> None:
    target = "/v1/related?id=11&limit=3"
    etag = plain.get(target).headers["etag"]
    with closing(http.client.HTTPConnection("127.0.0.1", plain.port, timeout=20)) as connection:
        connection.request("GET", target, headers={"If-None-Match": etag})
        answer = connection.getresponse()

        assert (answer.status, answer.read()) == (304, b"")


def test_with_purging_a_withdrawn_article_disappears_within_a_second(purged: Proxy) -> None:
    for target in (OLD, PAGE, "/v1/related/batch?id=old&id=10&limit=5", "/v1/articles", "/v1/page/story"):
        assert shows(purged, target, "story")
        assert purged.state(target) == "HIT"
    assert "s-maxage=604800" in purged.get(OLD).headers["cache-control"]
    unaffected = "/v1/related?id=a&limit=3"
    purged.get(unaffected)

    withdraw(purged, "story")

    took = eventually(
        lambda: not any(shows(purged, target, "story") for target in (OLD, PAGE, "/v1/articles")), 1
    )
    assert took < 1
    assert purged.get("/v1/page/story").status == 410
    assert purged.state(unaffected) == "HIT"


def test_with_purging_lists_include_new_articles_and_rules(purged: Proxy) -> None:
    purged.get(OLD)
    put(purged, "latest", datetime.now(UTC), SHIPS)
    eventually(lambda: shows(purged, OLD, "latest"), 2)

    body = {"kind": "pin", "articles": ["a"], "for_article": "old", "reason": "x", "author": "x"}
    assert purged.service.ask("PUT", "/v1/rules/one", body, HEADERS).status == 201
    eventually(lambda: purged.get(OLD).body["items"][0]["id"] == "a", 2)


def test_lists_of_a_stopped_service_are_served_until_withdrawals_must_take_effect(
    start: Callable[..., Proxy], plain: Proxy
) -> None:
    """Without purging, within 90 s, also on an old page; with the service down, 300 s after the minute."""
    down, targets = start(), (OLD, PAGE)
    started_at = time.monotonic()
    for proxy in (down, plain):
        for target in targets:
            assert shows(proxy, target, "story")
        withdraw(proxy, "story")
    down.service.kill()
    last_shown_at = dict.fromkeys(
        ((proxy.port, target) for proxy in (down, plain) for target in targets), 0.0
    )
    states = set()
    while time.monotonic() - started_at < 370:
        for proxy in (down, plain):
            for target in targets:
                answer, now = proxy.get(target), time.monotonic() - started_at
                if proxy is plain:
                    assert answer.status == 200
                else:
                    assert answer.status == (200 if now < 355 else answer.status)
                    states.add(answer.headers.get("x-cache"))
                if "'id': 'story'" in str(answer.body):
                    last_shown_at[proxy.port, target] = now
        time.sleep(1)

    for target in targets:
        assert last_shown_at[plain.port, target] <= 90
        assert 350 < last_shown_at[down.port, target] <= 362
        assert down.get(target).status == 502
    assert "STALE" in states
