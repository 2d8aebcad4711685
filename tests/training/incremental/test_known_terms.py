"""The terms of articles by a given vocabulary equal those of serving."""

import numpy as np

from recommender.article import Article
from recommender.training.incremental.known_terms import KnownTerms
from recommender.training.train import Trained


def test_rows_equal_those_of_training_and_serving(trained: Trained, sample_articles: list[Article]) -> None:
    model = trained.model
    new = Article(id="new", title="A harbour of zzyx", body="The ferry and the council.", lang="en")

    rows = KnownTerms.of([*sample_articles[:40], new], model.vocabulary, model.rules, 2).rows

    end = model.vectors.offsets[40]
    assert rows.indices[: rows.indptr[40]].tobytes() == model.vectors.columns[:end].tobytes()
    assert rows.data[: rows.indptr[40]].tobytes() == model.vectors.values[:end].tobytes()
    own = model.embed(new)
    assert rows.indices[rows.indptr[40] :].tolist() == own.columns.tolist()
    np.testing.assert_array_equal(rows.data[rows.indptr[40] :], own.values)


def test_unknown_words_are_counted_once_for_each_article(trained: Trained) -> None:
    model = trained.model
    articles = [
        Article(id="a", title="zzyx ferry", body="zzyx and qwerk", lang="en"),
        Article(id="b", title="ferry", body="", lang="en"),
        Article(id="c", title="the", body="", lang="en"),
    ]

    known = KnownTerms.of(articles, model.vocabulary, model.rules, 1)

    assert known.words.tolist() == [3, 1, 0]
    assert known.unknown.tolist() == [2, 0, 0]


def test_no_article_gives_no_row(trained: Trained) -> None:
    model = trained.model

    known = KnownTerms.of([], model.vocabulary, model.rules, 1)

    assert known.rows.shape == (0, len(model.vocabulary.terms))
    assert len(known.words) == len(known.unknown) == 0
