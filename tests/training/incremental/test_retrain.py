"""An incremental training equals one that uses the same vocabulary and computes everything else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from recommender.article import Article
from recommender.artifact import open_current, publish
from recommender.model_arrays import arrays_of
from recommender.recipe import Freshness, Gate, NeighborLists, Recipe, Terms
from recommender.training.incremental import known_terms
from recommender.training.incremental.retrain import (
    CannotContinueError,
    Published,
    retrain,
    train_incrementally,
)
from recommender.training.neighbors import kept, lists
from recommender.training.terms.counting import TermCounts, count_terms
from recommender.training.train import Trained, train
from tests.support.sample import NOW
from tests.support.trainings import check_equal
from tests.support.workers import CopyingWorkers

pytestmark = pytest.mark.slow

RECIPE = Recipe(neighbors=NeighborLists(k=3))  # so that articles have more candidates than are stored
FITTED = 80


@pytest.fixture(scope="module")
def base(sample_articles: list[Article]) -> Trained:
    return train(sample_articles[:FITTED], RECIPE, now=NOW)


@pytest.fixture(scope="module")
def published(base: Trained) -> Published:
    return Published(base.model, base.candidates)


def added(articles: list[Article]) -> list[Article]:
    return articles[: FITTED + 5]


def removed(articles: list[Article]) -> list[Article]:
    return [*articles[3:20], *articles[23:FITTED]]


def changed(articles: list[Article]) -> list[Article]:
    return [
        replace(article, body=articles[row + 1].body) if row % 20 == 0 else article
        for row, article in enumerate(articles[:FITTED])
    ]


def copied(articles: list[Article]) -> list[Article]:
    """Add so many copies of one article that they fill its candidates."""
    copies = [replace(articles[7], id=f"copy {number}", url=None) for number in range(30)]
    return [*articles[:FITTED], *copies]


def mixed(articles: list[Article]) -> list[Article]:
    return [*copied(changed(articles))[5:], *articles[FITTED : FITTED + 9]]


CORPORA = [
    mixed,
    *(pytest.param(corpus, marks=pytest.mark.slow) for corpus in (added, removed, changed, copied)),
]


@pytest.fixture(params=[8, 1], ids=["all lists", "few lists"])
def lists_are_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a small corpus most scores change with a new article, so all lists would be made again."""
    monkeypatch.setattr(kept, "_MOST_DIFFERENT", request.param)


@pytest.mark.usefixtures("lists_are_kept")
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_array_equals_that_of_a_training_with_the_same_vocabulary(
    published: Published, sample_articles: list[Article], corpus: Callable[[list[Article]], list[Article]]
) -> None:
    articles = corpus(sample_articles)

    continued = retrain(articles, RECIPE, published, now=NOW)

    check_equal(continued, retrain(articles, RECIPE, published, now=NOW, from_scratch=True))


@pytest.mark.slow
def test_the_second_incremental_training_is_exact_too(
    published: Published, sample_articles: list[Article]
) -> None:
    first = retrain(mixed(sample_articles), RECIPE, published, now=NOW)
    following = Published(first.model, first.candidates)
    articles = added(sample_articles)

    continued = retrain(articles, RECIPE, following, now=NOW)

    check_equal(continued, retrain(articles, RECIPE, following, now=NOW, from_scratch=True))


def test_the_unchanged_corpus_keeps_its_vectors_lists_and_topics(
    base: Trained, published: Published, sample_articles: list[Article]
) -> None:
    continued = retrain(sample_articles[:FITTED], RECIPE, published, now=NOW)

    before, after = dict(arrays_of(base.model)), dict(arrays_of(continued.model))
    assert [name for name in before if before[name].tobytes() != after[name].tobytes()] == []
    assert continued.model.manifest.topics == base.model.manifest.topics


def test_only_new_and_changed_articles_are_counted_and_scored(
    published: Published, sample_articles: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def count(articles: Sequence[Article], *rest: Any) -> TermCounts:
        counted.append(len(articles))
        return count_terms(articles, *rest)

    monkeypatch.setattr(known_terms, "count_terms", count)
    monkeypatch.setattr(lists, "offer_all_pairs", None)

    retrain(added(sample_articles), RECIPE, published, now=NOW)

    assert counted == [5, FITTED]  # and unchanged ones to compare their unknown words with


def test_the_fitted_parts_stay_and_the_manifest_says_so(
    base: Trained, published: Published, sample_articles: list[Article]
) -> None:
    continued = retrain(added(sample_articles), RECIPE, published, now=NOW).model

    assert continued.vocabulary is base.model.vocabulary
    assert continued.manifest.adapted == base.model.manifest.adapted
    assert continued.manifest.drift is not None
    assert continued.manifest.drift.changed_articles == 5
    assert continued.manifest.corpus.articles == FITTED + 5
    assert sum(topic.articles for topic in continued.manifest.topics) == np.count_nonzero(
        continued.topic_space.first >= 0
    )


class CountingWorkers(CopyingWorkers):
    """Workers that count the calls of `map`."""

    calls = 0

    def map(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        type(self).calls += 1
        return super().map(function, calls)


@pytest.mark.slow
def test_a_corpus_that_has_drifted_is_fitted_again_by_the_workers(
    published: Published, sample_articles: list[Article]
) -> None:
    articles, notes = added(sample_articles), list[str]()

    trained = train_incrementally(
        articles, RECIPE, published, max_drift=0.05, now=NOW, note=notes.append, workers=CountingWorkers(2)
    )
    continued = train_incrementally(articles, RECIPE, published, max_drift=0.06, now=NOW, note=notes.append)

    assert trained.model.manifest.drift is None
    assert continued.model.manifest.drift is not None
    check_equal(trained, train(articles, RECIPE, now=NOW, previous=published.model))
    assert CountingWorkers.calls == 2  # words, then pairs
    assert len(notes) == 1
    assert "5 articles are new or changed and 0 removed" in notes[0]


def test_a_published_version_is_continued(
    base: Trained, sample_articles: list[Article], tmp_path: Path
) -> None:
    publish(base.model, tmp_path, now=NOW, extra_files=base.extra_files())
    model = open_current(tmp_path)

    continued = retrain(added(sample_articles), RECIPE, Published.of(model, tmp_path, RECIPE), now=NOW)
    publish(continued.model, tmp_path, now=NOW, extra_files=continued.extra_files())

    drift = open_current(tmp_path).manifest.drift
    assert drift is not None
    assert drift.fitted == model.manifest.version


def test_other_recipes_are_not_continued_and_the_keys_are_named(base: Trained, tmp_path: Path) -> None:
    publish(base.model, tmp_path, now=NOW, extra_files=base.extra_files())
    model = open_current(tmp_path)
    others = {
        "neighbors.k": RECIPE.model_copy(update={"neighbors": NeighborLists(k=4)}),
        "terms.min_df, terms.max_df": RECIPE.model_copy(update={"terms": Terms(min_df=3, max_df=0.4)}),
        "seed": RECIPE.model_copy(update={"seed": 1}),
    }
    same = RECIPE.model_copy(update={"gate": Gate(min_articles=2), "freshness": Freshness(half_life_days=9)})

    for keys, recipe in others.items():
        with pytest.raises(CannotContinueError, match=rf"\({keys}\)$"):
            Published.of(model, tmp_path, recipe)
    Published.of(model, tmp_path, same)


def test_a_version_of_other_libraries_is_not_continued(base: Trained, tmp_path: Path) -> None:
    manifest = base.model.manifest
    libraries = manifest.libraries | {"numpy": "1.0"}
    model = replace(base.model, manifest=manifest.model_copy(update={"libraries": libraries}))

    with pytest.raises(CannotContinueError, match=r"other versions of numpy$"):
        Published.of(model, tmp_path, RECIPE)


def test_a_version_without_candidates_is_not_continued(base: Trained, tmp_path: Path) -> None:
    publish(base.model, tmp_path, now=NOW)

    with pytest.raises(CannotContinueError, match=r"candidates\.offsets\.npy"):
        Published.of(open_current(tmp_path), tmp_path, RECIPE)


def test_the_estimators_of_an_incremental_training_give_its_vectors(
    published: Published, sample_articles: list[Article]
) -> None:
    articles = added(sample_articles)
    continued = retrain(articles, RECIPE, published, now=NOW)
    estimators, model = continued.estimators(), continued.model

    tfidf = estimators["vectorizer"].transform(model.articles.article(row) for row in range(len(articles)))
    latent = estimators["svd"].transform(tfidf[:, estimators["latent_terms"]])
    latent /= np.maximum(np.linalg.norm(latent, axis=1, keepdims=True), 1e-12)

    assert isinstance(estimators["svd"], TruncatedSVD)
    np.testing.assert_allclose(latent, model.vectors.latent, atol=2e-3)
    first = estimators["topics"].predict(model.vectors.latent)
    assert (first == model.topic_space.first).mean() > 0.95
