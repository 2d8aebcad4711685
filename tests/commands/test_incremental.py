"""`recommender train --incremental`: what it keeps, what it prints, and when it fits everything."""

import json
from pathlib import Path

import pytest

from recommender.artifact import current_version, open_current
from recommender.model_arrays import arrays_of
from tests.support.cli import SAMPLE, Run

pytestmark = pytest.mark.slow


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A file of 60 articles."""
    path = tmp_path / "sample.jsonl"
    path.write_text("".join(SAMPLE.read_text().splitlines(keepends=True)[:60]))
    return path


def add(path: Path, *articles: dict[str, str]) -> None:
    path.write_text(path.read_text() + "".join(json.dumps(article) + "\n" for article in articles))


def test_the_current_version_is_continued(run: Run, corpus: Path) -> None:
    run("train", corpus)
    first = current_version("models")
    vocabulary = list(open_current("models").vocabulary.terms)
    add(
        corpus,
        {"id": "new", "title": "Ferry stops at the harbour", "body": "The council waits.", "lang": "en"},
    )

    ended = run("train", corpus, "--incremental")

    model = open_current("models")
    assert ended.status == 0
    assert "note" not in ended.err
    assert f"Continues        {first}; 1 changes since" in ended.out
    assert list(model.vocabulary.terms) == vocabulary
    assert model.articles.ids.find("new") is not None
    assert model.manifest.drift is not None
    assert model.manifest.drift.fitted == first


@pytest.mark.slow
def test_an_incremental_training_follows_another_one(run: Run, corpus: Path) -> None:
    run("train", corpus)
    first = current_version("models")
    for number in range(2):
        add(corpus, {"id": f"new {number}", "title": "Ferry", "body": "The council waits.", "lang": "en"})
        run("train", corpus, "--incremental")

    drift = open_current("models").manifest.drift

    assert drift is not None
    assert (drift.fitted, drift.changed_articles) == (first, 2)


def test_without_a_version_everything_is_fitted(run: Run, corpus: Path) -> None:
    ended = run("train", corpus, "--incremental")

    assert ended.status == 0
    assert "note: everything is fitted again: there is no current version in models" in ended.err
    assert open_current("models").manifest.drift is None


@pytest.mark.slow
def test_another_recipe_is_named_and_everything_is_fitted(run: Run, corpus: Path, tmp_path: Path) -> None:
    run("train", corpus)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[neighbors]\nk = 7\n")

    ended = run("train", corpus, "--incremental", "--recipe", recipe)

    assert ended.status == 0
    assert "was trained with another recipe (neighbors.k)" in ended.err
    assert open_current("models").manifest.drift is None


@pytest.mark.slow
def test_above_the_limit_the_result_is_that_of_a_full_training(run: Run, corpus: Path) -> None:
    run("train", corpus)
    add(
        corpus,
        {"id": "new", "title": "Ferry stops at the harbour", "body": "The council waits.", "lang": "en"},
    )

    ended = run("train", corpus, "--incremental", "--max-drift", "0.01")

    continued = dict(arrays_of(open_current("models")))
    run("train", corpus)
    full = dict(arrays_of(open_current("models")))
    assert "1 articles are new or changed and 0 removed" in ended.err
    assert "the limit is 1.0%" in ended.err
    assert [name for name in full if full[name].tobytes() != continued[name].tobytes()] == []


@pytest.mark.parametrize("limit", ["-0.1", "1.1", "many"])
def test_an_impossible_limit_is_a_usage_error(run: Run, corpus: Path, limit: str) -> None:
    ended = run("train", corpus, "--incremental", "--max-drift", limit)

    assert ended.status == 2
    assert "--max-drift" in ended.err
