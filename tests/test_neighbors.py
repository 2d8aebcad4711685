"""Top-k selection equals a full stable sort, and scores equal a dense computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recommender.article import Article
from recommender.neighbors import NO_ROW, Neighbors, top_k
from recommender.training.neighbors.pairs import pair_scores
from recommender.training.train import Trained

# Few values, so that ties are many; negative zero equals zero.
scores_with_ties = arrays.arrays(
    np.float32, st.integers(0, 60), elements=st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, -1.0])
)
any_scores = arrays.arrays(np.float32, st.integers(0, 60), elements=st.floats(allow_nan=False, width=32))


def full_sort(scores: np.ndarray, rows: list[int]) -> list[int]:
    return sorted(rows, key=lambda row: (-float(scores[row]), row))


@given(st.one_of(scores_with_ties, any_scores), st.integers(-1, 70))
@settings(deadline=None)
def test_top_k_equals_a_full_stable_sort(scores: np.ndarray, k: int) -> None:
    assert top_k(scores, k).tolist() == full_sort(scores, list(range(len(scores))))[: max(k, 0)]


@given(st.one_of(scores_with_ties, any_scores), st.integers(0, 70), st.data())
@settings(deadline=None)
def test_top_k_among_some_rows_equals_a_full_stable_sort_of_them(
    scores: np.ndarray, k: int, data: st.DataObject
) -> None:
    among = sorted(data.draw(st.sets(st.integers(0, max(len(scores) - 1, 0)), max_size=len(scores))))

    best = top_k(scores, k, np.array(among, dtype=np.int64))

    assert best.tolist() == full_sort(scores, among)[:k]


def test_neighbors_of_a_row_are_returned_without_padding() -> None:
    neighbors = Neighbors(
        rows=np.array([[2, 1, NO_ROW], [NO_ROW] * 3, [0, 1, 3]], dtype=np.int32),
        scores=np.array([[0.5, 0.25, 0], [0, 0, 0], [0.5, 0, 0]], dtype=np.float32),
    )

    lists = [[list(map(float, part)) for part in neighbors.of(row)] for row in range(3)]

    assert lists == [[[2, 1], [0.5, 0.25]], [[], []], [[0, 1, 3], [0.5, 0, 0]]]


@pytest.fixture(scope="module")
def cosines(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """The cosines of all pairs of the sample, by terms and in the latent space, computed slowly."""
    vectors = trained.model.vectors
    terms = np.zeros((len(vectors.offsets) - 1, len(trained.model.vocabulary.terms)))
    for row, dense in enumerate(terms):
        inside = slice(vectors.offsets[row], vectors.offsets[row + 1])
        dense[vectors.columns[inside]] = vectors.values[inside]
    latent = vectors.latent.astype(np.float64)
    return terms @ terms.T, latent @ latent.T


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_scores_equal_the_weighted_cosines(
    trained: Trained, cosines: tuple[np.ndarray, np.ndarray], weight: float
) -> None:
    vectors, (by_terms, latent) = trained.model.vectors, cosines

    scores = np.array([vectors.scores(vectors.of(row), weight) for row in range(len(by_terms))])

    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, (1 - weight) * by_terms + weight * latent, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_pair_scores_equal_the_scores_of_a_row(trained: Trained, weight: float) -> None:
    vectors = trained.model.vectors
    n = len(vectors.offsets) - 1
    right = np.arange(n)

    for row in range(0, n, 25):
        pairs = pair_scores(vectors, weight, np.full(n, row), right)
        np.testing.assert_allclose(pairs, vectors.scores(vectors.of(row), weight), atol=1e-6)


def test_a_query_without_terms_is_similar_to_nothing(trained: Trained) -> None:
    query = trained.model.query(Article(id="1", title="Zzyzx"))

    assert not trained.model.vectors.scores(query.moved, 0.2).any()
    penalties = trained.model.corrections.scores(np.zeros(len(trained.model.articles)))
    np.testing.assert_allclose(trained.model.scores(query), penalties, atol=1e-7)


def test_an_article_is_nearest_to_itself(trained: Trained) -> None:
    model = trained.model

    best = [
        int(np.argmax(model.vectors.scores(model.vectors.of(row), 0.2))) for row in range(len(model.articles))
    ]

    assert best == list(range(len(best)))
