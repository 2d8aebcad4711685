"""Articles that are similar to a text."""

import pytest
from flask.testing import FlaskClient

from recommender.model import Model
from tests.support.responses import get, post_text, sum_of_parts
from tests.support.service import item_ids


def test_a_mode_compares_with_the_date_of_the_text_or_with_now(client: FlaskClient) -> None:
    dated = {"title": "storm", "published_at": "2026-02-21T12:00:00Z", "limit": 50, "lang": "en"}

    assert item_ids(post_text(client, dated | {"mode": "follow_up"})) == ["14", "11"]
    assert "10" in item_ids(post_text(client, dated | {"mode": "background"}))
    assert post_text(client, {"title": "storm", "mode": "follow_up"})["eligible"] == 0
    assert "14" in item_ids(post_text(client, {"title": "storm", "mode": "background", "lang": "en"}))


def test_explain_adds_explanations_to_the_list_of_a_text(client: FlaskClient) -> None:
    first = post_text(client, {"title": "Storm on the marsh", "explain": 1, "freshness": 0})["items"][0]

    assert first["why"]["terms"][0]["term"] in {"storm", "marsh"}
    assert first["why"]["freshness"] == 0
    assert sum_of_parts(first["why"]) == pytest.approx(first["score"], abs=1e-6)


def test_a_text_gets_the_same_list_as_its_article(client: FlaskClient, model: Model) -> None:
    article = model.articles.article(model.articles.ids.index("9"))
    body = "".join(f"<p>{part}</p><script>x()</script>" for part in article.body.split("\n\n"))
    assert article.published_at is not None

    list_of_text = post_text(
        client,
        {
            "title": article.title,
            "body": body,
            "published_at": article.published_at.isoformat(),
            "exclude": ["9"],
        },
    )

    list_of_article = get(client, "/v1/related?id=9")
    assert list_of_text["article_id"] is None
    similar = [item for item in list_of_article["items"] if item["source"] == "similar"]
    assert item_ids(list_of_text)[: len(similar)] == [item["id"] for item in similar]
    assert list_of_text["items"][0]["score"] == pytest.approx(similar[0]["score"], abs=1e-5)


def test_a_text_may_have_the_parameters_of_a_list(client: FlaskClient) -> None:
    similar = post_text(
        client, {"body": "storm", "limit": 2, "lang": "en", "category": "environment", "exclude": [10, "11"]}
    )

    assert item_ids(similar) == ["14", "9"]
    assert similar["requested"] == 2


def test_a_list_is_in_the_language_of_the_text_unless_lang_is_any(client: FlaskClient) -> None:
    german = {"title": "Sturmflut", "body": "Die Sturmflut traf den Deich an der Küste in der Nacht."}

    assert item_ids(post_text(client, german)) == ["13"]
    assert post_text(client, german | {"lang": "any"})["returned"] == 9
    assert post_text(client, german | {"lang": "fr"})["eligible"] == 0
