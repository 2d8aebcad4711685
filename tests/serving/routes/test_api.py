"""The calls under `/v1`: the answers, their shape, and what caches may do with them."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recommender.model import Model
from recommender.serving.app import create_app
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.settings import Settings
from tests.support.newsroom import NOW

ITEM_KEYS = [
    "id",
    "title",
    "url",
    "category",
    "categories",
    "published_at",
    "image_url",
    "reading_minutes",
    "lang",
    "score",
    "source",
    "trending_rank",
    "also_published_as",
]

WHY_KEYS = [
    "terms",
    "other_terms",
    "topics",
    "other_topics",
    "feedback",
    "hub",
    "freshness",
    "boost",
]


def added_up(why: dict[str, Any]) -> float:
    named = sum(part["contribution"] for part in why["terms"] + why["topics"])
    return float(named + sum(why[key] for key in WHY_KEYS if key not in {"terms", "topics"}))


def _get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def _ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]]


def _post(client: FlaskClient, body: dict[str, Any]) -> Any:
    response = client.post("/v1/similar", json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


def test_a_list_has_the_keys_of_the_contract(client: FlaskClient) -> None:
    answer = _get(client, "/v1/related?id=a&limit=2")

    assert list(answer) == [
        "article_id",
        "as_of",
        "model",
        "degraded",
        "requested",
        "eligible",
        "returned",
        "items",
    ]
    assert answer["article_id"] == "a"
    assert answer["as_of"] == "2026-03-01T12:00:20Z"
    assert (answer["requested"], answer["eligible"], answer["returned"]) == (2, 12, 2)
    assert [list(item) for item in answer["items"]] == [ITEM_KEYS, ITEM_KEYS]


def test_the_model_of_an_answer_is_named(client: FlaskClient, models_dir: Path) -> None:
    model = _get(client, "/v1/related?id=a")["model"]

    version = (models_dir / "CURRENT").read_text().split()[0]
    assert model == {"version": version, "trained_at": "2026-03-01T12:00:30Z", "stale": False}


def test_an_old_model_is_called_stale(models_dir: Path) -> None:
    app = create_app(Settings(models_dir=models_dir), clock=lambda: NOW + timedelta(days=3))

    assert _get(app.test_client(), "/v1/related?id=a")["model"]["stale"]


def test_http_gives_the_list_of_the_python_call(client: FlaskClient, model: Model) -> None:
    found = Related(model).of("9", ListQuery(limit=5, categories=("environment",)), NOW)

    answer = _get(client, "/v1/related?id=9&limit=5&category=environment")

    assert _ids(answer) == [model.articles.ids[item.row] for item in found.items]
    assert [item["score"] for item in answer["items"]] == [
        item.score and round(item.score, 7) for item in found.items
    ]


@pytest.mark.parametrize("limit", [1, 9, 12, 50])
def test_a_list_is_as_long_as_asked_for_or_as_there_are_articles(client: FlaskClient, limit: int) -> None:
    answer = _get(client, f"/v1/related?id=a&limit={limit}")

    assert answer["returned"] == len(answer["items"]) == min(limit, answer["eligible"])


def test_the_alias_in_the_path_gives_the_same_bytes(client: FlaskClient) -> None:
    assert client.get("/v1/articles/9/related?limit=3").data == client.get("/v1/related?id=9&limit=3").data
    assert client.get("/v1/articles/9").data == client.get("/v1/article?id=9").data


def test_an_article_is_found_by_its_url(client: FlaskClient) -> None:
    url = quote("http://courier.example/9?utm_campaign=spring", safe="")

    assert _get(client, f"/v1/article?url={url}")["id"] == "9"
    assert _get(client, f"/v1/related?url={url}")["article_id"] == "9"


def test_filters_shape_a_list(client: FlaskClient) -> None:
    assert _ids(_get(client, "/v1/related?id=9&category=culture")) == ["12"]
    assert "12" not in _ids(_get(client, "/v1/related?id=9&max_age_days=365&limit=50"))
    assert "13" not in _ids(_get(client, "/v1/related?id=9&limit=50"))
    assert "13" in _ids(_get(client, "/v1/related?id=9&lang=any&limit=50"))
    assert _ids(_get(client, "/v1/related?id=9&category=Environment&exclude=10&exclude=14")) == ["11"]
    assert _ids(_get(client, "/v1/related?id=9&published_after=2026-02-21&published_before=2026-02-22")) == [
        "10"
    ]


def test_a_mode_shows_what_came_before_or_after(client: FlaskClient) -> None:
    before = _ids(_get(client, "/v1/related?id=10&mode=background&limit=50"))
    after = _ids(_get(client, "/v1/related?id=10&mode=follow_up&limit=50"))
    either = _ids(_get(client, "/v1/related?id=10&mode=related&limit=50"))

    assert after == ["11", "14"]
    assert {"9", "a"} <= set(before)
    assert sorted([*before, *after, "12"]) == sorted(either)
    assert _get(client, "/v1/related?id=12&mode=background")["eligible"] == 0
    assert _ids(_get(client, "/v1/related?id=nobody&unknown=fallback&mode=background")) == []


def test_a_text_comes_before_or_after_its_own_date_or_now(client: FlaskClient) -> None:
    dated = {"title": "storm", "published_at": "2026-02-21T12:00:00Z", "limit": 50, "lang": "en"}

    assert _ids(_post(client, dated | {"mode": "follow_up"})) == ["14", "11"]
    assert "10" in _ids(_post(client, dated | {"mode": "background"}))
    assert _post(client, {"title": "storm", "mode": "follow_up"})["eligible"] == 0
    assert "14" in _ids(_post(client, {"title": "storm", "mode": "background", "lang": "en"}))


@pytest.mark.parametrize("address", ["/v1/related?id=a&", "/v1/articles/9/related?"])
def test_an_explained_score_is_the_sum_of_its_parts(client: FlaskClient, address: str) -> None:
    items = _get(client, f"{address}explain=1&limit=50&freshness=0.5")["items"]

    assert [list(item) for item in items] == [[*ITEM_KEYS, "why"]] * len(items)
    for item in items:
        assert (item["why"] is None) == (item["score"] is None)
        if item["why"]:
            assert list(item["why"]) == WHY_KEYS
            assert added_up(item["why"]) == pytest.approx(item["score"], abs=1e-6)


def test_a_text_is_told_why(client: FlaskClient) -> None:
    first = _post(client, {"title": "Storm on the marsh", "explain": 1, "freshness": 0})["items"][0]

    assert first["why"]["terms"][0]["term"] in {"storm", "marsh"}
    assert first["why"]["freshness"] == 0
    assert added_up(first["why"]) == pytest.approx(first["score"], abs=1e-6)


def test_only_who_asks_is_told_why(client: FlaskClient) -> None:
    plain = client.get("/v1/related?id=a")

    assert client.get("/v1/related?id=a&explain=0").data == plain.data
    assert all("why" not in item for item in plain.get_json()["items"])


def test_the_newest_for_an_unknown_article_need_no_reason(client: FlaskClient) -> None:
    items = _get(client, "/v1/related?id=nobody&unknown=fallback&explain=1")["items"]

    assert items
    assert all(item["why"] is None for item in items)


def test_the_defaults_are_the_defaults_of_the_python_call(client: FlaskClient) -> None:
    plain = client.get("/v1/related?id=a")

    assert client.get("/v1/related?id=a&freshness=0.20&diversity=0.0&mode=related").data == plain.data
    assert client.get("/v1/related?id=a&freshness=0").data != plain.data
    assert (ListQuery().freshness, ListQuery().diversity) == (0.2, 0)


def test_commas_in_a_parameter_are_data(client: FlaskClient) -> None:
    assert "a,b" not in _ids(_get(client, "/v1/related?id=a&exclude=a,b&limit=50"))
    assert client.get("/v1/related?id=a&category=Politics,Culture").status_code == 400


def test_an_unknown_article_gets_the_newest_when_asked(client: FlaskClient) -> None:
    answer = _get(client, "/v1/related?id=nobody&unknown=fallback&limit=2")

    assert answer["article_id"] == "nobody"
    assert [item["source"] for item in answer["items"]] == ["recent", "recent"]
    assert _get(client, "/v1/related?url=nowhere&unknown=fallback")["article_id"] is None


def test_an_article_has_its_facts_topics_and_neighbours_in_time(client: FlaskClient) -> None:
    answer = _get(client, "/v1/article?id=10")

    assert list(answer) == [
        *ITEM_KEYS,
        "tags",
        "authors",
        "type",
        "updated_at",
        "topics",
        "previous",
        "next",
    ]
    assert answer["categories"] == ["Environment", "Politics"]
    assert answer["topics"] == [{"slug": "all", "name": "All things", "share": 1.0}]
    assert (answer["previous"]["id"], answer["next"]["id"]) == ("9", "11")
    assert list(answer["previous"]) == ITEM_KEYS


def test_no_answer_holds_a_body(client: FlaskClient) -> None:
    for path in ("/v1/article?id=9", "/v1/related?id=9", "/v1/articles"):
        assert "lighthouse." not in client.get(path).text


def test_the_newest_articles_come_page_by_page_through_equal_dates(client: FlaskClient) -> None:
    pages = [_get(client, "/v1/articles?limit=2")]
    while pages[-1]["next_cursor"]:
        pages.append(_get(client, f"/v1/articles?limit=2&cursor={pages[-1]['next_cursor']}"))

    ids = [article_id for page in pages for article_id in _ids(page)]
    whole = _get(client, "/v1/articles?limit=50")
    assert ids == _ids(whole)
    assert len(set(ids)) == 14
    assert ids[5:8] == ["%2F", "8", "日本 🗞"]
    assert whole["next_cursor"] is None


def test_the_newest_articles_of_a_category(client: FlaskClient) -> None:
    assert _ids(_get(client, "/v1/articles?category=culture&category=environment")) == [
        "14",
        "13",
        "11",
        "10",
        "9",
        "12",
    ]


def test_the_articles_that_changed_after_a_moment(client: FlaskClient) -> None:
    assert _ids(_get(client, "/v1/articles?updated_after=2026-02-22T09:00:00Z")) == ["14", "13"]


def test_a_text_gets_the_list_of_the_article_it_was_taken_from(client: FlaskClient, model: Model) -> None:
    article = model.articles.article(model.articles.ids.index("9"))
    body = "".join(f"<p>{part}</p><script>x()</script>" for part in article.body.split("\n\n"))
    assert article.published_at is not None

    answer = _post(
        client,
        {
            "title": article.title,
            "body": body,
            "published_at": article.published_at.isoformat(),
            "exclude": ["9"],
        },
    )

    known = _get(client, "/v1/related?id=9")
    assert answer["article_id"] is None
    similar = [item for item in known["items"] if item["source"] == "similar"]
    assert _ids(answer)[: len(similar)] == [item["id"] for item in similar]
    assert answer["items"][0]["score"] == pytest.approx(similar[0]["score"], abs=1e-5)


def test_a_text_takes_the_parameters_of_a_list(client: FlaskClient) -> None:
    answer = _post(
        client, {"body": "storm", "limit": 2, "lang": "en", "category": "environment", "exclude": [10, "11"]}
    )

    assert _ids(answer) == ["14", "9"]
    assert answer["requested"] == 2


def test_the_language_of_a_text_filters_unless_any_is_asked_for(client: FlaskClient) -> None:
    german = {"title": "Sturmflut", "body": "Die Sturmflut traf den Deich an der Küste in der Nacht."}

    assert _ids(_post(client, german)) == ["13"]
    assert _post(client, german | {"lang": "any"})["returned"] == 9
    assert _post(client, german | {"lang": "fr"})["eligible"] == 0


def test_an_answer_known_to_the_caller_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/v1/related?id=a")

    again = client.get("/v1/related?id=a", headers={"If-None-Match": first.headers["ETag"]})
    other = client.get("/v1/related?id=9", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert other.status_code == 200


def test_the_etag_holds_through_the_hour(models_dir: Path) -> None:
    tags = [_etag(models_dir, time) for time in ("13:01:00", "13:59:59", "14:00:00")]

    assert tags[0] == tags[1] != tags[2]


def _etag(models_dir: Path, time: str) -> str:
    app = create_app(
        Settings(models_dir=models_dir), clock=lambda: datetime.fromisoformat(f"2026-03-01T{time}Z")
    )
    return app.test_client().get("/v1/related?id=a").headers["ETag"]


def test_shared_caches_may_keep_lists_for_a_minute(models_dir: Path) -> None:
    app = create_app(Settings(models_dir=models_dir), clock=lambda: NOW + timedelta(minutes=5))

    control = app.test_client().get("/v1/related?id=a").headers["Cache-Control"]

    assert control == "public, max-age=0, s-maxage=60, stale-while-revalidate=30, stale-if-error=300"


def test_no_answer_outlives_the_next_embargo(client: FlaskClient) -> None:
    for path in ("/v1/related?id=a", "/v1/articles", "/v1/article?id=a"):
        assert client.get(path).headers["Cache-Control"] == "public, max-age=0, s-maxage=15"


def test_texts_and_refusals_are_not_kept(client: FlaskClient) -> None:
    refused = client.get("/v1/related?id=nobody")
    text = client.post("/v1/similar", json={"title": "storm"})

    assert refused.headers["Cache-Control"] == text.headers["Cache-Control"] == "no-store"
    assert "ETag" not in text.headers


def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient) -> None:
    got, head = client.get("/v1/related?id=a"), client.head("/v1/related?id=a")

    assert head.headers["ETag"] == got.headers["ETag"]
    assert head.data == b""


def test_answers_are_utf8_and_compact(client: FlaskClient) -> None:
    raw = client.get(f"/v1/article?id={quote('日本 🗞')}").data

    assert '"id":"日本 🗞"'.encode() in raw
    assert json.loads(raw)["title"] == "Budget protest at the library"


def test_every_answer_refuses_to_be_framed_or_sniffed(app: Flask) -> None:
    for path in ("/v1/related?id=a", "/demo/", "/healthz", "/nothing", "/demo/static/site.css"):
        with app.test_client().get(path) as response:
            headers = response.headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
