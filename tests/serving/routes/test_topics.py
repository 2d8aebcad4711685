"""Topics: all topics, the articles of a topic in pages, and nothing under embargo."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient

from recommender.artifact import open_current, publish
from recommender.manifest import Topic
from recommender.model import Model
from recommender.serving.app import create_app
from recommender.serving.lists.related import Related
from recommender.serving.lists.topics import headline
from recommender.settings import Settings
from recommender.topic_space import TopicSpace
from tests.support.newsroom import NOW
from tests.support.responses import get
from tests.support.sample import NOW as NOW_OF_SAMPLE
from tests.support.service import item_ids

PORT, SAVINGS, STORM, SECRET = range(4)


def topic_named(slug: str, name: str) -> Topic:
    return Topic(slug=slug, name=name, terms=slug.split("-"), articles=0, coherence=0.5)


@pytest.fixture(scope="module")
def client(model: Model, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of the tiny newsroom with three topics, and one that has only an article under embargo."""
    topics = [
        topic_named("harbour", "Harbour"),
        topic_named("budget", "Budget"),
        topic_named("sturm-küste", "Sturm, Küste"),
        topic_named("next-year", "Next year"),
    ]
    topic_of_category = {"Economy & Business": PORT, "Politics": SAVINGS, "Environment": STORM}
    ids = list(model.articles.ids)
    first_topic = [topic_of_category.get(model.articles.category[row] or "", -1) for row in range(len(ids))]
    first_topic[ids.index("16")] = SECRET
    space = TopicSpace(np.eye(4, 2, dtype=np.float32), np.array(first_topic, dtype=np.int32))
    manifest = model.manifest.model_copy(update={"topics": topics})
    folder = tmp_path_factory.mktemp("topics")
    publish(replace(model, manifest=manifest, topic_space=space), folder, now=NOW)
    return create_app(Settings(models_dir=folder), clock=lambda: NOW).test_client()


def test_topics_come_largest_first_and_count_their_public_articles(client: FlaskClient) -> None:
    response = get(client, "/v1/topics")

    assert list(response) == ["model_version", "topics"]
    assert response["model_version"].startswith("20260301T120030Z-")
    sizes = [(topic["slug"], topic["articles"]) for topic in response["topics"]]
    assert sizes == [("budget", 5), ("sturm-küste", 5), ("harbour", 3)]
    assert response["topics"][1] == {
        "slug": "sturm-küste", "name": "Sturm, Küste", "terms": ["sturm", "küste"], "articles": 5
    }  # fmt: skip


def test_a_topic_with_only_articles_under_embargo_is_not_shown(client: FlaskClient) -> None:
    assert "Next year" not in client.get("/v1/topics").text
    assert client.get("/v1/topics/next-year").status_code == 404


def test_the_articles_of_a_topic_come_newest_first(client: FlaskClient) -> None:
    response = get(client, f"/v1/topics/{quote('sturm-küste')}")

    assert list(response) == ["topic", "items", "next_cursor"]
    assert response["topic"] == get(client, "/v1/topics")["topics"][1]
    assert item_ids(response) == ["14", "13", "11", "10", "9"]
    assert response["next_cursor"] is None
    assert response["items"][0]["source"] is None


def test_pages_contain_every_article_of_a_topic_once(client: FlaskClient) -> None:
    seen, cursor = [], ""
    while True:
        response = get(client, f"/v1/topics/budget?limit=2{cursor}")
        seen += item_ids(response)
        if response["next_cursor"] is None:
            break
        cursor = f"&cursor={response['next_cursor']}"

    assert seen == item_ids(get(client, "/v1/topics/budget?limit=50"))
    assert sorted(seen) == sorted({"/abs", "%2F", "日本 🗞", "8", "https://x/y//z"})


@pytest.mark.parametrize("slug", ["nothing", "Budget", "budget ", "x" * 300])
def test_an_unknown_topic_is_named_in_the_error(client: FlaskClient, slug: str) -> None:
    response = client.get(f"/v1/topics/{slug}")

    problem = response.get_json()
    error = problem["errors"][0]
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert (problem["type"], problem["detail"]) == ("unknown-topic", f"no topic has the slug {slug[:100]!r}")
    assert (error["in"], error["name"], error["value"]) == ("path", "slug", slug[:100])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/topics?limit=2", "limit"),
        ("/v1/topics/budget?limit=51", "limit"),
        ("/v1/topics/budget?category=Politics", "category"),
        ("/v1/topics/budget?cursor=x", "cursor"),
    ],
)
def test_an_invalid_parameter_is_named_in_the_error(client: FlaskClient, path: str, name: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.get_json()["errors"][0]["name"]) == (400, name)


@pytest.mark.parametrize("path", ["/v1/topics", "/v1/topics/budget"])
def test_responses_are_cached_until_the_next_publication_and_revalidated(
    client: FlaskClient, path: str
) -> None:
    first = client.get(path)

    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "public, max-age=0, s-maxage=15"
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/v1/topics/", "/v1/topics/a/b"])
def test_there_are_no_other_urls_below(client: FlaskClient, path: str) -> None:
    assert client.get(path).get_json()["type"] == "not-found"


def test_the_headline_of_a_topic_is_the_title_of_its_most_typical_public_article(published: Path) -> None:
    related = Related(open_current(published))
    space, latent = related.model.topic_space, related.model.vectors.latent

    for number, topic in enumerate(related.model.manifest.topics):
        cosines = np.where(space.first == number, latent @ space.centroids[number], -1)
        assert (
            headline(related, topic.slug, NOW_OF_SAMPLE)
            == related.model.articles.titles[int(cosines.argmax())]
        )


def test_without_a_model_there_are_no_topics(tmp_path: Path) -> None:
    client = create_app(Settings(models_dir=tmp_path), clock=lambda: NOW).test_client()

    assert client.get("/v1/topics").status_code == 503


def test_a_topic_of_a_real_model_counts_its_articles(published: Path) -> None:
    client = create_app(Settings(models_dir=published)).test_client()

    topics = get(client, "/v1/topics")["topics"]

    assert sum(topic["articles"] for topic in topics) > 200
    for topic in topics:
        assert get(client, f"/v1/topics/{quote(topic['slug'])}?limit=1")["topic"] == topic
