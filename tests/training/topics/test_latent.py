"""The latent space: its vectors, its estimator, and corpora that are too small or have few dimensions."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from recommender.recipe import Topics
from recommender.training.topics.fitting import cluster_articles
from recommender.training.topics.latent import LatentSpace, fit_latent_space
from recommender.training.train import Trained
from tests.support.tfidf_rows import rows_of


def test_the_projection_equals_scikit_learns_result(trained: Trained) -> None:
    rows, _ = rows_of(trained)
    space = trained.space
    assert space.estimator is not None

    expected = space.estimator.transform(rows[:, space.terms])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)

    np.testing.assert_allclose(space.project(rows, threads=2), expected, atol=2e-6)


def test_the_latent_space_uses_the_terms_of_highest_df(trained: Trained) -> None:
    rows, df = rows_of(trained)

    space = fit_latent_space(rows, df, 5, Topics(max_terms=100), seed=0)

    assert space.components.shape == (100, 5)
    assert np.all(np.diff(space.terms) > 0)
    assert df[space.terms].min() >= np.delete(df, space.terms).max()


@pytest.mark.parametrize(("n", "n_terms", "components"), [(1, 5, 0), (8, 1, 300), (8, 0, 300), (8, 5, 0)])
def test_too_small_a_corpus_has_no_latent_space(n: int, n_terms: int, components: int) -> None:
    rows = csr_array(np.ones((n, n_terms), dtype=np.float32))

    space = fit_latent_space(rows, np.full(n_terms, n), components, Topics(), seed=0)

    assert space.estimator is None
    assert space.project(rows, threads=1).shape == (n, 0)


def test_articles_without_terms_have_zero_vectors() -> None:
    space = LatentSpace(np.array([0], np.int32), np.array([[3.0, 4.0]], np.float32), None)

    latent = space.project(csr_array(np.array([[2.0, 1.0], [0.0, 1.0], [0.0, 0.0]], np.float32)), threads=1)

    np.testing.assert_allclose(latent, np.array([[0.6, 0.8], [0, 0], [0, 0]]), atol=1e-7)


def test_identical_articles_have_a_latent_space_without_a_warning() -> None:
    rows = csr_array(np.ones((8, 3), dtype=np.float32))

    latent = fit_latent_space(rows, np.full(3, 8), 2, Topics(), seed=0).project(rows, threads=1)

    np.testing.assert_allclose(np.linalg.norm(latent, axis=1), np.ones(8), atol=1e-6)


def test_the_same_rows_give_the_same_space_and_topics(trained: Trained) -> None:
    rows, df = rows_of(trained)
    recipe = Topics(components=30)

    first, second = (
        fit_latent_space(rows, df, recipe.components, recipe, seed=3, threads=threads) for threads in (1, 2)
    )
    latents = [space.project(rows, threads) for space, threads in ((first, 1), (second, 2), (second, 3))]
    clusters = [cluster_articles(latent, 20, recipe, np.arange(len(latent))) for latent in latents]

    assert first.components.tobytes() == second.components.tobytes()
    assert len({latent.tobytes() for latent in latents}) == 1
    assert len({fitted.cluster_centers_.tobytes() for fitted in clusters if fitted is not None}) == 1


@pytest.mark.parametrize(
    "changed", [{"max_fit_articles": 60, "components": 20}, {"max_fit_articles": 1000, "components": 20}]
)
def test_a_space_fitted_on_a_sample_has_vectors_for_every_article(
    trained: Trained, changed: dict[str, Any]
) -> None:
    rows, df = rows_of(trained)
    recipe = Topics(**changed)

    latent = fit_latent_space(rows, df, recipe.components, recipe, seed=0).project(rows, threads=1)
    clusters = cluster_articles(latent, 10, recipe, np.arange(len(latent)))

    np.testing.assert_allclose(np.linalg.norm(latent, axis=1), 1, atol=1e-6)
    assert clusters is not None
    assert clusters.cluster_centers_.shape == (10, latent.shape[1])


def test_the_components_are_the_first_singular_vectors() -> None:
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.normal(size=(n, 20)))[0] for n in (300, 90))
    values = 1.5 ** -np.arange(20.0)
    dense = ((left * values) @ right.T).astype(np.float32)

    space = fit_latent_space(csr_array(dense), np.full(90, 300), 4, Topics(), seed=0, threads=2)

    assert space.estimator is not None
    np.testing.assert_allclose(space.estimator.singular_values_, values[:4], rtol=1e-5)
    np.testing.assert_allclose(np.abs(space.components.T @ right[:, :4]), np.eye(4), atol=1e-4)
    variances = np.var(space.estimator.transform(dense), axis=0)
    np.testing.assert_allclose(space.estimator.explained_variance_, variances, rtol=1e-4)
    assert space.estimator.explained_variance_ratio_.sum() == pytest.approx(
        variances.sum() / np.var(dense, axis=0).sum(), rel=1e-4
    )


def test_components_beyond_the_dimensions_of_the_articles_are_zero() -> None:
    dense = np.outer(np.arange(1, 9), [1.0, 2.0, 0.0, 3.0]).astype(np.float32)

    space = fit_latent_space(csr_array(dense), np.full(4, 8), 3, Topics(), seed=0)

    assert space.components.shape == (4, 3)
    assert np.linalg.norm(space.components, axis=0) == pytest.approx([1, 0, 0], abs=1e-6)
