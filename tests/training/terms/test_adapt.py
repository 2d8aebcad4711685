"""A recipe is adapted to the size, text length and languages of a corpus."""

import csv
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.manifest import Adapted
from recommender.recipe import Recipe
from recommender.training.evaluation.evaluate import evaluate
from recommender.training.evaluation.labels import LabelFile
from recommender.training.readers.corpus import read_articles
from recommender.training.terms.adapt import adapt
from recommender.training.train import train

LANGUAGES = Path(__file__).parents[2] / "data" / "languages"


def adapted(n: int, body: str = "Ferries.", lang: str | None = "en") -> Adapted:
    articles = [Article(id=str(row), body=f"{body} {row}", lang=lang) for row in range(n)]
    return adapt(Recipe(), articles)


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["cs", "da", "de", "fr", "ja"])
def test_the_nearest_of_twenty_articles_is_mostly_of_the_same_story(lang: str) -> None:
    articles = read_articles(LANGUAGES / f"{lang}.jsonl").articles
    with (LANGUAGES / f"{lang}_stories.csv").open(encoding="utf-8") as file:
        labels = LabelFile.of_stories([(row["id"], row["story_id"]) for row in csv.DictReader(file)], lang)

    report = evaluate(train(articles).model, labels, resamples=10)

    assert report.systems[0].quality
    assert report.systems[0].quality.precision_at_1.mean >= 0.8


@pytest.mark.slow
def test_the_latent_space_has_little_weight_in_a_small_corpus() -> None:
    weights = [adapted(n).latent_weight for n in (1, 20, 100, 1_000, 40_000)]

    assert weights == pytest.approx([0.0025, 0.0417, 0.125, 0.2273, 0.2494], abs=1e-4)


def test_the_latent_space_of_a_small_corpus_has_few_components() -> None:
    assert [adapted(n).latent_components for n in (3, 20, 256, 2_500, 10_000)] == [0, 5, 48, 150, 300]


@pytest.mark.slow
def test_the_hubness_correction_is_stronger_in_large_corpora() -> None:
    corrections = [adapted(n).hub_correction for n in (1, 250, 4_000, 36_000)]

    assert corrections == pytest.approx([0, 0.038, 0.325, 0.585], abs=1e-3)


def test_pieces_of_words_count_in_small_corpora() -> None:
    weights = [adapted(n).piece_weight for n in (1, 1_000, 3_163, 10_000, 20_000)]

    assert weights == pytest.approx([0.3, 0.3, 0.15, 0, 0], abs=1e-4)


def test_a_large_corpus_in_english_is_not_stemmed() -> None:
    assert [adapted(n).unstemmed for n in (1, 9_999, 10_000)] == [[], [], ["en"]]
    assert adapted(10_000, lang="cs").unstemmed == []


def test_the_length_of_the_lead_grows_with_the_bodies() -> None:
    assert [adapted(1, "x" * n).lead_words for n in (1, 1_000, 2_000, 5_000, 90_000)] == [0, 0, 5, 20, 25]


def test_rare_terms_count_up_to_twenty_articles() -> None:
    assert [(adapted(n).min_df, adapted(n).max_df) for n in (1, 20, 21, 60)] == [
        (1, 20),
        (1, 20),
        (2, 20),
        (2, 30),
    ]


def test_an_article_of_unknown_language_is_read_in_the_main_language() -> None:
    langs = ["da", "da", "no", None, None, None]
    articles = [Article(id=str(row), title="Færgen sejler", lang=lang) for row, lang in enumerate(langs)] + [
        Article(id="9", title="færge", lang=None)
    ]

    model = train(articles).model

    assert model.manifest.adapted.main_lang == "da"
    assert model.similar(Article(id="q", title="Færgerne", lang=None), 1)[0][1] > 0


def test_terms_are_spelt_as_articles_spell_them() -> None:
    titles = ["Ferries sail", "Ferries stop", "Ferry strike", "Councils meet"]
    articles = [Article(id=str(row), title=title, lang="en") for row, title in enumerate(titles)]

    vocabulary = train(articles).model.vocabulary

    assert vocabulary.terms.find("ferri") is not None
    assert vocabulary.spelt("ferri") == "ferries"
    assert vocabulary.spelt("ferri strike") == "ferries strike"
    assert vocabulary.spelt("unknown") == "unknown"


@pytest.mark.slow
def test_few_long_texts_have_little_latent_space_and_feedback_and_no_pieces() -> None:
    short, middle, long, longer = (adapted(500, "x" * chars) for chars in (1_000, 2_898, 4_200, 20_000))
    archive = adapted(40_000, "x" * 5_000)

    weights = [
        (model.latent_weight, model.feedback, model.expansion, model.piece_weight)
        for model in (short, middle, long)
    ]
    assert weights == [
        pytest.approx((0.2083, 1.0, 0.8, 0.3), abs=1e-4),
        pytest.approx((0.1036, 0.6818, 0.4364, 0.15), abs=1e-2),
        pytest.approx((0.0227, 0.3636, 0.0727, 0.0), abs=1e-4),
    ]
    assert (longer.latent_weight, longer.feedback) == (long.latent_weight, long.feedback)
    assert archive.latent_weight > 0.22
    assert archive.feedback > 0.9
    assert archive.expansion > 0.2
