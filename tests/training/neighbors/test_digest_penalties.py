"""Digests of a corpus: in few lists of others, also if they arrive after training; other series stay."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import fold_in
from recommender.training.neighbors.all_pairs import offer_all_pairs
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.digest_penalties import digest_penalties
from recommender.training.neighbors.tiles import Plan
from recommender.training.train import Trained, train
from tests.support.vectors import unit_rows, vectors_of

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


def test_every_member_of_a_long_series_is_penalized() -> None:
    members, picked = 40, 6  # more members than are judged; articles that each is about
    reports = np.eye(members * picked, dtype=np.float32)
    digests = reports.reshape(members, picked, -1).sum(axis=1)
    rows = unit_rows(np.concatenate([digests, reports]))
    vectors = vectors_of(rows, np.zeros((len(rows), 0)))
    best = Candidates.empty(np.zeros(len(rows), dtype=np.float32), keep=10)
    offer_all_pairs(Plan.of(vectors, 0.0), best, threads=2)
    titles = ["Morning briefing"] * members + [""] * len(reports)

    penalties, keys = digest_penalties(vectors, 0.0, best, np.arange(len(rows)), titles, 2)

    assert keys == ["morning briefing"]
    # A digest is as similar to each of its reports, which have no word in common.
    np.testing.assert_allclose(penalties[:members], 1 / np.sqrt(picked), atol=1e-3)
    assert not penalties[members:].any()


@pytest.mark.parametrize("others", [0, 4])
def test_a_series_without_five_other_articles_is_not_judged(others: int) -> None:
    rows = np.full((5 + others, 2), 0.5)
    vectors = vectors_of(rows, np.zeros((len(rows), 0)))
    best = Candidates.empty(np.zeros(len(rows), dtype=np.float32), keep=10)
    offer_all_pairs(Plan.of(vectors, 0.0), best, threads=1)
    titles = ["Morning briefing"] * 5 + [""] * others

    penalties, keys = digest_penalties(vectors, 0.0, best, np.arange(len(rows)), titles, 2)

    assert keys == []
    assert not penalties.any()
