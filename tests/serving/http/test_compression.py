"""Responses are smaller for clients that accept gzip, and have the same content."""

import gzip
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.http.compression import MIN_BYTES, _compressed_file, _compressed_response
from recommender.settings import Settings
from tests.support.newsroom import NOW

LIST = "/v1/related?id=a&explain=1"
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("path", [LIST, "/demo/", "/widget.js", "/openapi.json", "/demo/static/site.css"])
def test_a_large_response_is_compressed_for_a_client_that_accepts_gzip(
    client: FlaskClient, path: str
) -> None:
    plain, compressed = client.get(path, buffered=True), client.get(path, headers=GZIP, buffered=True)

    assert len(plain.data) >= MIN_BYTES
    assert len(compressed.data) < len(plain.data) / 2
    assert gzip.decompress(compressed.data) == plain.data
    assert compressed.headers["Content-Length"] == str(len(compressed.data))
    assert compressed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in compressed.headers["Vary"]


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br, zstd"])
def test_a_client_that_does_not_accept_gzip_gets_an_uncompressed_response(
    client: FlaskClient, accepted: str
) -> None:
    response = client.get(LIST, headers={"Accept-Encoding": accepted})

    assert "Content-Encoding" not in response.headers
    assert response.get_json()["article_id"] == "a"


def test_a_small_response_is_not_compressed(client: FlaskClient) -> None:
    response = client.get("/v1/related?id=a&limit=1", headers=GZIP)

    assert len(response.data) < MIN_BYTES
    assert "Content-Encoding" not in response.headers


def test_a_client_with_either_form_gets_304(client: FlaskClient) -> None:
    plain, compressed = client.get(LIST).headers["ETag"], client.get(LIST, headers=GZIP).headers["ETag"]

    assert compressed == f"W/{plain}"
    for etag in (plain, compressed):
        for headers in ({}, GZIP):
            again = client.get(LIST, headers={**headers, "If-None-Match": etag})
            assert (again.status_code, again.data) == (304, b"")
            assert again.headers["ETag"] == (compressed if headers else plain)


def test_rules_have_the_strong_etag_that_changing_them_needs(models_dir: Path) -> None:
    key, setting = new_key("desk", ["rules"])
    app = create_app(Settings.read(models_dir=models_dir, write_keys=setting), clock=lambda: NOW)
    client, headers = app.test_client(), GZIP | {"Authorization": f"Bearer {key}"}
    rule = {"kind": "block", "articles": ["a"], "author": "desk", "reason": "long " * 40}
    for number in range(9):
        assert client.put(f"/v1/rules/{number}", json=rule, headers=headers).status_code == 201

    rules = client.get("/v1/rules", headers=headers)
    assert len(rules.data) >= MIN_BYTES
    match = headers | {"If-Match": rules.headers["ETag"]}

    assert client.put("/v1/rules", json={"rules": []}, headers=match).status_code == 200


def test_other_responses_do_not_evict_compressed_files(client: FlaskClient) -> None:
    client.get("/docs/swagger-ui-bundle.js", headers=GZIP)
    misses = _compressed_file.cache_info().misses

    for number in range(100):
        client.get(f"/demo/search?q=storm{number}", headers=GZIP)
    client.get("/docs/swagger-ui-bundle.js", headers=GZIP)

    assert _compressed_response.cache_info().currsize <= 64
    assert _compressed_file.cache_info().misses == misses


def test_head_has_the_headers_of_the_compressed_response(client: FlaskClient) -> None:
    compressed, head = client.get(LIST, headers=GZIP), client.head(LIST, headers=GZIP)

    assert head.data == b""
    for name in ("Content-Length", "Content-Encoding", "ETag"):
        assert head.headers[name] == compressed.headers[name]
