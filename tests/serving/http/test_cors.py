"""Read access: keys, allowed origins, rate limits and cache headers."""

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
WRITE_KEY, WRITE_SETTING = new_key("cms", ["articles"])
LIST = "/v1/related?id=a"
TEXT = {"title": "storm"}
SITE, OTHER = "https://www.courier.example", "https://elsewhere.example"
READER = {"REMOTE_ADDR": "198.51.100.7"}
Get = Callable[..., TestResponse]
CreateClient = Callable[..., FlaskClient]


@pytest.fixture
def client_with(models_dir: Path) -> CreateClient:
    """Returns a client of a service with other settings."""

    def create(**settings: Any) -> FlaskClient:
        return create_app(Settings.read(models_dir=models_dir, **settings), clock=lambda: NOW).test_client()

    return create


@pytest.fixture(scope="module")
def closed(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("closed")
    settings = Settings.read(
        models_dir=models_dir,
        read_keys=SETTING,
        write_keys=WRITE_SETTING,
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
PUBLIC = {
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/widget.js"),
    "/admin/static/<path:filename>",
    *("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
}


@pytest.mark.parametrize("path", READS)
def test_if_reading_needs_a_key_every_read_needs_it(closed: FlaskClient, path: str) -> None:
    refused = closed.get(path)

    assert (refused.status_code, refused.get_json()["type"]) == (401, "key-missing")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert closed.head(path).status_code == 401
    assert closed.get(path, headers=bearer(KEY)).status_code == 200
    assert closed.get(path, headers=bearer(WRITE_KEY)).status_code == 403
    assert closed.get(path, headers=bearer("guess")).status_code == 403


def test_only_routes_that_show_no_article_never_need_a_key(client_with: CreateClient) -> None:
    client = client_with(read_keys=SETTING, drop_in="yarpp jetpack parsely gorse")
    rules = [rule for rule in client.application.url_map.iter_rules() if "GET" in (rule.methods or ())]

    need_key = {
        rule.rule for rule in rules if client.get(re.sub("<.*?>", "9", rule.rule)).status_code in {401, 403}
    }

    assert {rule.rule for rule in rules} - need_key == PUBLIC


def test_if_reading_needs_a_key_similar_articles_need_it_too(closed: FlaskClient) -> None:
    assert closed.post("/v1/similar", json=TEXT).status_code == 401
    assert closed.post("/v1/similar", json=TEXT, headers=bearer(KEY)).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_a_response_without_articles_needs_no_key(closed: FlaskClient, path: str) -> None:
    assert closed.get(path).status_code == 200


def test_shared_caches_may_not_store_responses_that_need_a_key(closed: FlaskClient, get: Get) -> None:
    first = closed.get(LIST, headers=bearer(KEY))

    assert first.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in first.headers["Vary"]
    again = closed.get(LIST, headers=bearer(KEY) | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "private, no-cache")
    assert "public" in get(LIST).headers["Cache-Control"]
    assert "Authorization" not in get(LIST).headers["Vary"]


@pytest.fixture
def get(client: FlaskClient) -> Get:
    return client.get


def test_if_reading_needs_no_key_an_invalid_key_is_ignored(get: Get) -> None:
    assert get(LIST, headers=bearer("of-another-service")).status_code == 200


def test_reads_are_limited_per_address_but_not_with_a_key(client_with: CreateClient) -> None:
    limited = client_with(address_read_limit="2/hour", write_keys=WRITE_SETTING)
    responses = [limited.get(LIST, environ_base=READER) for _ in range(3)]

    assert [response.status_code for response in responses] == [200, 200, 429]
    assert int(responses[2].headers["Retry-After"]) in range(1700, 1801)
    assert limited.get(LIST, headers=bearer(WRITE_KEY), environ_base=READER).status_code == 200
    assert limited.get(LIST, environ_base={"REMOTE_ADDR": "198.51.100.8"}).status_code == 200
    assert limited.get("/healthz", environ_base=READER).status_code == 200
    assert limited.get("/demo/", environ_base=READER).status_code == 429


def test_an_address_in_a_private_network_is_not_rate_limited_until_a_proxy_is_declared(
    client_with: CreateClient,
) -> None:
    limited = client_with(address_read_limit="1/hour", scoring_limit="1/hour")

    assert [limited.get(LIST).status_code for _ in range(3)] == [200] * 3
    assert [limited.post("/v1/similar", json=TEXT).status_code for _ in range(3)] == [200] * 3


def test_requests_that_score_the_corpus_have_another_limit_also_with_a_key(client_with: CreateClient) -> None:
    limited = client_with(scoring_limit="2/hour", write_keys=WRITE_SETTING)

    def similar(**headers: str) -> int:
        return limited.post("/v1/similar", json=TEXT, headers=headers, environ_base=READER).status_code

    assert [similar() for _ in range(3)] == [200, 200, 429]
    assert [similar(**bearer(WRITE_KEY)) for _ in range(3)] == [200, 200, 429]
    assert limited.get(LIST, environ_base=READER).status_code == 200


def test_under_load_requests_that_score_the_corpus_are_refused_first(client_with: CreateClient) -> None:
    with captured_limits(cors) as limits:
        busy = client_with(scoring_at_once=1, scoring_queue=0)
    [scoring] = limits

    with scoring.slot():
        refused, precomputed = busy.post("/v1/similar", json=TEXT), busy.get(LIST)

    assert (refused.status_code, refused.get_json()["type"]) == (503, "overloaded")
    assert refused.headers["Retry-After"] == "1"
    assert precomputed.status_code == 200
    assert busy.post("/v1/similar", json=TEXT).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Origin": SITE}])
def test_pages_of_every_origin_may_read_by_default(get: Get, headers: dict[str, str]) -> None:
    response = get(LIST, headers=headers)

    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in response.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert get("/v1/related?id=nobody").headers["Access-Control-Allow-Origin"] == "*"


def test_only_pages_of_configured_origins_may_read_and_responses_vary_by_origin(
    client_with: CreateClient,
) -> None:
    client = client_with(cors_origins=SITE)
    responses = [client.get(LIST, headers=headers) for headers in ({"Origin": SITE}, {"Origin": OTHER}, {})]

    allowed = [response.headers.get("Access-Control-Allow-Origin") for response in responses]
    assert allowed == [SITE, None, None]
    assert all("Origin" in response.headers["Vary"] for response in responses)


def test_a_preflight_lists_the_allowed_methods_and_headers(client: FlaskClient) -> None:
    read, text = client.options(LIST), client.options("/v1/similar")

    assert read.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert text.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
    assert "Content-Type" in text.headers["Access-Control-Allow-Headers"]
    assert "Authorization" not in text.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/rules"), ("PUT", "/v1/articles/a")])
def test_no_page_of_another_origin_may_write_or_read_rules(
    client: FlaskClient, method: str, path: str
) -> None:
    response = client.open(path, method=method, headers={"Origin": SITE})

    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_preflight_needs_no_key(closed: FlaskClient) -> None:
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
def test_the_demo_needs_public_reading_or_its_setting(
    client_with: CreateClient, settings: dict[str, Any], status: int
) -> None:
    client = client_with(**settings)

    for path in ("/demo/", "/demo/article?id=a", "/demo/static/site.css"):
        with client.get(path) as response:
            assert response.status_code == status


def test_only_a_trusted_proxy_can_report_another_address(client_with: CreateClient) -> None:
    direct = client_with(address_read_limit="2/hour", trusted_proxies="10.0.0.1")

    def status(peer: str, number: int) -> int:
        headers = {"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}"}
        headers |= {"Forwarded": f"for=203.0.113.{number}", "CF-Connecting-IP": f"203.0.113.{number}"}
        return direct.get(LIST, headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code

    assert [status("198.51.100.7", number) for number in range(4)] == [200, 200, 429, 429]
    assert [status("10.0.0.1", number) for number in range(4)] == [200] * 4
