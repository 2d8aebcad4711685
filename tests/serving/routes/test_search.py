"""The call for search answers a list, and refuses what is no search."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SEARCH = "/v1/search"


def found(client: FlaskClient, **parameters: Any) -> dict[str, Any]:
    answer = client.get(SEARCH, query_string=parameters)
    assert answer.status_code == 200, answer.get_json()
    body: dict[str, Any] = answer.get_json()
    assert body["returned"] == len(body["items"]) == min(body["requested"], body["eligible"])
    return body


def ids(client: FlaskClient, **parameters: Any) -> list[str]:
    return [item["id"] for item in found(client, **parameters)["items"]]


def test_a_search_answers_a_list_of_no_article(client: FlaskClient) -> None:
    body, related = found(client, q="Harbour dre", limit=1), client.get("/v1/related?id=a").get_json()

    assert body["article_id"] is None
    assert (body["requested"], body["eligible"], body["returned"]) == (1, 4, 1)
    assert body.keys() == related.keys()
    assert body["items"][0].keys() == related["items"][0].keys()
    # Of those with both words in their titles the newer.
    assert body["items"][0]["title"] == "Harbour dredging halted"
    assert body["items"][0]["source"] == "similar"
    assert body["items"][0]["score"] > 0


def test_what_is_under_embargo_is_not_found(client: FlaskClient) -> None:
    assert "15" not in ids(client, q="storm inquiry", limit=50)


def test_a_search_stays_in_the_sections_and_the_language_that_it_names(client: FlaskClient) -> None:
    in_politics = found(client, q="harbour", category="politics")["items"]
    assert in_politics
    assert all("Politics" in item["categories"] for item in in_politics)
    assert ids(client, q="st", lang="de") == ["13"]
    assert ids(client, q="harbour", lang="fr") == []


def test_any_script_may_be_searched_for(client: FlaskClient) -> None:
    assert ids(client, q="KÜSTE") == ids(client, q="kuste") == ["13"]
    assert ids(client, q="日本") == []


@pytest.mark.parametrize(
    "query", ["", "q=", f"q={'a' * 201}", "q=a&q=b", "q=%ff", "q=a&limit=0", "q=a&mode=x"]
)
def test_what_is_no_search_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"{SEARCH}?{query}")

    assert answer.status_code == 400
    assert answer.get_json()["type"].endswith("bad-parameter")


def test_a_missing_query_is_told_as_missing(client: FlaskClient) -> None:
    fault = client.get(f"{SEARCH}?limit=3").get_json()["errors"][0]

    assert (fault["in"], fault["name"], fault["value"]) == ("query", "q", None)


def test_200_characters_are_no_more_than_allowed(client: FlaskClient) -> None:
    assert ids(client, q="ü" * 200) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_whatever_is_typed_is_answered(client: FlaskClient, text: str) -> None:
    found(client, q=text)


def test_an_unknown_section_is_refused_with_those_that_there_are(client: FlaskClient) -> None:
    answer = client.get(f"{SEARCH}?q=storm&category=Astrology").get_json()

    assert answer["errors"][0]["name"] == "category"
    assert "Politics" in answer["errors"][0]["allowed"]


def test_a_search_may_be_kept_and_asked_for_again(client: FlaskClient) -> None:
    first = client.get(f"{SEARCH}?q=storm&limit=3")
    again = client.get(f"{SEARCH}?limit=3&q=storm", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"].startswith("public, max-age=0, s-maxage=")
    assert again.status_code == 304
