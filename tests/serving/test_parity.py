"""The text of an article gets the same list as the article."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from recommender.article import Article
from recommender.serving.app import create_app
from recommender.settings import Settings


@pytest.fixture(scope="module")
def client(published: Path) -> FlaskClient:
    return create_app(Settings(models_dir=published)).test_client()


@pytest.mark.parametrize("step", [24, pytest.param(4, marks=pytest.mark.slow)])
def test_the_text_of_an_article_gets_the_list_of_the_article(
    client: FlaskClient, sample_articles: list[Article], step: int
) -> None:
    for article in sample_articles[::step]:
        text = {"title": article.title, "body": article.body, "exclude": [article.id], "limit": 50}
        assert article.published_at

        posted = client.post("/v1/similar", json=text | {"published_at": article.published_at.isoformat()})
        own = client.get("/v1/related", query_string={"id": article.id, "limit": 50})

        posted_items, own_items = posted.get_json()["items"], own.get_json()["items"]
        assert [item["id"] for item in posted_items] == [item["id"] for item in own_items]
        assert [item["source"] for item in posted_items] == [item["source"] for item in own_items]
        scores = [item["score"] for item in own_items if item["score"] is not None]
        assert [item["score"] for item in posted_items if item["score"] is not None] == pytest.approx(
            scores, abs=1e-5
        )
