"""Answers are smaller for who takes them compressed, and the same."""

import gzip
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.http.compression import MIN_BYTES, _answer, _file
from recommender.settings import Settings
from tests.support.newsroom import NOW

LIST = "/v1/related?id=a&explain=1"
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("path", [LIST, "/demo/", "/widget.js", "/openapi.json", "/demo/static/site.css"])
def test_a_large_answer_is_compressed_for_who_takes_it(client: FlaskClient, path: str) -> None:
    plain, small = client.get(path, buffered=True), client.get(path, headers=GZIP, buffered=True)

    assert len(plain.data) >= MIN_BYTES
    assert len(small.data) < len(plain.data) / 2
    assert gzip.decompress(small.data) == plain.data
    assert small.headers["Content-Length"] == str(len(small.data))
    assert small.headers["Content-Type"] == plain.headers["Content-Type"]
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in small.headers["Vary"]


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br, zstd"])
def test_who_does_not_take_it_gets_it_as_it_is(client: FlaskClient, accepted: str) -> None:
    answer = client.get(LIST, headers={"Accept-Encoding": accepted})

    assert "Content-Encoding" not in answer.headers
    assert answer.get_json()["article_id"] == "a"


def test_a_small_answer_is_left_as_it_is(client: FlaskClient) -> None:
    answer = client.get("/v1/related?id=a&limit=1", headers=GZIP)

    assert len(answer.data) < MIN_BYTES
    assert "Content-Encoding" not in answer.headers


def test_who_has_kept_either_form_is_told_that_it_has_not_changed(client: FlaskClient) -> None:
    plain, small = client.get(LIST).headers["ETag"], client.get(LIST, headers=GZIP).headers["ETag"]

    assert small == f"W/{plain}"
    for etag in (plain, small):
        for headers in ({}, GZIP):
            again = client.get(LIST, headers={**headers, "If-None-Match": etag})
            assert (again.status_code, again.data) == (304, b"")
            assert again.headers["ETag"] == (small if headers else plain)


def test_rules_keep_the_etag_that_changing_them_needs(models_dir: Path) -> None:
    key, setting = new_key("desk", ["rules"])
    app = create_app(Settings.read(models_dir=models_dir, write_keys=setting), clock=lambda: NOW)
    context, headers = app.test_client(), GZIP | {"Authorization": f"Bearer {key}"}
    rule = {"kind": "block", "articles": ["a"], "author": "desk", "reason": "long " * 40}
    for number in range(9):
        assert context.put(f"/v1/rules/{number}", json=rule, headers=headers).status_code == 201

    read = context.get("/v1/rules", headers=headers)
    assert len(read.data) >= MIN_BYTES
    match = headers | {"If-Match": read.headers["ETag"]}

    assert context.put("/v1/rules", json={"rules": []}, headers=match).status_code == 200


def test_files_stay_compressed_whatever_else_is_asked_for(client: FlaskClient) -> None:
    client.get("/docs/swagger-ui-bundle.js", headers=GZIP)
    made = _file.cache_info().misses

    for number in range(100):
        client.get(f"/demo/search?q=storm{number}", headers=GZIP)
    client.get("/docs/swagger-ui-bundle.js", headers=GZIP)

    assert _answer.cache_info().currsize <= 64
    assert _file.cache_info().misses == made


def test_head_tells_of_the_compressed_answer(client: FlaskClient) -> None:
    small, head = client.get(LIST, headers=GZIP), client.head(LIST, headers=GZIP)

    assert head.data == b""
    for name in ("Content-Length", "Content-Encoding", "ETag"):
        assert head.headers[name] == small.headers[name]
