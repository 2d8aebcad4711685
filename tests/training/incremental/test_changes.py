"""Which articles count as changed, and the drift of a corpus."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Model
from recommender.provenance import Drift
from recommender.training.incremental.changes import Changes
from recommender.training.incremental.known_terms import KnownTerms
from recommender.training.train import Trained


@pytest.fixture(scope="module")
def model(trained: Trained) -> Model:
    return trained.model


def known(words: int, unknown: int, articles: int = 1) -> KnownTerms:
    rows: object = None
    return KnownTerms(rows, np.full(articles, words), np.full(articles, unknown))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "is_changed"),
    [
        (lambda article: article, False),
        (lambda article: replace(article, category="Sport", url=None, updated_at=None), False),
        (lambda article: replace(article, title=article.title + "!"), True),
        (lambda article: replace(article, body=article.body + "."), True),
        (lambda article: replace(article, lang="de"), True),
        (lambda article: replace(article, lang=None), True),
    ],
)
def test_an_article_is_changed_if_its_text_or_language_is(
    model: Model, sample_articles: list[Article], change: Callable[[Article], Article], *, is_changed: bool
) -> None:
    articles = [*sample_articles[:4], change(sample_articles[4]), *sample_articles[5:]]

    changes = Changes.of(articles, model)

    assert changes.rows.tolist() == ([4] if is_changed else [])
    assert changes.removed == 0


def test_new_and_removed_articles_are_counted(model: Model, sample_articles: list[Article]) -> None:
    new = replace(sample_articles[0], id="!")

    changes = Changes.of([new, *sample_articles[10:]], model)

    assert changes.removed == 10
    assert changes.row_of.tolist() == [-1, *range(10, len(sample_articles))]


def test_drift_is_summed_up_over_trainings(model: Model) -> None:
    before = Drift(fitted="first", changed_articles=30, changed_share=0.1, unknown_terms=0.2)
    manifest = model.manifest.model_copy(update={"drift": before})
    changes = Changes(np.array([-1] * 60 + [0] * 140), removed=10)

    drift = changes.drift(replace(model, manifest=manifest), known(100, 20), known(100, 15))

    assert drift.fitted == "first"
    assert drift.changed_articles == 100
    assert drift.changed_share == 0.5
    assert drift.unknown_terms == pytest.approx((60 * 0.05 + 30 * 0.2) / 90)


def test_unknown_words_of_a_few_articles_are_no_drift(model: Model) -> None:
    few, enough = (Changes(np.array([-1] * n + [0] * 300), removed=0) for n in (19, 20))

    assert few.drift(model, known(10, 10), known(10, 0)).unknown_terms == 0
    assert enough.drift(model, known(10, 10), known(10, 0)).unknown_terms == 1


def test_fewer_unknown_words_than_before_are_no_drift(model: Model) -> None:
    changes = Changes(np.array([-1] * 50 + [0] * 300), removed=0)

    assert changes.drift(model, known(100, 1), known(100, 3)).unknown_terms == 0


def test_unknown_words_of_another_subject_are_drift(model: Model, sample_articles: list[Article]) -> None:
    body = "Vorpal brillig toves gimble wabe"
    strange = [Article(id=f"{number}", title="Zzyx qwerk", body=body) for number in range(20)]
    changed, compared = (
        KnownTerms.of(articles, model.vocabulary, model.rules, 1) for articles in (strange, sample_articles)
    )

    drift = Changes.of([*sample_articles, *strange], model).drift(model, changed, compared)

    assert drift.unknown_terms > 0.5
