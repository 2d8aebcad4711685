"""Errors name the wrong value and what is allowed, and the next valid request works."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

VALID = "/v1/related?id=a"


def _refused(client: FlaskClient, response: TestResponse, status: int, kind: str) -> dict[str, Any]:
    """Check a problem response, and that the next valid request works; return its first error."""
    problem = response.get_json()
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert list(problem) == ["type", "title", "status", "detail", "request_id", "errors"]
    assert (problem["type"], problem["status"]) == (kind, status)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert client.get(VALID).status_code == 200
    error: dict[str, Any] = problem["errors"][0] if problem["errors"] else {}
    assert not error or list(error) == ["in", "name", "value", "allowed"]
    return error


@pytest.mark.parametrize(
    ("query", "name", "value", "allowed"),
    [
        ("id=a&limit=0", "limit", "0", "a whole number from 1 to 50"),
        ("id=a&limit=51", "limit", "51", "a whole number from 1 to 50"),
        ("id=a&limit=-1", "limit", "-1", "a whole number from 1 to 50"),
        ("id=a&limit=abc", "limit", "abc", "a whole number from 1 to 50"),
        ("id=a&limit=1e9", "limit", "1e9", "a whole number from 1 to 50"),
        ("id=a&limit=1000000000", "limit", "1000000000", "a whole number from 1 to 50"),
        ("id=a&limit=", "limit", "", "a whole number from 1 to 50"),
        ("id=a&limit=9&limit=9", "limit", "9", "a single value"),
        ("id=a&colour=red", "colour", "red", "one of id, url, limit"),
        ("id=a&explain=yes", "explain", "yes", "0 or 1"),
        ("id=a&explain=2", "explain", "2", "0 or 1"),
        ("id=a&mode=older", "mode", "older", "'related', 'background'"),
        ("id=a&mode=", "mode", "", "'follow_up'"),
        ("id=a&freshness=0.125", "freshness", "0.125", "at most two decimals"),
        ("id=a&freshness=0.200", "freshness", "0.200", "at most two decimals"),
        ("id=a&freshness=1.01", "freshness", "1.01", "from 0 to 1"),
        ("id=a&freshness=-0.1", "freshness", "-0.1", "from 0 to 1"),
        ("id=a&freshness=nan", "freshness", "nan", "from 0 to 1"),
        ("id=a&freshness=0.2&freshness=0.3", "freshness", "0.3", "a single value"),
        ("id=a&diversity=2", "diversity", "2", "from 0 to 1"),
        ("id=a&diversity=0.001", "diversity", "0.001", "at most two decimals"),
        ("id=a&diversity=1e-1", "diversity", "1e-1", "at most two decimals"),
        ("id=a&diversity=", "diversity", "", "from 0 to 1"),
        ("id=a&category=Gardening", "category", "Gardening", "Culture, Economy & Business, Environment"),
        ("id=a&exclude_category=Gardening", "exclude_category", "Gardening", "Politics"),
        ("id=a&lang=english", "lang", "english", "'any' or a language code"),
        ("id=a&lang=zh-", "lang", "zh-", "'any' or a language code"),
        ("id=a&lang=en-US%0A", "lang", "en-US\n", "'any' or a language code"),
        ("id=a&max_age_days=nan", "max_age_days", "nan", "a number from 0"),
        ("id=a&max_age_days=-1", "max_age_days", "-1", "a number from 0"),
        ("id=a&published_after=yesterday", "published_after", "yesterday", "an ISO 8601 date"),
        ("id=a&min_similarity=1.5", "min_similarity", "1.5", "a number from 0 to 1"),
        ("id=a&fallback=maybe", "fallback", "maybe", "'auto' or 'none'"),
        ("id=a&unknown=410", "unknown", "410", "'404' or 'fallback'"),
        ("id=a&exclude=..", "exclude", "..", "article ids"),
        ("id=a&url=b", "id", "a", "exactly one of id and url"),
        ("", "id", None, "exactly one of id and url"),
        ("id=", "id", "", "1-512 bytes"),
        ("id=..", "id", "..", "1-512 bytes"),
        ("id=.", "id", ".", "1-512 bytes"),
        ("id=a%00b", "id", "a\0b", "no NUL"),
        ("id=%ff", "id", "\\xff", "UTF-8"),
        ("id=" + "x" * 513, "id", "x" * 100, "1-512 bytes"),
        ("url=http://[", "url", "http://[", "the URL of an article"),
        ("url=", "url", "", "the article's URL"),
    ],
)
def test_an_invalid_parameter_is_named_in_the_error(
    client: FlaskClient, query: str, name: str, value: str | None, allowed: str
) -> None:
    error = _refused(client, client.get(f"/v1/related?{query}"), 400, "bad-parameter")

    assert (error["in"], error["name"], error["value"]) == ("query", name, value)
    assert allowed in error["allowed"]


def test_all_invalid_parameters_are_named_in_one_response(client: FlaskClient) -> None:
    errors = client.get("/v1/related?id=a&limit=0&lang=english").get_json()["errors"]

    assert [error["name"] for error in errors] == ["limit", "lang"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/article?id=a&limit=2",
        "/v1/articles/a?limit=2",
        "/v1/articles?limit=0",
        "/v1/articles/9/related?id=9",
    ],
)
def test_a_parameter_of_another_endpoint_is_refused(client: FlaskClient, path: str) -> None:
    error = _refused(client, client.get(path), 400, "bad-parameter")

    assert error["name"] == ("id" if "related" in path else "limit")


@pytest.mark.parametrize("cursor", ["x", "%FF", "bm90IGEgY3Vyc29y", "1" * 3000])
def test_a_forged_cursor_is_refused(client: FlaskClient, cursor: str) -> None:
    error = _refused(client, client.get(f"/v1/articles?cursor={cursor}"), 400, "bad-parameter")

    assert error["name"] == "cursor"


def test_too_many_parameters_are_refused(client: FlaskClient) -> None:
    _refused(client, client.get("/v1/related?id=a" + "&exclude=b" * 201), 400, "bad-parameter")
    _refused(client, client.get("/v1/related?id=a" + "&exclude=b" * 2000), 400, "bad-parameter")


@pytest.mark.parametrize(
    ("path", "place", "name", "value"),
    [
        ("/v1/related?id=nobody", "query", "id", "nobody"),
        ("/v1/article?id=nobody", "query", "id", "nobody"),
        ("/v1/article?url=https://courier.example/none", "query", "url", "https://courier.example/none"),
        ("/v1/articles/nobody", "path", "id", "nobody"),
        ("/v1/articles/nobody/related", "path", "id", "nobody"),
        ("/v1/articles/16", "path", "id", "16"),
        ("/v1/related?id=16", "query", "id", "16"),
    ],
)
def test_an_unknown_article_is_named_in_the_error(
    client: FlaskClient, path: str, place: str, name: str, value: str
) -> None:
    error = _refused(client, client.get(path), 404, "unknown-article")

    assert (error["in"], error["name"], error["value"]) == (place, name, value)


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/related/", "/V1/related?id=a", "//v1/related?id=a", "/v1//related?id=a"]
)
def test_an_unknown_path_is_not_found_and_not_normalized(client: FlaskClient, path: str) -> None:
    _refused(client, client.open(path, base_url="http://localhost"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/related?id=a", "GET, HEAD, OPTIONS"),
        ("PATCH", "/v1/articles/a", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("POST", "/v1/article?id=a", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", "/v1/similar", "OPTIONS, POST"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_the_error_for_a_wrong_method_names_the_allowed_methods(
    client: FlaskClient, method: str, path: str, allowed: str
) -> None:
    response = client.open(path, method=method)

    _refused(client, response, 405, "method-not-allowed")
    assert response.headers["Allow"] == allowed
    assert method in response.get_json()["detail"]


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        ({"title": "storm", "limit": 0}, "limit", "0"),
        ({"title": "storm", "limit": True}, "limit", "true"),
        ({"title": "storm", "limit": 9.5}, "limit", "9.5"),
        ({"title": "storm", "colour": "red"}, "colour", "red"),
        ({"title": "storm", "unknown": "fallback"}, "unknown", "fallback"),
        ({"title": "storm", "category": ["Gardening"]}, "category", "Gardening"),
        ({"title": "storm", "exclude": [None]}, "exclude", "null"),
        ({"title": "storm", "published_at": "soon"}, "published_at", "soon"),
        ({"title": "storm", "freshness": 0.125}, "freshness", "0.125"),
        ({"title": "storm", "freshness": 1.5}, "freshness", "1.5"),
        ({"title": "storm", "freshness": True}, "freshness", "true"),
        ({"title": "storm", "diversity": [0.1]}, "diversity", "[0.1]"),
        ({"title": "storm", "mode": None}, "mode", "null"),
        ({"title": "storm", "explain": True}, "explain", "true"),
        ({"title": "storm", "explain": 2}, "explain", "2"),
        ({"title": 5}, "title", "5"),
        ({"title": " ", "body": "<p></p>"}, "title", " "),
        ({}, "title", ""),
    ],
)
def test_an_invalid_field_of_a_body_is_named_in_the_error(
    client: FlaskClient, body: dict[str, Any], name: str, value: str
) -> None:
    error = _refused(client, client.post("/v1/similar", json=body), 400, "bad-body")

    assert (error["in"], error["name"], error["value"]) == ("body", name, value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"title": NaN}',
        b'{"title":"\\ud800"}',
        b"[" * 1000,
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(client: FlaskClient, body: bytes) -> None:
    response = client.post("/v1/similar", data=body, content_type="application/json")

    assert _refused(client, response, 400, "bad-body")["name"] == "body"


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_a_wrong_content_type_is_named_in_the_error(client: FlaskClient, content_type: str | None) -> None:
    response = client.post("/v1/similar", data=b'{"title": "storm"}', content_type=content_type)

    error = _refused(client, response, 415, "unsupported-type")
    assert (error["in"], error["name"], error["value"]) == ("header", "Content-Type", content_type)


def test_a_json_content_type_may_have_a_charset(client: FlaskClient) -> None:
    request = {"data": b'{"title": "storm"}', "content_type": "Application/JSON; charset=utf-8"}

    assert client.post("/v1/similar", **request).status_code == 200


def test_a_body_over_the_limit_is_refused(client: FlaskClient) -> None:
    body = json.dumps({"title": "storm" * 1000}).encode()

    response = client.post("/v1/similar", data=body, content_type="application/json")

    _refused(client, response, 413, "too-large")
    assert "4096 bytes" in response.get_json()["detail"]


def test_a_body_of_exactly_the_limit_is_accepted(client: FlaskClient) -> None:
    body = b'{"title":"storm"}'.ljust(4096)

    assert client.post("/v1/similar", data=body, content_type="application/json").status_code == 200


def test_an_error_shows_at_most_100_characters_of_a_value(client: FlaskClient) -> None:
    errors = client.get(f"/v1/related?id=a&limit={'9' * 500}&{'x' * 500}=1").get_json()["errors"]

    assert [len(error["value"]) for error in errors] == [100, 1]
    assert len(errors[1]["name"]) == 100


def test_the_request_id_of_the_client_is_used_if_it_is_safe(client: FlaskClient) -> None:
    used = client.get("/nothing", headers={"X-Request-ID": "cms-42"})
    replaced = client.get("/nothing", headers={"X-Request-ID": "<script>"})

    assert used.get_json()["request_id"] == "cms-42"
    assert "<" not in replaced.get_json()["request_id"]


def test_an_internal_error_is_logged_and_its_cause_is_not_shown(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("the secret cause")

    with monkeypatch.context() as broken:
        broken.setitem(app.view_functions, "related", fail)
        response = client.get(f"{VALID}&exclude=uncached")

    _refused(client, response, 500, "internal-error")
    assert "secret" not in response.text
    assert "the secret cause" in caplog.text
    assert response.get_json()["request_id"] in caplog.text
