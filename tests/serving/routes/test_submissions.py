"""Articles that are added, corrected and withdrawn while the service runs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.article import Article
from recommender.artifact import publish
from recommender.model import Model
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.routes import submissions
from recommender.serving.store import ArticleRow, Store
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

KEY, SETTING = new_key("cms", ["articles"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
UPDATED_AT = "2026-03-01T12:00:00Z"


@pytest.fixture
def app(models_dir: Path) -> Flask:
    settings = Settings(
        models_dir=models_dir, write_keys=(SETTING,), live_poll_seconds=0, max_batch_bytes=500_000
    )
    return create_app(settings, clock=lambda: NOW)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def unchanged(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of a service that refuses all that the tests send, so that they can share it."""
    folder = tmp_path_factory.mktemp("unchanged")
    settings = Settings(
        models_dir=models_dir,
        write_keys=(SETTING,),
        live_poll_seconds=0,
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
    )
    return create_app(settings, clock=lambda: NOW).test_client()


def put(client: FlaskClient, article_id: str = "new", **fields: Any) -> TestResponse:
    body = {"title": "Storm floods the harbour", "updated_at": UPDATED_AT} | fields
    return client.put(f"/v1/articles/{article_id}", json=body, headers=HEADERS)


def withdraw(client: FlaskClient, article_id: str = "new") -> TestResponse:
    return client.delete(f"/v1/articles/{article_id}", headers=HEADERS)


def test_a_new_article_is_shown_at_once(client: FlaskClient) -> None:
    response = put(client, category="Weather", published_at="2026-03-01T12:00:20Z")

    assert response.status_code == 201
    assert response.json is not None
    assert response.json["id"] == "new"
    assert response.json["applied"] is True
    facts = client.get("/v1/articles/new").json
    assert facts is not None
    assert (facts["title"], facts["category"]) == ("Storm floods the harbour", "Weather")
    newest = client.get("/v1/articles?limit=9").json
    assert newest is not None
    assert "new" in [item["id"] for item in newest["items"]]
    assert client.get("/v1/articles/new/related").status_code == 200


def test_an_article_that_is_sent_again_changes_nothing(client: FlaskClient) -> None:
    first, again = put(client).json, put(client)

    assert again.status_code == 200
    assert again.json == first


def test_an_older_version_does_not_replace_a_newer_version(client: FlaskClient) -> None:
    put(client, title="As corrected")

    late = put(client, title="As first written", updated_at="2026-03-01T11:59:59Z")

    assert late.status_code == 200
    assert late.json is not None
    assert late.json["applied"] is False
    facts = client.get("/v1/articles/new").json
    assert facts is not None
    assert facts["title"] == "As corrected"


def test_a_correction_with_the_same_date_replaces_the_article_of_the_model(tmp_path: Path) -> None:
    moment = datetime.fromisoformat(UPDATED_AT)
    publish(build_model([replace(article, updated_at=moment) for article in newsroom()]), tmp_path, now=NOW)
    settings = Settings(models_dir=tmp_path, write_keys=(SETTING,), live_poll_seconds=0)
    client = create_app(settings, clock=lambda: NOW).test_client()

    first, again = put(client, "9"), put(client, "9")

    assert [
        (response.status_code, response.json and response.json["applied"]) for response in (first, again)
    ] == [
        (200, True),
        (200, True),
    ]
    assert first.json == again.json
    facts = client.get("/v1/articles/9").json
    assert facts is not None
    assert facts["title"] == "Storm floods the harbour"


def test_no_response_contains_a_withdrawn_article(client: FlaskClient) -> None:
    put(client, url="https://paper.example/new")

    assert withdraw(client).status_code == 204
    assert withdraw(client).status_code == 204
    for address in ("articles/new", "articles/new/related", "article?url=https://paper.example/new"):
        response = client.get(f"/v1/{address}")
        assert response.status_code == 410
        assert response.json is not None
        assert response.json["type"] == "withdrawn"
        assert response.headers["Cache-Control"] == "no-store"
    assert client.get("/v1/related?id=new&unknown=fallback").status_code == 410
    newest = client.get("/v1/articles?limit=50").json
    assert newest is not None
    assert "new" not in [item["id"] for item in newest["items"]]


def test_corrected_and_withdrawn_articles_do_not_affect_the_scores_of_others(client: FlaskClient) -> None:
    address = "/v1/search?q=harbour dre"
    before = client.get(address).json

    put(client, title="Harbour dredger sinks", updated_at="2026-03-01T11:00:00Z")
    assert client.get(address).json != before
    put(client, title="Storm")
    put(client, "other", title="Harbour")
    withdraw(client)
    withdraw(client, "other")

    assert client.get(address).json == before


def test_an_article_of_the_model_can_be_withdrawn_and_added_again(client: FlaskClient) -> None:
    known = client.get("/v1/articles?limit=1").json
    assert known is not None
    article_id = known["items"][0]["id"]

    withdraw(client, article_id)

    assert client.get(f"/v1/articles/{article_id}").status_code == 410
    late = put(client, article_id, updated_at=UPDATED_AT)
    assert late.json is not None
    assert late.json["applied"] is False
    lifted = put(client, article_id, updated_at=(NOW + timedelta(seconds=1)).isoformat())
    assert lifted.status_code == 200
    assert client.get(f"/v1/articles/{article_id}").status_code == 200


def test_an_article_can_be_withdrawn_before_it_is_sent(client: FlaskClient) -> None:
    assert withdraw(client, "later").status_code == 204

    assert client.get("/v1/articles/later").status_code == 410
    late = put(client, "later").json
    assert late is not None
    assert late["applied"] is False


def test_without_updated_at_the_current_time_is_used_but_lifts_no_withdrawal(client: FlaskClient) -> None:
    for title in ("First", "Second"):
        response = put(client, title=title, updated_at=None).json
        assert response is not None
        assert response["applied"] is True
    facts = client.get("/v1/articles/new").json
    assert facts is not None
    assert facts["title"] == "Second"

    withdraw(client)

    late = put(client, updated_at=None).json
    assert late is not None
    assert late["applied"] is False
    assert client.get("/v1/articles/new").status_code == 410


def test_an_article_under_embargo_is_not_shown_before_its_publication(models_dir: Path) -> None:
    moments = [NOW]
    settings = Settings(models_dir=models_dir, write_keys=(SETTING,), live_poll_seconds=0)
    client = create_app(settings, clock=lambda: moments[-1]).test_client()

    put(client, published_at="2026-03-01T13:00:00Z", status="future")

    assert client.get("/v1/articles/new").status_code == 404
    moments.append(NOW + timedelta(hours=1))
    assert client.get("/v1/articles/new").status_code == 200
    changed = client.get("/v1/articles?updated_after=2026-03-01T12:30:00Z").json
    assert changed is not None
    assert [item["id"] for item in changed["items"]] == ["new"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"status": "draft"}, "status"),
        ({"status": "Entwurf"}, "status"),
        ({"status": "1"}, "status"),
        ({"status": "future"}, "status"),
        ({"Post Status": "draft"}, "Post Status"),
        ({"status": "future", "published_at": "24.12.2026 06:00"}, "published_at"),
        ({"published_at": "Sun, 06 Sep 2026 16:18:00 IST"}, "published_at"),
        ({"published_at": "0000-00-00 00:00:00"}, "published_at"),
        ({"post_password": "open sesame"}, "post_password"),
        ({"title": ""}, "article"),
        ({"title": 7}, "title"),
        ({"published_at": "soon"}, "published_at"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"image_url": "javascript:alert(1)"}, "image_url"),
        ({"colour": "red"}, "colour"),
        ({"id": "another"}, "id"),
        ({"lang": "english"}, "lang"),
        ({"tags": 5}, "tags"),
    ],
)
def test_an_invalid_field_is_named_in_the_error_and_nothing_is_stored(
    unchanged: FlaskClient, fields: dict[str, Any], name: str
) -> None:
    response = put(unchanged, **fields)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["type"] == "bad-body"
    assert response.json["errors"][0]["name"] == name
    assert "open sesame" not in response.json["errors"][0]["allowed"]
    assert unchanged.get("/v1/articles/new").status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"title": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"title": "x"}', "text/plain", 415),
        (b'{"title": "' + b"x" * (1 << 20) + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_not_an_article_is_refused(
    unchanged: FlaskClient, body: bytes, content_type: str, status: int
) -> None:
    response = unchanged.put("/v1/articles/new", data=body, content_type=content_type, headers=HEADERS)

    assert response.status_code == status


@pytest.mark.parametrize("article_id", ["a/related", "a,b", "https://x/y//z", "/abs", "%2F", "日本 🗞"])
def test_an_article_with_any_id_can_be_added_and_withdrawn(client: FlaskClient, article_id: str) -> None:
    query = {"id": article_id}

    added = client.put("/v1/article", query_string=query, json={"title": "Any"}, headers=HEADERS)
    facts = client.get("/v1/article", query_string=query)
    withdrawn = client.delete("/v1/article", query_string=query, headers=HEADERS)

    assert added.status_code in {200, 201}
    assert (facts.status_code, withdrawn.status_code) == (200, 204)
    assert facts.json is not None
    assert facts.json["id"] == article_id
    assert client.get("/v1/article", query_string=query).status_code == 410


def test_an_article_can_be_replaced_by_its_url_again(client: FlaskClient) -> None:
    put(client, url="https://paper.example/new", updated_at=None)
    request = {"query_string": {"url": "paper.example/new"}, "headers": HEADERS}

    statuses = [client.put("/v1/article", json={"title": title}, **request).status_code for title in "AB"]

    facts = client.get("/v1/articles/new").json
    assert facts is not None
    assert statuses == [200, 200]
    assert (facts["title"], facts["url"]) == ("B", "https://paper.example/new")


def test_the_error_for_an_id_with_a_slash_in_the_path_names_the_right_url(client: FlaskClient) -> None:
    response = put(client, "a/related")

    assert response.status_code == 404
    assert response.json is not None
    assert "/v1/article?id=a%2Frelated" in response.json["detail"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_without_a_valid_key_nothing_changes(client: FlaskClient, headers: dict[str, str]) -> None:
    known = client.get("/v1/articles?limit=1").json
    assert known is not None
    article_id = known["items"][0]["id"]

    responses = [
        client.put("/v1/articles/new", json={"title": "x"}, headers=headers),
        client.delete(f"/v1/articles/{article_id}", headers=headers),
        client.post("/v1/articles", json={"articles": []}, headers=headers),
    ]

    assert {response.status_code for response in responses} == {403 if headers else 401}
    assert client.get(f"/v1/articles/{article_id}").status_code == 200


def post(client: FlaskClient, articles: object) -> TestResponse:
    body = json.dumps({"articles": articles})
    return client.post("/v1/articles", data=body, content_type="application/json", headers=HEADERS)


def test_a_batch_stores_its_valid_articles_and_rejects_the_others(client: FlaskClient) -> None:
    put(client, "stored", updated_at=UPDATED_AT)
    older = {"id": "stored", "title": "Old", "updated_at": "2020-01-01"}
    same = {"id": "stored", "title": "Storm floods the harbour", "updated_at": UPDATED_AT}
    valid = {"id": "1st", "title": "First", "updated_at": UPDATED_AT}
    draft = {"id": "2nd", "title": "Second", "status": "draft"}

    response = post(client, [valid, draft, older, same, 7, {"title": "nobody"}]).json

    assert response is not None
    assert (response["accepted"], response["unchanged"]) == (1, 1)
    rejected = [
        (entry["index"], entry["id"], entry["reason"].split(":")[0]) for entry in response["rejected"]
    ]
    assert rejected == [
        (1, "2nd", "status"),
        (2, "stored", "older"),
        (4, None, "wrong type"),
        (5, None, "missing id"),
    ]
    assert client.get("/v1/articles/1st").status_code == 200


def test_a_batch_of_undated_articles_reads_the_store_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, articles_by_id = Queue[int](), Store.articles_by_id

    def counting(store: Store, ids: Sequence[str]) -> dict[str, ArticleRow]:
        reads.put(len(ids))
        return articles_by_id(store, ids)

    monkeypatch.setattr(Store, "articles_by_id", counting)
    articles = [{"id": f"new-{number}", "title": "Storm floods the harbour"} for number in range(50)]
    response = app.test_client().post("/v1/articles", json={"articles": articles}, headers=HEADERS)

    assert response.get_json()["accepted"] == 50
    assert [reads.get(timeout=1) for _ in range(reads.qsize())] == [50]


def test_the_newer_of_two_articles_with_the_same_id_in_a_batch_is_stored(client: FlaskClient) -> None:
    older = {"id": "twice", "title": "Older", "updated_at": UPDATED_AT}

    response = post(client, [older | {"title": "Newer", "updated_at": "2026-03-01T12:00:01Z"}, older]).json

    assert response is not None
    assert response["accepted"] == 1
    assert response["rejected"][0]["index"] == 1
    facts = client.get("/v1/articles/twice").json
    assert facts is not None
    assert facts["title"] == "Newer"


@pytest.mark.parametrize("articles", [None, {}, "x", [{"id": str(n), "title": "x"} for n in range(501)]])
def test_a_batch_is_a_list_of_up_to_500_articles(client: FlaskClient, articles: object) -> None:
    response = post(client, articles)

    assert response.status_code == 400


def test_a_batch_has_no_other_fields(client: FlaskClient) -> None:
    response = client.post("/v1/articles", json={"articles": [], "article": {"id": "9"}}, headers=HEADERS)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["errors"][0]["name"] == "article"
    assert response.json["errors"][0]["value"] == '{"id":"9"}'


def test_html_in_an_article_is_removed(client: FlaskClient) -> None:
    put(
        client,
        title="<b>Bold</b> &amp; new",
        body="<p>One</p><script>alert(1)</script>",
        category="<i>News</i>",
    )

    facts = client.get("/v1/articles/new").json

    assert facts is not None
    assert (facts["title"], facts["category"]) == ("Bold & new", "News")
    assert "body" not in facts


def test_articles_are_stored_without_waiting_for_others_to_be_folded_in(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, resume = Queue[str](), Event()

    def slow_fold_in(model: Model, article: Article) -> FoldedArticle:
        begun.put(article.id)
        resume.wait(30)
        return fold_in(model, article)

    monkeypatch.setattr(submissions, "FOLD_IN_LIMIT", (2, 1, 0.0))
    monkeypatch.setattr(submissions, "fold_in", slow_fold_in)
    settings = Settings(models_dir=models_dir, write_keys=(SETTING,), live_poll_seconds=0)
    app = create_app(settings, clock=lambda: NOW)
    client, first, second = app.test_client(), app.test_client(), app.test_client()
    threads = [Thread(target=put, args=(first, "first")), Thread(target=put, args=(second, "second"))]
    for thread in threads:
        thread.start()
    assert {begun.get(timeout=30), begun.get(timeout=30)} == {"first", "second"}

    third, precomputed = put(client, "third"), client.get("/v1/related?id=a")
    resume.set()
    for thread in threads:
        thread.join()

    assert third.status_code == 201
    assert precomputed.status_code == 200
    statuses = {
        client.get(f"/v1/articles/{article_id}").status_code for article_id in ("first", "second", "third")
    }
    assert statuses == {200}
