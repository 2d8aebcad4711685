"""Who may read: with and without keys, from which sites, how often; and what is kept of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.serving.app import create_app
from recommender.serving.http import cors
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.limits import captured_limits
from tests.support.newsroom import NOW

KEY, SETTING = new_key("desk", ["read"])
WRITING_KEY, WRITING_SETTING = new_key("cms", ["articles"])
LIST = "/v1/related?id=a"
TEXT = {"title": "storm"}
SITE, OTHER = "https://www.courier.example", "https://elsewhere.example"
READER = {"REMOTE_ADDR": "198.51.100.7"}
Ask = Callable[..., TestResponse]
Made = Callable[..., FlaskClient]


@pytest.fixture
def made(models_dir: Path) -> Made:
    """Make a client of a service under other settings."""

    def make(**settings: Any) -> FlaskClient:
        return create_app(Settings.read(models_dir=models_dir, **settings), clock=lambda: NOW).test_client()

    return make


@pytest.fixture(scope="module")
def closed(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("closed")
    settings = Settings.read(
        models_dir=models_dir,
        read_keys=SETTING,
        write_keys=WRITING_SETTING,
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
        live_poll_seconds=0,
    )
    return create_app(settings, clock=lambda: NOW).test_client()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


READS = [
    LIST,
    "/v1/articles/9/related",
    "/v1/page?id=a",
    "/v1/articles",
    "/v1/trending",
    "/v1/search?q=storm",
]
OPEN = {
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/widget.js"),
    *("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
}


@pytest.mark.parametrize("path", READS)
def test_where_reading_needs_a_key_no_call_answers_without(closed: FlaskClient, path: str) -> None:
    refused = closed.get(path)

    assert (refused.status_code, refused.get_json()["type"]) == (401, "key-missing")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert closed.head(path).status_code == 401
    assert closed.get(path, headers=bearer(KEY)).status_code == 200
    assert closed.get(path, headers=bearer(WRITING_KEY)).status_code == 403
    assert closed.get(path, headers=bearer("guess")).status_code == 403


def test_every_call_that_there_is_needs_a_key_then_but_those_that_show_no_article(made: Made) -> None:
    of_site = made(read_keys=SETTING, drop_in="yarpp jetpack parsely gorse")
    rules = [rule for rule in of_site.application.url_map.iter_rules() if "GET" in (rule.methods or ())]

    needing = {
        rule.rule for rule in rules if of_site.get(re.sub("<.*?>", "9", rule.rule)).status_code in {401, 403}
    }

    assert {rule.rule for rule in rules} - needing == OPEN


def test_where_reading_needs_a_key_so_does_a_text(closed: FlaskClient) -> None:
    assert closed.post("/v1/similar", json=TEXT).status_code == 401
    assert closed.post("/v1/similar", json=TEXT, headers=bearer(KEY)).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_what_shows_no_article_needs_no_key(closed: FlaskClient, path: str) -> None:
    assert closed.get(path).status_code == 200


def test_no_shared_cache_may_keep_what_a_key_was_needed_for(closed: FlaskClient, app_client: Ask) -> None:
    answer = closed.get(LIST, headers=bearer(KEY))

    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in answer.headers["Vary"]
    again = closed.get(LIST, headers=bearer(KEY) | {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "private, no-cache")
    assert "public" in app_client(LIST).headers["Cache-Control"]
    assert "Authorization" not in app_client(LIST).headers["Vary"]


@pytest.fixture
def app_client(client: FlaskClient) -> Ask:
    return client.get


def test_where_reading_needs_no_key_a_strange_one_does_no_harm(app_client: Ask) -> None:
    assert app_client(LIST, headers=bearer("of another service")).status_code == 200


def test_an_address_that_reads_too_often_is_told_to_wait_and_a_key_is_not(made: Made) -> None:
    limited = made(address_read_limit="2/hour", write_keys=WRITING_SETTING)
    ask = [limited.get(LIST, environ_base=READER) for _ in range(3)]

    assert [answer.status_code for answer in ask] == [200, 200, 429]
    assert int(ask[2].headers["Retry-After"]) in range(1700, 1801)
    assert limited.get(LIST, headers=bearer(WRITING_KEY), environ_base=READER).status_code == 200
    assert limited.get(LIST, environ_base={"REMOTE_ADDR": "198.51.100.8"}).status_code == 200
    assert limited.get("/healthz", environ_base=READER).status_code == 200
    assert limited.get("/demo/", environ_base=READER).status_code == 429


def test_a_proxy_that_is_not_declared_is_under_no_limit_of_readers(made: Made) -> None:
    limited = made(address_read_limit="1/hour", scoring_limit="1/hour")

    assert [limited.get(LIST).status_code for _ in range(3)] == [200] * 3
    assert [limited.post("/v1/similar", json=TEXT).status_code for _ in range(3)] == [200] * 3


def test_what_scores_the_corpus_has_a_limit_of_its_own_for_keys_too(made: Made) -> None:
    limited = made(scoring_limit="2/hour", write_keys=WRITING_SETTING)

    def similar(**headers: str) -> int:
        return limited.post("/v1/similar", json=TEXT, headers=headers, environ_base=READER).status_code

    assert [similar() for _ in range(3)] == [200, 200, 429]
    assert [similar(**bearer(WRITING_KEY)) for _ in range(3)] == [200, 200, 429]
    assert limited.get(LIST, environ_base=READER).status_code == 200


def test_what_scores_the_corpus_is_shed_first(made: Made) -> None:
    with captured_limits(cors) as limits:
        busy = made(scoring_at_once=1, scoring_queue=0)
    [scoring] = limits

    with scoring.slot():
        shed, at_hand = busy.post("/v1/similar", json=TEXT), busy.get(LIST)

    assert (shed.status_code, shed.get_json()["type"]) == (503, "overloaded")
    assert shed.headers["Retry-After"] == "1"
    assert at_hand.status_code == 200
    assert busy.post("/v1/similar", json=TEXT).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Origin": SITE}])
def test_pages_of_every_site_may_read(app_client: Ask, headers: dict[str, str]) -> None:
    answer = app_client(LIST, headers=headers)

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert app_client("/v1/related?id=nobody").headers["Access-Control-Allow-Origin"] == "*"


def test_pages_of_the_sites_named_alone_may_read_and_caches_know_it(made: Made) -> None:
    named = made(cors_origins=SITE)
    answers = [named.get(LIST, headers=headers) for headers in ({"Origin": SITE}, {"Origin": OTHER}, {})]

    assert [each.headers.get("Access-Control-Allow-Origin") for each in answers] == [SITE, None, None]
    assert all("Origin" in each.headers["Vary"] for each in answers)


def test_a_browser_is_told_what_a_page_may_ask(client: FlaskClient) -> None:
    read, text = client.options(LIST), client.options("/v1/similar")

    assert read.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert text.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
    assert "Content-Type" in text.headers["Access-Control-Allow-Headers"]
    assert "Authorization" not in text.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/rules"), ("PUT", "/v1/articles/a")])
def test_no_page_of_another_site_may_write_or_read_rules(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method, headers={"Origin": SITE})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_browser_asks_without_a_key_where_reading_needs_one(closed: FlaskClient) -> None:
    assert closed.options(LIST, headers={"Origin": SITE}).status_code == 200


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 200),
        ({"demo": False}, 404),
        ({"read_keys": SETTING}, 404),
        ({"read_keys": SETTING, "demo": True}, 200),
    ],
)
def test_there_is_a_demo_where_everybody_may_read_or_a_setting_says_so(
    made: Made, settings: dict[str, Any], status: int
) -> None:
    of_site = made(**settings)

    for path in ("/demo/", "/demo/article?id=a", "/demo/static/site.css"):
        with of_site.get(path) as answer:
            assert answer.status_code == status


def test_no_header_gives_a_reader_another_address_but_through_a_proxy_that_is_named(made: Made) -> None:
    direct = made(address_read_limit="2/hour", trusted_proxies="10.0.0.1")

    def ask(peer: str, number: int) -> int:
        headers = {"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}"}
        headers |= {"Forwarded": f"for=203.0.113.{number}", "CF-Connecting-IP": f"203.0.113.{number}"}
        return direct.get(LIST, headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code

    assert [ask("198.51.100.7", number) for number in range(4)] == [200, 200, 429, 429]
    assert [ask("10.0.0.1", number) for number in range(4)] == [200] * 4
