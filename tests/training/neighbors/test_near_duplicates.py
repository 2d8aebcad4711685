"""All near-duplicates are found, and no other articles."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from recommender.article import Article
from recommender.recipe import NeighborLists, Recipe
from recommender.serving.app import create_app
from recommender.settings import Settings
from recommender.training.neighbors import lists
from recommender.training.terms.adapt import adapt
from recommender.training.train import Trained, train
from tests.support.vectors import unit_rows, vectors_of

# The wire copies of the sample newsroom: retitled, a sentence or two changed.
WIRE = [
    "1016 1017", "1028 1029", "1032 1033", "2006 2007", "2013 2014", "2036 2037", "3010 3011", "3017 3018",
    "3022 3023", "3033 3034", "4009 4010", "4014 4015", "4027 4028", "5019 5020", "5032 5033", "5045 5046",
]  # fmt: skip


def clusters(trained: Trained) -> list[str]:
    """Return the ids of each cluster of copies, in order."""
    model = trained.model
    ids_by_first: dict[int, list[str]] = {}
    for row in model.copies.grouped.tolist():
        ids_by_first.setdefault(int(model.copies.first[row]), []).append(model.articles.ids[row])
    return sorted(" ".join(ids) for ids in ids_by_first.values())


def test_the_wire_copies_of_the_sample_are_found_and_nothing_else(trained: Trained) -> None:
    assert clusters(trained) == WIRE


def test_more_copies_than_neighbours_are_one_cluster() -> None:
    bodies = ["the ferry to the islands sank in the harbour"] * 40 + ["council votes on the budget"] * 20
    articles = [
        Article(id=f"{n:03}", title=f"Story {n}", body=body, lang="en") for n, body in enumerate(bodies)
    ]
    recipe = Recipe.model_validate({"neighbors": {"k": 5}, "terms": {"max_df": 1.0}})

    copies = train(articles, recipe).model.copies

    assert np.unique(copies.first).tolist() == [0, 40]
    assert copies.of(3) == [0, 1, 2, *range(4, 40)]


@pytest.mark.slow
@pytest.mark.parametrize("exact_up_to", [120_000, 0])
def test_a_text_published_thousands_of_times_takes_little_memory(
    exact_up_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "EXACT_UP_TO", exact_up_to)
    draw = np.random.default_rng(5)
    terms = draw.random((6_000, 400)) * (draw.random((6_000, 400)) < 0.1)
    latent = terms @ draw.normal(size=(400, 20))
    terms[:3_000], latent[:3_000] = terms[0], latent[0]
    vectors = vectors_of(unit_rows(terms), unit_rows(latent))
    recipe = Recipe(neighbors=NeighborLists(k=20))
    adapted = adapt(recipe, [Article(id=str(row), title="x") for row in range(6_000)])

    tracemalloc.start()
    built = lists.build_related_lists(vectors, adapted, recipe, threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert np.unique(built.copies.first).tolist() == [0, *range(3_000, 6_000)]
    assert (built.neighbors.rows[:3_000] < 3_000).all()
    assert (built.neighbors.rows[3_000:] >= 3_000).mean() > 0.9
    assert peak < 4 * 6_000**2  # bytes of the scores of all pairs


def test_articles_without_terms_are_not_copies() -> None:
    texts = ["ferry harbour", "ferry island", "the and of", "of and the"]
    articles = [Article(id=str(n), title=text, lang="en") for n, text in enumerate(texts)]

    assert train(articles).model.copies.grouped.tolist() == []


@pytest.fixture(scope="module")
def client(published: Path) -> FlaskClient:
    return create_app(Settings(models_dir=published)).test_client()


def test_a_list_shows_one_of_the_copies_and_names_the_others(client: FlaskClient, trained: Trained) -> None:
    pairs = [set(pair.split()) for pair in WIRE]
    for row in range(0, len(trained.model.articles), 5):
        own = trained.model.articles.ids[row]

        items = client.get("/v1/related", query_string={"id": own, "limit": 50}).get_json()["items"]

        listed = {item["id"] for item in items}
        assert not any(pair <= listed | {own} for pair in pairs)
        for item in items:
            copies = next((sorted(pair - {item["id"]}) for pair in pairs if item["id"] in pair), None)
            assert item["also_published_as"] == copies


def test_excluding_an_article_excludes_its_copies(client: FlaskClient) -> None:
    plain = client.get("/v1/related?id=2030&limit=50").get_json()
    shown, hidden = next(
        (item["id"], item["also_published_as"]) for item in plain["items"] if item["also_published_as"]
    )

    without = client.get(
        "/v1/related", query_string={"id": "2030", "limit": 50, "exclude": hidden}
    ).get_json()

    assert shown not in {item["id"] for item in without["items"]}
    assert without["eligible"] == plain["eligible"] - 1
