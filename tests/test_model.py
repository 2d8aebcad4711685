"""The results of a model equal slow and obvious computations."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.article import Article
from recommender.embedding import Embedding
from recommender.model import NO_MOMENT, Articles, Model, from_microseconds, microseconds
from recommender.neighbors import Corrections
from recommender.topic_space import TopicSpace
from recommender.training.train import Trained
from tests.support.vectors import slow_expanded

MAY = datetime(2026, 5, 1, 9, 30, 0, 125, tzinfo=UTC)


@pytest.fixture(scope="session")
def model(trained: Trained) -> Model:
    return trained.model


def dense(model: Model, row: int) -> np.ndarray:
    """The TF-IDF of a row with all its zeros, (n_terms,) float64."""
    embedding = model.vectors.of(row)
    values = np.zeros(len(model.vocabulary.terms))
    values[embedding.columns] = embedding.values
    return values


def titled(article_id: str, **fields: Any) -> Article:
    return Article(id=article_id, title="A title", **fields)


def test_articles_round_trip_through_columns(sample_articles: list[Article], model: Model) -> None:
    assert [model.articles.article(row) for row in range(len(model.articles))] == sample_articles


def test_an_article_with_empty_fields_round_trips() -> None:
    bare = Article(id="日本 🗞", body="Only a body.")
    full = titled("a/related", categories=("Law", "law"), tags=("b", "a"), published_at=MAY, lang="en")

    columns = Articles.of([full, bare])

    assert [columns.article(0), columns.article(1)] == [full, bare]


def test_newest_is_sorted_by_date_with_ties_in_row_order_and_undated_last() -> None:
    later = MAY + timedelta(microseconds=1)
    dates = {"a": None, "b": MAY, "c": later, "d": MAY, "e": None}

    columns = Articles.of([titled(name, published_at=date) for name, date in dates.items()])

    assert columns.newest.tolist() == [2, 1, 3, 0, 4]


def test_an_article_is_found_by_any_form_of_its_url() -> None:
    columns = Articles.of(
        [titled("a"), titled("b", url="https://www.courier.example/Law/one/?utm_source=x#top")]
    )

    assert columns.find_url("http://courier.example/Law/one") == 1
    assert columns.find_url("http://courier.example/law/one") is None
    assert columns.find_url("") is None


def test_of_two_articles_with_one_url_the_first_is_found() -> None:
    columns = Articles.of([titled("a", url="https://x.example/1"), titled("b", url="http://x.example/1/")])

    assert columns.find_url("https://x.example/1") == 0


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_round_trips_as_microseconds(moment: datetime) -> None:
    assert from_microseconds(microseconds(moment)) == moment


def test_a_missing_date_sorts_before_every_other() -> None:
    assert from_microseconds(microseconds(None)) is None
    assert microseconds(datetime.min.replace(tzinfo=UTC)) > NO_MOMENT


def test_the_similarity_is_the_weighted_mean_of_both_cosines(model: Model) -> None:
    query, weight = model.vectors.of(7), model.latent_weight
    latent = model.vectors.latent.astype(np.float64)
    by_terms = [dense(model, row) @ dense(model, 7) for row in range(len(model.articles))]

    scores = model.vectors.scores(query, weight)

    slow = (1 - weight) * np.array(by_terms) + weight * (latent @ latent[7])
    np.testing.assert_allclose(scores, slow, atol=1e-6)
    assert scores.dtype == np.float64


def test_a_query_without_known_terms_is_similar_to_nothing(model: Model) -> None:
    query = model.embed(Article(id="new", title="xyzzy qwertz"))

    assert not len(query.columns)
    assert not model.vectors.scores(query, model.latent_weight).any()


def test_a_query_moves_towards_its_nearest_neighbour_and_hubs_are_penalized(model: Model) -> None:
    row, weight = 7, model.latent_weight
    nearest, share = int(model.corrections.nearest[row]), float(model.corrections.feedback[row])
    similarities = [model.vectors.scores(model.vectors.of(other), weight) for other in (row, nearest)]

    scores = model.scores(model.query_of(row))

    slow = (similarities[0] + share * similarities[1]) / (1 + share) - model.corrections.hubs
    np.testing.assert_allclose(
        scores, slow_expanded(slow[None], model.corrections, model.copies.first, [row])[0], atol=1e-6
    )
    assert np.abs(scores - slow).max() > 0.01
    assert share == pytest.approx(similarities[0][nearest], abs=1e-6)
    assert model.corrections.hubs.any()


def test_the_scores_of_a_text_are_those_of_its_moved_query(
    sample_articles: list[Article], model: Model
) -> None:
    for article in sample_articles[::40]:
        query = model.query(article)

        scores = model.scores(query)  # from the similarity to the text, which is known

        assert query.similarity is not None
        assert scores == pytest.approx(model.scores(replace(query, similarity=None)), abs=1e-6)
    assert query.share > 0


def test_the_text_of_an_article_gives_the_same_query_as_the_article(model: Model) -> None:
    for row in range(0, len(model.articles), 9):
        hidden = [row, *model.copies.of(row)]

        asked, known = model.query(model.articles.article(row), hidden), model.query_of(row)

        assert asked.moved.columns.tolist() == known.moved.columns.tolist()
        np.testing.assert_allclose(asked.moved.values, known.moved.values, atol=1e-6)
        np.testing.assert_allclose(asked.moved.latent, known.moved.latent, atol=1e-6)


def test_vectors_by_article_and_by_term_have_the_same_entries(model: Model) -> None:
    v = model.vectors
    rows = np.repeat(np.arange(len(model.articles)), np.diff(v.offsets))
    columns = np.repeat(np.arange(len(model.vocabulary.terms)), np.diff(v.term_offsets))
    order = np.lexsort((rows, v.columns))

    assert np.array_equal(rows[order], v.term_rows)
    assert np.array_equal(v.columns[order], columns)
    assert np.array_equal(v.values[order], v.term_values)


def test_an_article_gets_the_same_embedding_as_in_training(
    sample_articles: list[Article], model: Model
) -> None:
    for row in range(0, len(sample_articles), 25):
        embedding, known = model.embed(sample_articles[row]), model.vectors.of(row)

        assert np.array_equal(embedding.columns, known.columns)
        np.testing.assert_allclose(embedding.values, known.values, atol=1e-6)
        np.testing.assert_allclose(embedding.latent, known.latent, atol=1e-6)


def test_similar_returns_other_articles_best_first_like_the_neighbours(model: Model) -> None:
    rows, scores = model.neighbors.of(3)

    ranked = model.similar(model.articles.ids[3], k=9)

    assert [article_id for article_id, _ in ranked] == [model.articles.ids[row] for row in rows[:9]]
    np.testing.assert_allclose([score for _, score in ranked], scores[:9], atol=1e-6)


def test_similar_accepts_an_article_and_excludes_its_id(sample_articles: list[Article], model: Model) -> None:
    known = sample_articles[3]
    renamed = replace(known, id="not-in-the-model")

    assert [i for i, _ in model.similar(known)] == [i for i, _ in model.similar(known.id)]
    assert model.similar(renamed, k=1)[0][0] == known.id


def test_equally_similar_articles_come_in_id_order(model: Model) -> None:
    nothing = Article(id="new", title="xyzzy")

    alike = replace(model, corrections=Corrections.none(len(model.articles)))

    assert [article_id for article_id, _ in alike.similar(nothing, k=3)] == list(model.articles.ids)[:3]


def test_similar_returns_all_others_if_there_are_fewer_than_k(model: Model) -> None:
    ranked = model.similar(model.articles.ids[0], k=10_000)

    assert len(ranked) == len(model.articles) - 1


def test_similar_raises_an_error_with_an_unknown_id(model: Model) -> None:
    with pytest.raises(KeyError, match="no-such-id"):
        model.similar("no-such-id")


def test_topic_shares_add_up_to_one(model: Model) -> None:
    for latent in model.vectors.latent[::40]:
        shares = model.topic_space.shares(latent)

        assert shares.sum() == pytest.approx(1, abs=1e-6)
        assert shares.argmax() == (model.topic_space.centroids @ latent).argmax()


def test_an_article_at_a_centroid_belongs_to_its_topic() -> None:
    space = TopicSpace(np.eye(3, dtype=np.float32), np.arange(3, dtype=np.int32))

    assert space.shares(space.centroids[1])[1] > 0.9


def test_an_article_without_known_terms_has_no_topic(model: Model) -> None:
    nowhere = np.zeros_like(model.vectors.latent[0])

    assert not model.topic_space.shares(nowhere).any()
    assert model.topics_of(nowhere) == []


def test_topics_are_sorted_by_share_and_limited_to_the_least_share(model: Model) -> None:
    topics = model.topics_of(model.vectors.latent[0], least=0.01)
    shares = [share for _, share in topics]

    assert shares == sorted(shares, reverse=True)
    assert min(shares) >= 0.01
    assert all(topic in model.manifest.topics for topic, _ in topics)


def test_every_embedding_has_nearly_unit_length(model: Model) -> None:
    embeddings: list[Embedding] = [model.vectors.of(row) for row in range(len(model.articles))]

    # Rounding to fixed point makes no vector longer.
    for vectors in ([e.values for e in embeddings], [e.latent for e in embeddings]):
        lengths = [np.linalg.norm(vector.astype(np.float64)) for vector in vectors]
        assert 0.997 < min(lengths) <= max(lengths) <= 1
