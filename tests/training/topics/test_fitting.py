"""Topics: their number, shares and distinct names, for corpora of any size."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.cluster import AgglomerativeClustering

from recommender.article import Article
from recommender.recipe import Recipe, Topics
from recommender.topic_space import TopicSpace
from recommender.training.topics import fitting
from recommender.training.topics.fitting import (
    _select_topics,
    assign_topics,
    cluster_articles,
    fit_topics,
    topic_count,
)
from recommender.training.topics.naming import NamingTerms, TopicDescription
from recommender.training.train import Trained, train
from tests.support.tfidf_rows import rows_of

NO_ARTICLES = np.zeros(0, dtype=np.int32)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def described(terms: list[int], articles: int, coherence: float, *, is_boilerplate: bool) -> TopicDescription:
    """Describe a topic whose terms are different words."""
    words = [frozenset({str(term)}) for term in terms]
    return TopicDescription(terms, articles, coherence, is_boilerplate, words)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(0, 0), (4, 0), (5, 1), (50, 10), (100, 20), (248, 20), (1_136, 20), (10_653, 48), (37_554, 81),
     (100_000, 120), (174_000, 149), (10_000_000, 150)],
)  # fmt: skip
def test_topics_grow_with_the_corpus_between_20_and_150_but_at_most_one_for_5_articles(
    n: int, expected: int
) -> None:
    assert topic_count(n, Topics()) == expected


def test_the_recipes_number_of_topics_is_used_if_there_are_enough_articles() -> None:
    assert topic_count(10_000, Topics(count=7)) == 7
    assert topic_count(30, Topics(count=7)) == 6


@given(
    arrays.arrays(np.float32, (5, 3), elements=st.floats(-1, 1, width=32)),
    arrays.arrays(np.float32, 3, elements=st.floats(-1, 1, width=32)),
)
@settings(deadline=None)
def test_shares_add_up_to_1_unless_the_vector_is_zero(centroids: np.ndarray, latent: np.ndarray) -> None:
    shares = TopicSpace(centroids, NO_ARTICLES).shares(latent)

    assert shares.dtype == np.float32
    assert np.all(shares >= 0)
    assert float(shares.sum()) == pytest.approx(1 if latent.any() else 0, abs=1e-5)


def test_the_nearest_topic_has_the_largest_share() -> None:
    space = TopicSpace(np.eye(3, dtype=np.float32), NO_ARTICLES)

    shares = space.shares(np.array([0.6, 0.8, 0.0], dtype=np.float32))

    assert np.argsort(-shares).tolist() == [1, 0, 2]
    assert space.shares(np.eye(3, dtype=np.float32)[0])[0] > 0.9


def test_without_topics_there_are_no_shares() -> None:
    space = TopicSpace(np.zeros((0, 4), dtype=np.float32), NO_ARTICLES)

    assert space.shares(np.ones(4, dtype=np.float32)).shape == (0,)


def test_topics_of_the_sample_have_unique_names_slugs_and_terms(trained: Trained) -> None:
    topics = trained.model.manifest.topics

    assert len(topics) == 19
    assert len({topic.name for topic in topics}) == len({topic.slug for topic in topics}) == 19
    assert sum(topic.articles for topic in topics) == len(trained.model.articles)
    assert all(3 <= len(topic.terms) <= 8 for topic in topics)
    assert all(topic.slug == "-".join(topic.slug.split()) for topic in topics)


def test_the_shares_of_every_article_of_the_sample_add_up_to_1(trained: Trained) -> None:
    model = trained.model

    sums = [float(model.topic_space.shares(latent).sum()) for latent in model.vectors.latent]

    assert sums == pytest.approx([1.0] * len(sums))


def test_topics_of_an_article_are_sorted_by_share(trained: Trained) -> None:
    for latent in trained.model.vectors.latent[:20]:
        topics = trained.model.topics_of(latent, least=0.05)
        shares = [share for _, share in topics]
        assert shares == sorted(shares, reverse=True)
        assert all(share >= 0.05 for share in shares)


def test_fewer_distinct_articles_than_clusters_give_fewer() -> None:
    latent = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32)

    fitted = cluster_articles(latent, 3, Topics(), np.arange(4))

    assert fitted is not None
    assert sorted(fitted.cluster_centers_.tolist()) == [[0, 1], [1, 0]]
    assert cluster_articles(latent, 0, Topics(), np.arange(4)) is None
    assert cluster_articles(np.zeros((4, 2), np.float32), 2, Topics(), np.arange(4)) is None


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 4, 5, 9, 12])
def test_a_tiny_corpus_gets_a_suitable_number_of_topics(sample_articles: list[Article], n: int) -> None:
    model = train(sample_articles[:n], now=datetime(2026, 1, 1, tzinfo=UTC)).model

    assert len(model.manifest.topics) == len(model.topic_space.centroids) <= n // 5
    assert model.topic_space.first.shape == (n,)
    assert model.topic_space.shares(model.vectors.latent[0]).shape == (len(model.manifest.topics),)


def test_the_first_topic_of_an_article_is_stored_with_the_model(trained: Trained) -> None:
    space, latent = trained.model.topic_space, trained.model.vectors.latent

    assert space.first.dtype == np.int32
    assert space.first.tolist() == [int(np.argmax(space.shares(row))) for row in latent]
    assert assign_topics(np.zeros((2, latent.shape[1]), np.float32), space.centroids).tolist() == [-1, -1]


def test_the_estimator_predicts_the_first_topics(trained: Trained) -> None:
    assert trained.clusters is not None

    predicted = trained.clusters.predict(trained.model.vectors.latent)

    assert trained.clusters.n_clusters == len(trained.model.manifest.topics)
    assert predicted.tolist() == trained.model.topic_space.first.tolist()


@pytest.mark.slow
def test_topics_are_the_same_for_any_number_of_threads(
    sample_articles: list[Article], trained: Trained
) -> None:
    for threads in (1, 2):
        model = train(sample_articles, now=NOW, threads=threads).model

        assert model.topic_space.centroids.tobytes() == trained.model.topic_space.centroids.tobytes()
        assert model.manifest.topics == trained.model.manifest.topics


def test_topics_of_the_sample_are_coherent_and_not_nearly_empty(trained: Trained) -> None:
    topics = trained.model.manifest.topics

    assert np.mean([topic.coherence for topic in topics]) > 0.4
    assert min(topic.coherence for topic in topics) > -0.1
    assert min(topic.articles for topic in topics) >= 3


def test_no_two_topics_of_the_sample_share_half_their_terms(trained: Trained) -> None:
    terms = [set(topic.terms) for topic in trained.model.manifest.topics]

    assert max(len(left & right) for left, right in combinations(terms, 2)) < 4


@pytest.mark.slow
def test_a_passage_repeated_in_unrelated_articles_is_not_a_topic(sample_articles: list[Article]) -> None:
    words = [
        f"{start}{end}" for start in ("crypto", "puzzle", "podcast", "voucher") for end in "abcdefghijkl"
    ]
    notice = " ".join(words * 8)
    marked = [
        replace(article, body=f"{article.body}\n\n{notice}" if row % 10 == 0 else article.body)
        for row, article in enumerate(sample_articles)
    ]

    topics = train(marked, Recipe(), now=NOW).model.manifest.topics

    assert len(topics) >= 18
    assert not set(words) & {word for topic in topics for term in topic.terms for word in term.split()}


def test_boilerplate_small_similar_and_incoherent_topics_are_not_selected() -> None:
    descriptions = [
        described([1, 2, 3, 4], 10, 0.9, is_boilerplate=True),
        described([5, 6, 7, 8], 2, 0.9, is_boilerplate=False),
        described([9, 10, 11, 12, 13], 10, 0.4, is_boilerplate=False),
        described([9, 10, 11, 12, 14], 30, 0.3, is_boilerplate=False),
        described([15, 16, 17, 18], 10, 0.1, is_boilerplate=False),
        described([19, 20, 21, 12], 10, 0.2, is_boilerplate=False),
    ]

    selected = _select_topics(np.eye(6, dtype=np.float32), descriptions, count=2)

    merged = np.array([0, 0, 1, 3, 0, 0]) / np.sqrt(10)
    np.testing.assert_allclose(selected, [merged, [0, 0, 0, 0, 0, 1]], atol=1e-6)


def test_if_no_topic_qualifies_all_are_candidates() -> None:
    descriptions = [
        described([1], 10, 0.9, is_boilerplate=True),
        described([2], 10, 0.1, is_boilerplate=True),
    ]

    assert len(_select_topics(np.eye(2, dtype=np.float32), descriptions, count=2)) == 2


def test_a_topic_counts_all_articles_even_if_a_sample_names_it(
    trained: Trained, sample_articles: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_NAMING_ARTICLES", 100)
    latent, terms = trained.model.vectors.latent, trained.model.vocabulary.terms
    rows, df = rows_of(trained)
    articles = sorted(sample_articles, key=lambda article: article.id.encode())

    naming = partial(NamingTerms.of, rows, df, terms, str)
    fitted = fit_topics(latent, naming, articles, Topics(count=8), seed=0, threads=2)

    assert [topic.articles for topic in fitted.topics] == np.bincount(fitted.space.first).tolist()
    assert sum(topic.articles for topic in fitted.topics) == len(sample_articles)
    assert all(topic.terms for topic in fitted.topics)


def test_ward_clusters_equal_those_of_scikit_learn() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)

    ours = fitting._ward_clusters(rows.astype(np.float32), 7)
    expected = AgglomerativeClustering(7).fit_predict(rows)

    assert len(set(zip(ours.tolist(), expected.tolist(), strict=True))) == len(set(ours.tolist())) == 7
