"""The estimator follows scikit-learn's contract, and agrees with the model."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from recommender.article import Article
from recommender.recipe import RecipeError
from recommender.training.estimator import RelatedArticles
from recommender.training.evaluation.labels import read_labels
from tests.support.cli import STORIES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labelled(sample_articles: list[Article]) -> tuple[pd.DataFrame, np.ndarray]:
    """The articles of stories as a frame, and the story of each."""
    stories = read_labels(str(STORIES)).stories
    story_of = {article_id: story for story, ids in stories.items() for article_id in ids}
    articles = [article for article in sample_articles if article.id in story_of]
    frame = pd.DataFrame({"title": [a.title for a in articles], "body": [a.body for a in articles]})
    return frame, np.array([story_of[article.id] for article in articles])


@pytest.fixture(scope="module")
def fitted(labelled: tuple[pd.DataFrame, np.ndarray]) -> RelatedArticles:
    return RelatedArticles().fit(*labelled)


def test_scikit_learn_accepts_the_estimator() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # checks that need arrays of numbers
        results = check_estimator(RelatedArticles(), on_skip=None)

    assert {result["status"] for result in results} == {"passed"}


def test_a_clone_has_the_same_parameters_and_is_not_fitted(fitted: RelatedArticles) -> None:
    changed = clone(fitted).set_params(title_weight=2)

    assert changed.get_params()["title_weight"] == 2
    with pytest.raises(NotFittedError):
        changed.kneighbors()


@pytest.mark.slow
def test_neighbors_are_those_of_the_model(fitted: RelatedArticles) -> None:
    distances, rows = fitted.kneighbors(n_neighbors=4)

    similar = fitted.model_.similar(fitted.model_.articles.ids[7], k=4)
    assert [fitted.model_.articles.ids[row] for row in rows[7]] == [article_id for article_id, _ in similar]
    assert distances[7].tolist() == pytest.approx([1 - score for _, score in similar])
    assert not (rows == np.arange(len(rows))[:, None]).any()


@pytest.mark.slow
def test_the_product_of_vectors_is_the_similarity(
    fitted: RelatedArticles, labelled: tuple[pd.DataFrame, np.ndarray]
) -> None:
    vectors = fitted.transform(labelled[0])

    model = fitted.model_
    expected = model.vectors.scores(model.vectors.of(5), model.latent_weight)
    assert (vectors @ vectors[[5]].T).toarray().ravel() == pytest.approx(expected, abs=2e-3)
    assert vectors.shape[1] == len(fitted.get_feature_names_out())


@pytest.mark.slow
def test_a_grid_search_over_the_title_weight(labelled: tuple[pd.DataFrame, np.ndarray]) -> None:
    search = GridSearchCV(
        make_pipeline(RelatedArticles(components=0)),
        {"relatedarticles__title_weight": [1, 4]},
        cv=KFold(2, shuffle=True, random_state=0),
    )

    search.fit(*labelled)

    assert 0.5 < search.best_score_ <= 1
    assert search.best_params_["relatedarticles__title_weight"] in {1, 4}


@pytest.mark.slow
def test_the_vectors_serve_another_estimator(labelled: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, stories = labelled
    classifier = make_pipeline(RelatedArticles(), KNeighborsClassifier(3, metric="cosine"))

    assert classifier.fit(frame, stories).score(frame, stories) > 0.8


@pytest.mark.slow
def test_texts_articles_and_frames_are_the_same(labelled: tuple[pd.DataFrame, np.ndarray]) -> None:
    bodies = labelled[0]["body"]
    given: list[Any] = [
        bodies.tolist(),
        bodies,
        bodies.to_numpy(),
        [Article(id=f"x{9 - n % 10}{n}", body=body, lang="en") for n, body in enumerate(bodies)],
        labelled[0][["body"]],
    ]

    lists = [RelatedArticles(components=0).fit(X).kneighbors(return_distance=False) for X in given]

    assert all(np.array_equal(rows, lists[0]) for rows in lists)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e, _: e.kneighbors(n_neighbors=0), ValueError, "n_neighbors is 0"),
        (lambda e, _: e.kneighbors(n_neighbors=10_000), ValueError, "n_neighbors is 10000"),
        (lambda _, f: RelatedArticles(title_weight=-1).fit(f), RecipeError, "terms.title_weight = -1"),
        (lambda _, f: RelatedArticles().fit(f, [1]), ValueError, "y has 1 values"),
        (lambda _, f: RelatedArticles().fit(f).score(f, [1]), ValueError, r"call fit\(X, y\)"),
        (lambda _, __: RelatedArticles().fit(np.zeros((2, 2))), TypeError, "texts or articles, not ndarray"),
        (
            lambda e, f: e.transform(f.assign(status=["draft", *["publish"] * (len(f) - 1)])),
            ValueError,
            "only 183 are public",
        ),
    ],
)
def test_a_wrong_call_is_a_clear_error(
    call: Any,
    error: type[Exception],
    message: str,
    fitted: RelatedArticles,
    labelled: tuple[pd.DataFrame, np.ndarray],
) -> None:
    with pytest.raises(error, match=message):
        call(fitted, labelled[0])
