"""Vectors of the newsroom in the service: lists of articles and texts, live articles and explanations."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.model import Model
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.lists.query import ANY, ListQuery
from recommender.serving.lists.related import Related
from recommender.settings import Settings
from recommender.training.train import Trained
from tests.support.given_vectors import vector_of
from tests.support.responses import get, post_text, sum_of_parts
from tests.support.sample import NOW
from tests.support.service import item_ids
from tests.support.snapshots import snapshot_with

KEY, SETTING = new_key("cms", ["articles"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
FOREIGN = "Xyzzy qwertz plugh"  # words that no article has


@pytest.fixture
def model(trained_with_vectors: Trained) -> Model:
    return trained_with_vectors.model


@pytest.fixture
def client(model: Model, tmp_path: Path) -> Iterator[Any]:
    publish(model, tmp_path / "models", now=NOW)
    settings = Settings(models_dir=tmp_path / "models", write_keys=(SETTING,), live_poll_seconds=0)
    app = create_app(settings, clock=lambda: NOW)
    yield app.test_client()
    app.extensions["recommender"].store.close()


def put(client: Any, article_id: str, **fields: Any) -> Any:
    return client.put(f"/v1/articles/{article_id}", json={"title": FOREIGN, **fields}, headers=HEADERS)


def test_a_live_article_is_related_to_those_with_a_similar_vector(client: Any, model: Model) -> None:
    twin = model.articles.article(4)

    put(client, "foreign", vector=list(twin.vector or ()), lang="en")

    assert twin.id in item_ids(get(client, "/v1/related?id=foreign&lang=any"))[:3]
    assert "foreign" in item_ids(get(client, f"/v1/related?id={twin.id}&limit=50&freshness=0&lang=any"))


def test_a_text_may_come_with_a_vector_or_be_a_vector_alone(client: Any, model: Model) -> None:
    own, other = model.articles.article(4), model.articles.article(50)
    vector, query = list(other.vector or ()), {"lang": "any", "freshness": 0}

    by_text = post_text(client, {"title": own.title, **query})
    by_both = post_text(client, {"title": own.title, "vector": vector, **query})
    by_vector = post_text(client, {"vector": vector, "explain": 1, **query})

    assert item_ids(by_text)[0] == own.id
    assert other.id not in item_ids(by_text)[:3]
    assert {own.id, other.id} <= {*item_ids(by_both)}
    assert item_ids(by_vector)[0] == other.id
    first = by_vector["items"][0]
    assert sum_of_parts(first["why"]) == pytest.approx(first["score"], abs=1e-6)


def test_a_vector_that_the_model_cannot_use_is_refused_with_the_reason(client: Any) -> None:
    wrong = [[1.0, 2.0], [0.0] * 12, [True] * 12, ["1"] * 12, "1", []]

    by_put = [put(client, "new", vector=vector) for vector in wrong]
    by_post = [client.post("/v1/similar", json={"vector": vector}) for vector in wrong]
    batch = {"articles": [{"id": "new", "title": "Ferry", "vector": wrong[0]}]}
    rejected = client.post("/v1/articles", json=batch, headers=HEADERS).json["rejected"]

    assert [response.status_code for response in by_put + by_post] == [400] * 12
    assert all(response.json["errors"][0]["name"] == "vector" for response in by_put + by_post)
    reason = "it has 2 numbers, those of the model have 12"
    assert reason in by_put[0].json["detail"]
    assert reason in by_post[0].json["detail"]
    assert rejected == [{"index": 0, "id": "new", "reason": f"vector: another length: {reason}"}]
    assert client.get("/v1/articles/new").status_code == 404


def test_explained_parts_add_up_for_articles_with_and_without_vectors(model: Model) -> None:
    two = [model.articles.article(row) for row in (3, 4)]
    live = [replace(article, id=f"live {article.id}", url=None, body=article.body[:400]) for article in two]
    related, has_vector = Related(snapshot_with(model, live)), [row % 3 > 0 for row in range(100)]
    has_vector += [False, True]
    kinds = set()

    for row in range(102):
        for item in related.of_row(row, ListQuery(limit=50, explain=True, lang=ANY), NOW).items:
            if (why := item.why) is not None:
                named = sum(part for _, part in (*why.terms, *why.topics))
                similarity = named + why.other_terms + why.other_topics + why.vector
                score = similarity + why.feedback + why.expansion + why.hub + why.freshness + why.boost
                assert item.score == pytest.approx(score, abs=5e-7)
                assert bool(why.vector) == (has_vector[row] and has_vector[item.row])
                kinds.add((has_vector[row], has_vector[item.row], row >= 100, item.row >= 100))

    assert len({kind[:2] for kind in kinds}) == 4
    assert {kind[2:] for kind in kinds} >= {(False, False), (True, False), (False, True)}


def test_a_fold_in_is_the_same_after_serialization(model: Model) -> None:
    for vector in (vector_of("ferry"), None):
        folded = fold_in(model, Article(id="new", title="Ferry stops in winter", vector=vector))

        read = FoldedArticle.from_bytes(folded.to_bytes(), model)

        assert read.to_bytes() == folded.to_bytes()
        assert read.embedding.rescale == folded.embedding.rescale == read.expanded.rescale
        assert (read.embedding.rescale == 1) == (vector is not None)


def test_copies_among_live_articles_are_found_whether_or_not_they_have_vectors(model: Model) -> None:
    article = replace(model.articles.article(3), id="first", url=None, title="Ferry quay rebuilt")
    copies = [replace(article, id="second"), replace(article, id="third", vector=vector_of("harbour"))]

    related = Related(snapshot_with(model, [article, *copies]))

    row = related.articles.find("first")
    assert row is not None
    assert [related.articles.ids[copy] for copy in related.snapshot.copies.of(row)][-2:] == [
        "second",
        "third",
    ]
