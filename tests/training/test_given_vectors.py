"""Training with vectors of the newsroom: a third cosine in the score of two articles that have one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from recommender.article import Article
from recommender.fixed_point import SCALE
from recommender.model import Model
from recommender.recipe import NeighborLists, Recipe
from recommender.serving.index.fold_in import fold_in
from recommender.training.incremental.retrain import CannotContinueError, Published, retrain
from recommender.training.train import Trained, TrainingError, train
from tests.support.given_vectors import LENGTH, vector_of, with_vectors
from tests.support.sample import NOW
from tests.support.trainings import check_equal
from tests.support.vectors import slow_expanded


@pytest.fixture
def model(trained_with_vectors: Trained) -> Model:
    return trained_with_vectors.model


def three_spaces(model: Model) -> np.ndarray:
    """Return the similarity of all pairs from two cosines or three, (n, n) float64."""
    n, vectors, adapted, given = (
        len(model.articles),
        model.vectors,
        model.manifest.adapted,
        model.articles.vectors,
    )
    assert given is not None
    terms = np.zeros((n, len(model.vocabulary.terms)))
    for row, (start, end) in enumerate(pairwise(vectors.offsets.tolist())):
        terms[row, vectors.columns[start:end]] = vectors.values[start:end]
    latent = vectors.latent[:, :-LENGTH] / np.linalg.norm(vectors.latent[:, :-LENGTH], axis=1, keepdims=True)
    w, u = adapted.latent_weight, adapted.vector_weight
    texts = (1 - w) * terms @ terms.T + w * latent @ latent.T
    both = np.logical_and.outer(given.any(axis=1), given.any(axis=1))
    return np.asarray(np.where(both, (1 - u) * texts + u * (given / SCALE) @ (given / SCALE).T, texts))


def all_scores(model: Model) -> np.ndarray:
    return np.array([model.vectors.scores(model.vectors.of(row), model.latent_weight) for row in range(100)])


def test_the_similarity_of_articles_is_the_mean_of_three_cosines_or_of_two(model: Model) -> None:
    np.testing.assert_allclose(all_scores(model), three_spaces(model), atol=4e-3)


def test_neighbours_are_the_best_of_all_pairs(model: Model) -> None:
    corrections, share = model.corrections, model.corrections.feedback[:, None].astype(np.float64)
    similarity = np.array(
        [model.vectors.scores(model.vectors.of(row), model.latent_weight) for row in range(100)]
    )
    moved = (similarity + share * similarity[corrections.nearest]) / (1 + share) - corrections.hubs
    scores = slow_expanded(moved, corrections, model.copies.first, range(100))
    np.fill_diagonal(scores, -1)

    best = np.sort(scores, axis=1)[:, ::-1][:, :6]
    np.testing.assert_allclose(model.neighbors.scores, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, model.neighbors.rows, axis=1), best, atol=1e-6)


@pytest.mark.parametrize("row", [3, 4])
def test_folding_in_an_unchanged_article_gives_the_values_of_training(model: Model, row: int) -> None:
    folded = fold_in(model, model.articles.article(row))

    assert folded.neighbors.tolist() == model.neighbors.of(row)[0].tolist()
    np.testing.assert_allclose(folded.neighbor_scores, model.neighbors.of(row)[1], atol=1e-5)
    assert folded.nearest == model.corrections.nearest[row]


def test_an_article_without_words_in_common_is_found_by_its_vector(model: Model) -> None:
    twin = model.articles.article(4)
    foreign = Article(id="foreign", title="Xyzzy qwertz plugh", vector=twin.vector)

    assert dict(model.similar(foreign, k=3)).keys() >= {twin.id}
    (best, score), *_ = model.similar(Article(id="vector alone", vector=twin.vector), k=1)
    assert best == twin.id
    assert 0.5 < score <= 1
    assert model.similar(replace(foreign, vector=[1.0, 2.0])) == model.similar(replace(foreign, vector=None))


@pytest.mark.slow
def test_an_incremental_training_equals_one_from_scratch(
    trained_with_vectors: Trained, sample_articles: list[Article]
) -> None:
    before = Published(trained_with_vectors.model, trained_with_vectors.candidates)
    recipe, articles = before.model.manifest.recipe, with_vectors(sample_articles[:104])
    articles[7] = replace(articles[7], vector=vector_of("another model"))
    articles[8] = replace(articles[8], vector=None)

    continued = retrain(articles, recipe, before, now=NOW)

    check_equal(continued, retrain(articles, recipe, before, now=NOW, from_scratch=True))
    assert continued.model.articles.article(7) == articles[7]


def test_vectors_of_another_length_are_not_mixed(
    trained_with_vectors: Trained, sample_articles: list[Article]
) -> None:
    before = Published(trained_with_vectors.model, trained_with_vectors.candidates)
    other = replace(sample_articles[1], id="z", vector=[1.0, 2.0])

    with pytest.raises(CannotContinueError, match=r"vectors of 2 numbers, those of .* have 12"):
        retrain([sample_articles[0], other], before.model.manifest.recipe, before)
    with pytest.raises(TrainingError, match="has 12 numbers, that of 'z' has 2; compute"):
        train([with_vectors(sample_articles[:5])[4], other])


def test_with_a_weight_of_zero_vectors_are_left_out(sample_articles: list[Article]) -> None:
    recipe = Recipe(neighbors=NeighborLists(vector_weight=0))

    model = train(with_vectors(sample_articles[:20]), recipe, now=NOW).model

    assert model.articles.vectors is None
    assert model.manifest.adapted.vector_length == 0
