"""Every id in a query or path leads to the right article or to an error."""

from urllib.parse import quote, unquote

import pytest
from flask.testing import FlaskClient

IDS = ["a", "a,b", "%2F", "日本 🗞", "a/related", "https://x/y//z", "/abs"]
WITHOUT_SLASH = [article_id for article_id in IDS if "/" not in article_id]
WITH_SLASH = [article_id for article_id in IDS if "/" in article_id]


@pytest.mark.parametrize("article_id", IDS)
def test_an_id_in_the_query_finds_its_article(client: FlaskClient, article_id: str) -> None:
    encoded = quote(article_id, safe="")

    assert client.get(f"/v1/article?id={encoded}").get_json()["id"] == article_id
    assert client.get(f"/v1/related?id={encoded}").get_json()["article_id"] == article_id


@pytest.mark.parametrize("article_id", [article_id for article_id in WITHOUT_SLASH if article_id != "a"])
def test_an_id_without_a_slash_may_be_in_the_path(client: FlaskClient, article_id: str) -> None:
    encoded = quote(article_id, safe="")

    assert client.get(f"/v1/articles/{encoded}").get_json()["id"] == article_id
    assert client.get(f"/v1/articles/{encoded}/related").get_json()["article_id"] == article_id


@pytest.mark.parametrize("article_id", WITH_SLASH)
@pytest.mark.parametrize("suffix", ["", "/related"])
def test_the_error_for_an_id_with_a_slash_in_the_path_names_the_right_url(
    client: FlaskClient, article_id: str, suffix: str
) -> None:
    response = client.get(f"/v1/articles/{quote(article_id, safe='')}{suffix}")

    endpoint = "related" if suffix else "article"
    assert response.status_code == 404
    assert f"/v1/{endpoint}?id={quote(article_id, safe='')}" in response.get_json()["detail"]


def test_the_error_for_an_ambiguous_path_names_both_urls(client: FlaskClient) -> None:
    response = client.get("/v1/articles/a/related")

    detail = response.get_json()["detail"]
    assert response.status_code == 404
    assert "/v1/article?id=a%2Frelated" in detail
    assert "/v1/related?id=a" in detail


@pytest.mark.parametrize("segment", ["..", ".", "%00", "x" * 513])
@pytest.mark.parametrize("suffix", ["", "/related"])
def test_an_invalid_id_in_the_path_is_named_in_the_error(
    client: FlaskClient, segment: str, suffix: str
) -> None:
    response = client.get(f"/v1/articles/{segment}{suffix}")

    error = response.get_json()["errors"][0]
    assert response.status_code == 400
    assert (error["in"], error["name"], error["value"]) == ("path", "id", unquote(segment)[:100])


@pytest.mark.parametrize("raw", ["\xff", "\xed\xa0\x80"])
def test_a_path_that_is_not_utf8_is_refused(client: FlaskClient, raw: str) -> None:
    response = client.get("/", environ_overrides={"PATH_INFO": f"/v1/articles/{raw}"})

    error = response.get_json()["errors"][0]
    assert response.status_code == 400
    assert (error["in"], error["name"], error["allowed"]) == ("path", "path", "percent-encoded UTF-8")


def test_an_empty_id_in_the_path_is_refused(client: FlaskClient) -> None:
    response = client.get("/v1/articles/")

    assert response.status_code == 400
    assert response.get_json()["errors"][0] == {
        "in": "path",
        "name": "id",
        "value": "",
        "allowed": "an article's id: 1-512 bytes of UTF-8, no NUL, not '.' or '..'",
    }


@pytest.mark.parametrize(
    "path", ["/v1/articles/a/", "/v1/articles//a", "/v1/articles/9/related/", "/v1/articles/9//related"]
)
def test_extra_slashes_are_part_of_the_id(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert "?id=" in response.get_json()["detail"]


@pytest.mark.parametrize("path", ["/v1/articles/{}", "/v1/articles/{}/related", "/v1/page/{}"])
def test_an_id_with_line_breaks_may_be_in_the_path(client: FlaskClient, path: str) -> None:
    response = client.get(path.format("first%0Asecond%0A"))

    problem = response.get_json()
    assert problem["type"].endswith("unknown-article")
    assert "first\\nsecond\\n" in problem["detail"]


def test_no_path_is_redirected(client: FlaskClient) -> None:
    for path in ("/demo", "/demo/", "/v1/articles/9", "/v1/articles/9/", "/v1/related/", "/readyz/"):
        assert client.get(path).status_code not in {301, 302, 307, 308}
