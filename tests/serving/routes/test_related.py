"""Related articles: the list, its parameters, and the cache headers of its response."""

from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from recommender.model import Model
from recommender.serving.app import create_app
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.settings import Settings
from tests.support.newsroom import NOW
from tests.support.responses import EXPLANATION_KEYS, ITEM_KEYS, get, sum_of_parts
from tests.support.service import item_ids


def test_a_list_has_the_keys_of_the_contract(client: FlaskClient) -> None:
    related = get(client, "/v1/related?id=a&limit=2")

    assert list(related) == [
        "article_id",
        "as_of",
        "model",
        "degraded",
        "requested",
        "eligible",
        "returned",
        "items",
    ]
    assert related["article_id"] == "a"
    assert related["as_of"] == "2026-03-01T12:00:20Z"
    assert (related["requested"], related["eligible"], related["returned"]) == (2, 12, 2)
    assert [list(item) for item in related["items"]] == [ITEM_KEYS, ITEM_KEYS]


def test_a_list_names_the_model(client: FlaskClient, models_dir: Path) -> None:
    model = get(client, "/v1/related?id=a")["model"]

    version = (models_dir / "CURRENT").read_text().split()[0]
    assert model == {"version": version, "trained_at": "2026-03-01T12:00:30Z", "stale": False}


def test_an_old_model_is_stale(models_dir: Path) -> None:
    app = create_app(Settings(models_dir=models_dir), clock=lambda: NOW + timedelta(days=3))

    assert get(app.test_client(), "/v1/related?id=a")["model"]["stale"]


def test_http_returns_the_list_that_python_returns(client: FlaskClient, model: Model) -> None:
    related_list = Related(model).of("9", ListQuery(limit=5, categories=("environment",)), NOW)

    response = get(client, "/v1/related?id=9&limit=5&category=environment")

    assert item_ids(response) == [model.articles.ids[item.row] for item in related_list.items]
    assert [item["score"] for item in response["items"]] == [
        item.score and round(item.score, 7) for item in related_list.items
    ]


@pytest.mark.parametrize("limit", [1, 9, 12, 50])
def test_a_list_has_as_many_items_as_requested_or_eligible(client: FlaskClient, limit: int) -> None:
    related = get(client, f"/v1/related?id=a&limit={limit}")

    assert related["returned"] == len(related["items"]) == min(limit, related["eligible"])


def test_an_id_in_the_path_returns_the_same_bytes_as_in_the_query(client: FlaskClient) -> None:
    assert client.get("/v1/articles/9/related?limit=3").data == client.get("/v1/related?id=9&limit=3").data
    assert client.get("/v1/articles/9").data == client.get("/v1/article?id=9").data


def test_an_article_is_found_by_its_url(client: FlaskClient) -> None:
    url = quote("http://courier.example/9?utm_campaign=spring", safe="")

    assert get(client, f"/v1/article?url={url}")["id"] == "9"
    assert get(client, f"/v1/related?url={url}")["article_id"] == "9"


def test_filters_restrict_a_list(client: FlaskClient) -> None:
    assert item_ids(get(client, "/v1/related?id=9&category=culture")) == ["12"]
    assert "12" not in item_ids(get(client, "/v1/related?id=9&max_age_days=365&limit=50"))
    assert "13" not in item_ids(get(client, "/v1/related?id=9&limit=50"))
    assert "13" in item_ids(get(client, "/v1/related?id=9&lang=any&limit=50"))
    assert item_ids(get(client, "/v1/related?id=9&category=Environment&exclude=10&exclude=14")) == ["11"]
    assert item_ids(
        get(client, "/v1/related?id=9&published_after=2026-02-21&published_before=2026-02-22")
    ) == ["10"]


def test_a_mode_restricts_a_list_to_older_or_newer_articles(client: FlaskClient) -> None:
    before = item_ids(get(client, "/v1/related?id=10&mode=background&limit=50"))
    after = item_ids(get(client, "/v1/related?id=10&mode=follow_up&limit=50"))
    either = item_ids(get(client, "/v1/related?id=10&mode=related&limit=50"))

    assert after == ["11", "14"]
    assert {"9", "a"} <= set(before)
    assert sorted([*before, *after, "12"]) == sorted(either)
    assert get(client, "/v1/related?id=12&mode=background")["eligible"] == 0
    assert item_ids(get(client, "/v1/related?id=nobody&unknown=fallback&mode=background")) == []


@pytest.mark.parametrize("url", ["/v1/related?id=a&", "/v1/articles/9/related?"])
def test_an_explained_score_is_the_sum_of_its_parts(client: FlaskClient, url: str) -> None:
    items = get(client, f"{url}explain=1&limit=50&freshness=0.5")["items"]

    assert [list(item) for item in items] == [[*ITEM_KEYS, "why"]] * len(items)
    for item in items:
        assert (item["why"] is None) == (item["score"] is None)
        if item["why"]:
            assert list(item["why"]) == EXPLANATION_KEYS
            assert sum_of_parts(item["why"]) == pytest.approx(item["score"], abs=1e-6)


def test_only_explain_adds_explanations(client: FlaskClient) -> None:
    plain = client.get("/v1/related?id=a")

    assert client.get("/v1/related?id=a&explain=0").data == plain.data
    assert all("why" not in item for item in plain.get_json()["items"])


def test_the_fallback_for_an_unknown_article_has_no_explanations(client: FlaskClient) -> None:
    items = get(client, "/v1/related?id=nobody&unknown=fallback&explain=1")["items"]

    assert items
    assert all(item["why"] is None for item in items)


def test_the_defaults_are_the_same_as_in_python(client: FlaskClient) -> None:
    plain = client.get("/v1/related?id=a")

    assert client.get("/v1/related?id=a&freshness=0.20&diversity=0.0&mode=related").data == plain.data
    assert client.get("/v1/related?id=a&freshness=0").data != plain.data
    assert (ListQuery().freshness, ListQuery().diversity) == (0.2, 0)


def test_a_comma_in_a_parameter_separates_nothing(client: FlaskClient) -> None:
    assert "a,b" not in item_ids(get(client, "/v1/related?id=a&exclude=a,b&limit=50"))
    assert client.get("/v1/related?id=a&category=Politics,Culture").status_code == 400


def test_with_fallback_an_unknown_article_gets_the_newest_articles(client: FlaskClient) -> None:
    related = get(client, "/v1/related?id=nobody&unknown=fallback&limit=2")

    assert related["article_id"] == "nobody"
    assert [item["source"] for item in related["items"]] == ["recent", "recent"]
    assert get(client, "/v1/related?url=nowhere&unknown=fallback")["article_id"] is None


def test_a_response_that_the_client_has_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/v1/related?id=a")

    again = client.get("/v1/related?id=a", headers={"If-None-Match": first.headers["ETag"]})
    other = client.get("/v1/related?id=9", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert other.status_code == 200


def test_the_etag_stays_the_same_within_the_hour(models_dir: Path) -> None:
    etags = [_etag(models_dir, time) for time in ("13:01:00", "13:59:59", "14:00:00")]

    assert etags[0] == etags[1] != etags[2]


def _etag(models_dir: Path, time: str) -> str:
    app = create_app(
        Settings(models_dir=models_dir), clock=lambda: datetime.fromisoformat(f"2026-03-01T{time}Z")
    )
    return app.test_client().get("/v1/related?id=a").headers["ETag"]


def test_shared_caches_may_store_a_list_for_a_minute(models_dir: Path) -> None:
    app = create_app(Settings(models_dir=models_dir), clock=lambda: NOW + timedelta(minutes=5))

    control = app.test_client().get("/v1/related?id=a").headers["Cache-Control"]

    assert control == "public, max-age=0, s-maxage=60, stale-while-revalidate=30, stale-if-error=300"


def test_no_response_is_cached_beyond_the_next_publication(client: FlaskClient) -> None:
    for path in ("/v1/related?id=a", "/v1/articles", "/v1/article?id=a"):
        assert client.get(path).headers["Cache-Control"] == "public, max-age=0, s-maxage=15"


def test_caches_store_neither_errors_nor_lists_of_texts(client: FlaskClient) -> None:
    refused = client.get("/v1/related?id=nobody")
    text = client.post("/v1/similar", json={"title": "storm"})

    assert refused.headers["Cache-Control"] == text.headers["Cache-Control"] == "no-store"
    assert "ETag" not in text.headers


def test_head_returns_the_headers_of_get_without_a_body(client: FlaskClient) -> None:
    full, head = client.get("/v1/related?id=a"), client.head("/v1/related?id=a")

    assert head.headers["ETag"] == full.headers["ETag"]
    assert head.data == b""
