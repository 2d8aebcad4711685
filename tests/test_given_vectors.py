"""Vectors of the newsroom: which are accepted, and how they are stored."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.article import Article, InvalidArticleError
from recommender.artifact import ArtifactError, open_current, publish
from recommender.given_vectors import GivenVector, VectorError
from recommender.model_arrays import arrays_of
from recommender.training.train import Trained

NUMBERS = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300, allow_subnormal=False))


@given(NUMBERS.filter(np.any), st.sampled_from([1, 1e-3, 7.0]))
def test_only_the_direction_counts_and_json_keeps_it(numbers: np.ndarray, factor: float) -> None:
    vector = GivenVector.of(numbers)
    article = Article(id="1", title="Ferry", vector=vector)
    unit = numbers / np.abs(numbers).max()

    np.testing.assert_allclose(list(vector), unit / np.linalg.norm(unit), atol=0.002)
    assert GivenVector.of((factor * numbers).tolist() if np.any(factor * numbers) else numbers) == vector
    assert GivenVector.of(vector.to_list()) == vector
    assert Article.from_json(article.to_json()) == article


@pytest.mark.parametrize(
    "value",
    [
        [], [0, 0.0], [1, float("nan")], [1, float("inf")], [10**400], [1, "2"], [1, None], [True, 0.5],
        [[1, 2]],
        [1] * 8193, "1 2", "[1, 2", "[" * 100_000, '{"1": 2}', {"1": 2}, b"12", 5, "[1, NaN]",
    ],
    ids=lambda value: repr(value)[:12],
)  # fmt: skip
def test_anything_but_a_list_of_finite_numbers_is_refused(value: Any) -> None:
    with pytest.raises(VectorError):
        GivenVector.of(value)
    with pytest.raises(InvalidArticleError, match=r"article '7': vector: "):
        Article(id="7", title="Ferry", vector=value)


@pytest.mark.parametrize("n", [1, 37, 97, 1000, 8192])
def test_a_vector_of_equal_numbers_stays_as_it_is_too(n: int) -> None:
    for numbers in ([1.0] * n, [3.0] + [0.9] * (n - 1)):  # the same rounding error adds up
        vector = GivenVector.of(numbers)

        assert GivenVector.of(vector.to_list()) == vector


@pytest.mark.parametrize("size", [1.7e308, 1e200, 1e-200, 5e-324])
def test_the_largest_and_smallest_numbers_have_a_direction(size: float) -> None:
    assert GivenVector.of([size, size, 0.0, -size]) == GivenVector.of([1.0, 1.0, 0.0, -1.0])


def test_a_published_model_returns_the_articles_with_their_vectors(
    trained_with_vectors: Trained, tmp_path: Path
) -> None:
    model = trained_with_vectors.model
    publish(model, tmp_path)

    opened = open_current(tmp_path)

    expected = [model.articles.article(row) for row in range(len(model.articles))]
    assert [opened.articles.article(row) for row in range(len(expected))] == expected
    assert sum(article.vector is not None for article in expected) == 66
    assert opened.embed(expected[4]).latent.tolist() == opened.vectors.of(4).latent.tolist()


def test_a_model_without_vectors_has_no_further_arrays(
    trained: Trained, trained_with_vectors: Trained
) -> None:
    plain, given_too = (dict(arrays_of(each.model)).keys() for each in (trained, trained_with_vectors))

    assert given_too - plain == {"articles.vectors", "vectors.rescale"}


def test_a_model_that_lacks_an_array_of_its_vectors_is_not_opened(
    trained_with_vectors: Trained, tmp_path: Path
) -> None:
    model = trained_with_vectors.model
    publish(replace(model, vectors=replace(model.vectors, rescale=None)), tmp_path)

    with pytest.raises(ArtifactError, match=r"articles\.vectors or vectors\.rescale is missing"):
        open_current(tmp_path)
