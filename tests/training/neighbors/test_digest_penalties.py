"""Digests of a corpus: in few lists of others, also if they arrive after training; other series stay."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import fold_in
from recommender.training.train import Trained, train

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def first_sentence(article: Article) -> str:
    return f"{article.title}. {article.body.split('. ')[0]}."


def digests_of(articles: Sequence[Article], count: int) -> list[Article]:
    """Return digests of five articles each."""
    draw = np.random.default_rng(4)
    picks = [[articles[row] for row in draw.choice(len(articles), 5, replace=False)] for _ in range(count)]
    return [
        Article(
            id=f"digest-{number}",
            title=f"Morning briefing: {picked[0].title}",
            body="\n\n".join(map(first_sentence, picked)),
            lang="en",
        )
        for number, picked in enumerate(picks)
    ]


def letters_of(articles: Sequence[Article]) -> list[Article]:
    """Return articles of a series, each about one subject."""
    return [
        replace(
            article,
            id=f"letter-{row}",
            title=f"Letters to the editor: N {row}",
            body=f"{article.body[: row + 400]}",
        )
        for row, article in enumerate(articles[::9])
    ]


def share_of(model: Model, kind: str) -> float:
    """Return the share of the first nine places that this kind has in the lists of the other articles."""
    kinds = np.array([article_id.startswith(kind) for article_id in model.articles.ids])
    return float(kinds[model.neighbors.rows[~kinds][:, :9]].mean())


@pytest.fixture(scope="module")
def model(sample_articles: list[Article]) -> Model:
    corpus = [*sample_articles, *digests_of(sample_articles, 30), *letters_of(sample_articles)]
    return train(corpus, now=NOW).model


@pytest.mark.slow
def test_digests_are_in_few_lists_of_others_and_letters_stay(model: Model) -> None:
    assert model.manifest.digests == ["morning briefing"]
    assert share_of(model, "digest") < 0.02
    assert share_of(model, "letter") > 0.02


@pytest.mark.slow
def test_the_list_of_a_digest_has_the_articles_that_it_is_about(model: Model) -> None:
    digests = np.array([article_id.startswith("digest") for article_id in model.articles.ids])

    assert digests[model.neighbors.rows[digests][:, :9]].mean() < 0.1


@pytest.mark.slow
def test_a_digest_that_arrives_after_training_is_penalized_like_the_others(
    model: Model, sample_articles: list[Article]
) -> None:
    digest = digests_of(sample_articles, 33)[-1]
    renamed = replace(digest, title=digest.title.removeprefix("Morning briefing: "))

    folded, plain = fold_in(model, digest), fold_in(model, renamed)

    assert folded.hub > plain.hub + 0.1
    assert len(folded.reverse_neighbors) < len(plain.reverse_neighbors)


def test_a_corpus_without_digests_has_no_penalty_for_them(trained: Trained) -> None:
    assert trained.model.manifest.digests == []
