"""Articles: the fields of an article, and all public articles in pages, newest first."""

import json
from urllib.parse import quote

from flask.testing import FlaskClient

from tests.support.responses import ITEM_KEYS, get
from tests.support.service import item_ids


def test_an_article_has_its_fields_its_topics_and_its_neighbours_in_time(client: FlaskClient) -> None:
    article = get(client, "/v1/article?id=10")

    assert list(article) == [
        *ITEM_KEYS,
        "tags",
        "authors",
        "type",
        "updated_at",
        "topics",
        "previous",
        "next",
    ]
    assert article["categories"] == ["Environment", "Politics"]
    assert article["topics"] == [{"slug": "all", "name": "All things", "share": 1.0}]
    assert (article["previous"]["id"], article["next"]["id"]) == ("9", "11")
    assert list(article["previous"]) == ITEM_KEYS


def test_no_response_contains_the_body_of_an_article(client: FlaskClient) -> None:
    for path in ("/v1/article?id=9", "/v1/related?id=9", "/v1/articles"):
        assert "lighthouse." not in client.get(path).text


def test_pages_contain_every_article_once_even_with_equal_dates(client: FlaskClient) -> None:
    pages = [get(client, "/v1/articles?limit=2")]
    while pages[-1]["next_cursor"]:
        pages.append(get(client, f"/v1/articles?limit=2&cursor={pages[-1]['next_cursor']}"))

    ids = [article_id for page in pages for article_id in item_ids(page)]
    single_page = get(client, "/v1/articles?limit=50")
    assert ids == item_ids(single_page)
    assert len(set(ids)) == 14
    assert ids[5:8] == ["%2F", "8", "日本 🗞"]
    assert single_page["next_cursor"] is None


def test_the_newest_articles_can_be_filtered_by_category(client: FlaskClient) -> None:
    assert item_ids(get(client, "/v1/articles?category=culture&category=environment")) == [
        "14",
        "13",
        "11",
        "10",
        "9",
        "12",
    ]


def test_updated_after_returns_articles_that_changed_since(client: FlaskClient) -> None:
    assert item_ids(get(client, "/v1/articles?updated_after=2026-02-22T09:00:00Z")) == ["14", "13"]


def test_a_response_is_compact_utf8(client: FlaskClient) -> None:
    raw = client.get(f"/v1/article?id={quote('日本 🗞')}").data

    assert '"id":"日本 🗞"'.encode() in raw
    assert json.loads(raw)["title"] == "Budget protest at the library"
