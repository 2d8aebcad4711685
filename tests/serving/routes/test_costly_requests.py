"""What a request computes is spent from its caller's allowance before it is computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

READER, OTHER = {"REMOTE_ADDR": "198.51.100.7"}, {"REMOTE_ADDR": "198.51.100.8"}
KEY, SETTING = new_key("desk", ["articles"])
IDS = "id=a&id=9&id=10"
COSTLY = "limit=50&diversity=0.5&explain=1"
CreateClient = Callable[..., FlaskClient]


@pytest.fixture
def client_with(models_dir: Path, tmp_path: Path) -> CreateClient:
    """Returns a client of a service with other settings."""

    def create(**settings: Any) -> FlaskClient:
        options = {
            "models_dir": models_dir,
            "database_url": f"sqlite:///{tmp_path / 'store.db'}",
            "state_file": tmp_path / "state.json",
            "live_poll_seconds": 0,
        }
        app = create_app(Settings.read(**(options | settings)), clock=lambda: NOW)
        return app.test_client()

    return create


def status(client: FlaskClient, path: str, caller: dict[str, str] = READER, **headers: str) -> int:
    """Return the status of the response to a caller."""
    return client.get(path, environ_base=caller, headers=headers).status_code


def test_a_batch_costs_as_much_as_its_lists(client_with: CreateClient) -> None:
    client = client_with(computing_limit="7/hour")
    batches = [f"/v1/related/batch?{IDS}&exclude={number}" for number in range(3)]

    assert [status(client, batch) for batch in batches] == [200, 200, 429]
    assert status(client, "/v1/related?id=a") == 200  # costs 1, and 1 is left
    assert status(client, "/v1/related?id=9") == 429
    assert status(client, "/v1/related?id=9", OTHER) == 200


def test_cached_responses_cost_nothing(client_with: CreateClient) -> None:
    client = client_with(computing_limit="5/hour")
    paths = [f"/v1/related/batch?{IDS}", "/v1/related?id=a", "/v1/articles", "/v1/trending"]

    assert {status(client, path) for path in paths} == {200}
    assert status(client, "/v1/related?id=8") == 429
    for _ in range(20):
        assert {status(client, path) for path in paths} == {200}


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        f"/v1/related?id=a&{COSTLY}",
        f"/v1/related?id=nobody&unknown=fallback&{COSTLY}",
        f"/v1/related/batch?id=8&{COSTLY}",
        "/v1/page?id=a&related_limit=50&explain=1",
        "/demo/article?id=a",
        "/demo/",
        "/v1/related?id=a&limit=50&" + "&".join(f"exclude={number}" for number in range(150)),
        "/api/item/a/neighbors?n=50",
    ],
    ids="list fallback batch page demo home excludes drop-in".split(),
)
def test_a_costly_request_leaves_less_for_others_than_a_plain_list(
    client_with: CreateClient, path: str
) -> None:
    def lists_after(first: str) -> int:
        client = client_with(computing_limit="12/hour", drop_in="gorse")
        assert status(client, first) in {200, 404}
        return sum(status(client, f"/v1/related?id=a&exclude={number}") == 200 for number in range(12))

    assert lists_after(path) < lists_after("/v1/related?id=9")


@pytest.mark.parametrize(
    "text",
    [{"body": "storm " * 1000}, {"body": "<p>" * 2000 + "storm"}, {"title": "s" * 5000}, {"explain": 1}],
    ids="words markup title explained".split(),
)
def test_a_long_or_explained_text_costs_more_than_a_short_one(
    client_with: CreateClient, text: dict[str, Any]
) -> None:
    def similar_after(text: dict[str, Any]) -> int:
        client, short = client_with(computing_limit="8/hour"), {"title": "storm", "limit": 10}
        texts = [short | text, *[short] * 8]
        replies = [client.post("/v1/similar", json=text, environ_base=READER) for text in texts]
        assert replies[0].status_code == 200
        return sum(reply.status_code == 200 for reply in replies)

    assert similar_after(text) < similar_after({}) == 8


def test_the_lists_of_a_batch_that_score_all_articles_count_singly(
    client_with: CreateClient, tmp_path: Path
) -> None:
    publish(build_model(newsroom(), k=2), tmp_path / "few neighbours", now=NOW)
    client = client_with(scoring_limit="3/hour", models_dir=tmp_path / "few neighbours")

    assert status(client, "/v1/related/batch?id=a&id=9") == 200
    assert status(client, "/v1/related/batch?id=a&id=9&exclude=1") == 429
    assert status(client, "/v1/related/batch?id=a&id=9", OTHER) == 200


def test_a_key_has_an_allowance_of_its_own(client_with: CreateClient) -> None:
    client = client_with(computing_limit="3/hour", write_keys=SETTING)
    batches = [f"/v1/related/batch?{IDS}&exclude={number}" for number in range(4)]

    assert [status(client, batch) for batch in batches[:2]] == [200, 429]
    with_key = [status(client, batch, Authorization=f"Bearer {KEY}") for batch in batches[2:]]
    assert with_key == [200, 429]


def test_addresses_that_may_belong_to_a_proxy_have_no_limit(client_with: CreateClient) -> None:
    client = client_with(computing_limit="3/hour")

    for number in range(4):
        assert status(client, f"/v1/related/batch?{IDS}&exclude={number}", {"REMOTE_ADDR": "10.0.0.1"}) == 200


def test_a_batch_stops_between_its_lists_when_its_time_is_over(client_with: CreateClient) -> None:
    client = client_with(computing_seconds=1e-9)

    response = client.get(f"/v1/related/batch?{IDS}", environ_base=READER)

    assert (response.status_code, response.get_json()["type"]) == (503, "overloaded")
    assert response.headers["Retry-After"] == "1"
    assert "request fewer lists at once" in response.get_json()["detail"]
    assert status(client, "/v1/related?id=a") == 200
