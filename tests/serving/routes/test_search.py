"""Search returns a list of matching articles, and refuses invalid parameters."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support.sample import NOW

SEARCH = "/v1/search"


def search(client: FlaskClient, **parameters: Any) -> dict[str, Any]:
    response = client.get(SEARCH, query_string=parameters)
    assert response.status_code == 200, response.get_json()
    body: dict[str, Any] = response.get_json()
    assert body["returned"] == len(body["items"]) == min(body["requested"], body["eligible"])
    return body


def ids(client: FlaskClient, **parameters: Any) -> list[str]:
    return [item["id"] for item in search(client, **parameters)["items"]]


def test_a_search_returns_a_list_without_article_id(client: FlaskClient) -> None:
    body, related = search(client, q="Harbour dre", limit=1), client.get("/v1/related?id=a").get_json()

    assert body["article_id"] is None
    assert (body["requested"], body["eligible"], body["returned"]) == (1, 4, 1)
    assert body.keys() - related.keys() == {"corrected_query"}
    assert body["items"][0].keys() - related["items"][0].keys() == {"highlight"}
    assert body["corrected_query"] is None
    # Two titles contain both words; this article is newer.
    assert body["items"][0]["title"] == "Harbour dredging halted"
    assert body["items"][0]["source"] == "similar"
    assert body["items"][0]["score"] > 0


def test_found_words_are_marked_and_typos_are_reported(client: FlaskClient) -> None:
    body = search(client, q="harbor dredgng", limit=1)

    assert body["corrected_query"] == "harbour dredging"
    highlight = body["items"][0]["highlight"]
    assert highlight["title_html"] == "<mark>Harbour</mark> <mark>dredging</mark> halted"
    assert "<mark>" in highlight["snippet_html"]


def test_excerpts_are_left_out_if_texts_are_not_public(published: Path, tmp_path: Path) -> None:
    for snippets, demo in ((True, False), (None, True), (None, False)):
        settings = Settings(
            models_dir=published,
            database_url=f"sqlite:///{tmp_path / 'store.db'}",
            state_file=tmp_path / "state.json",
            live_poll_seconds=0,
            demo=demo,
            search_snippets=snippets,
        )
        body = search(create_app(settings, clock=lambda: NOW).test_client(), q="harbour", limit=1)
        assert (body["items"][0]["highlight"]["snippet_html"] is not None) == (demo or bool(snippets))


def test_an_article_under_embargo_does_not_match(client: FlaskClient) -> None:
    assert "15" not in ids(client, q="storm inquiry", limit=50)


def test_a_search_can_be_filtered_by_category_and_language(client: FlaskClient) -> None:
    in_politics = search(client, q="harbour", category="politics")["items"]
    assert in_politics
    assert all("Politics" in item["categories"] for item in in_politics)
    assert ids(client, q="st", lang="de") == ["13"]
    assert ids(client, q="harbour", lang="fr") == []


@pytest.mark.parametrize("lang", ["de", "DE", "de-AT", "de_CH", "de-Latn-DE"])
def test_a_language_may_have_a_region(client: FlaskClient, lang: str) -> None:
    assert ids(client, q="st", lang=lang) == ["13"]


def test_a_query_may_be_in_any_script(client: FlaskClient) -> None:
    assert ids(client, q="KÜSTE") == ids(client, q="kuste") == ["13"]
    assert ids(client, q="日本") == []


@pytest.mark.parametrize(
    "query", ["", "q=", f"q={'a' * 201}", "q=a&q=b", "q=%ff", "q=a&limit=0", "q=a&mode=x"]
)
def test_an_invalid_search_is_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"{SEARCH}?{query}")

    assert response.status_code == 400
    assert response.get_json()["type"].endswith("bad-parameter")


def test_a_missing_query_is_reported_as_missing(client: FlaskClient) -> None:
    fault = client.get(f"{SEARCH}?limit=3").get_json()["errors"][0]

    assert (fault["in"], fault["name"], fault["value"]) == ("query", "q", None)


def test_a_query_may_have_200_characters(client: FlaskClient) -> None:
    assert ids(client, q="ü" * 200) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_any_text_is_a_valid_query(client: FlaskClient, text: str) -> None:
    search(client, q=text)


def test_the_error_for_an_unknown_category_names_known_categories(client: FlaskClient) -> None:
    problem = client.get(f"{SEARCH}?q=storm&category=Astrology").get_json()

    assert problem["errors"][0]["name"] == "category"
    assert "Politics" in problem["errors"][0]["allowed"]


def test_a_search_is_cacheable_and_can_be_revalidated(client: FlaskClient) -> None:
    first = client.get(f"{SEARCH}?q=storm&limit=3")
    again = client.get(f"{SEARCH}?limit=3&q=storm", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"].startswith("public, max-age=0, s-maxage=")
    assert again.status_code == 304
