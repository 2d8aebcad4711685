"""In a corpus of several languages, each has the terms and weights that it has alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from recommender.article import Article
from recommender.recipe import Recipe
from recommender.text import TermRules
from recommender.training.readers.corpus import read_articles
from recommender.training.terms.adapt import adapt
from recommender.training.terms.counting import TermCounts, count_terms
from recommender.training.terms.languages import (
    effective_size,
    inverse_document_frequency,
    language_sizes,
    without_function_words,
)
from recommender.training.train import train

FIXTURES = Path(__file__).parents[2] / "data" / "languages"


def articles_in(lang: str, n: int) -> list[Article]:
    """Return articles in a made-up language, in which all words end with its name, and all contain `the`."""
    words = [f"word{number % 7}{lang} name{number % 5}{lang} the{lang}" for number in range(n)]
    return [
        Article(id=f"{lang} {number:03}", body=f"{body} number{number}{lang}", lang=lang)
        for number, body in enumerate(words)
    ]


def counted(articles: Sequence[Article]) -> TermCounts:
    return count_terms(articles, TermRules(ngrams=1), 1, len(articles), threads=1)


def idf_of(articles: Sequence[Article]) -> dict[str, float]:
    counts = counted(articles)
    idf = inverse_document_frequency(counts, articles, "xa")
    return dict(zip(counts.terms, idf.tolist(), strict=True))


def test_terms_of_one_language_weigh_the_same_alone_and_among_others() -> None:
    small, large = articles_in("xb", 30), articles_in("xa", 300)

    mixed = idf_of([*large, *small])

    for alone in (idf_of(small), idf_of(large)):
        assert alone == pytest.approx({term: mixed[term] for term in alone})


def test_a_term_of_two_languages_weighs_the_mean_of_both() -> None:
    small, large = articles_in("xb", 30), articles_in("xa", 300)
    name = [Article(id=f"name {n}", body="brackwater", lang="xb" if n < 2 else "xa") for n in range(8)]

    counts = counted([*large, *small, *name])
    idf = inverse_document_frequency(counts, [*large, *small, *name], "xa")

    expected = (2 * (1 + np.log(33 / 3)) + 6 * (1 + np.log(307 / 7))) / 8
    assert idf[counts.terms.find("brackwater")] == pytest.approx(expected)


def test_a_language_of_few_articles_has_the_weights_of_the_whole_corpus() -> None:
    few, many = articles_in("xb", 19), articles_in("xa", 300)

    idf = idf_of([*many, *few])

    assert idf["thexb"] == pytest.approx(1 + np.log(320 / 20))


def test_a_function_word_of_a_small_language_is_dropped_as_in_a_corpus_of_its_own() -> None:
    articles = [*articles_in("xa", 300), *articles_in("xb", 30)]
    counts = counted(articles)

    kept = without_function_words(counts, articles, "xa", 0.5)

    assert set(counts.terms) - set(kept.terms) == {"thexa", "thexb"}
    for row in (0, 310):
        span, kept_span = (slice(*of.offsets[[row, row + 1]].tolist()) for of in (counts, kept))
        before = {counts.terms[c]: n for c, n in zip(counts.columns[span], counts.counts[span], strict=True)}
        after = {
            kept.terms[c]: n for c, n in zip(kept.columns[kept_span], kept.counts[kept_span], strict=True)
        }
        assert after == {term: n for term, n in before.items() if not term.startswith("the")}
    assert [counts.df[counts.terms.find(term)] for term in kept.terms] == kept.df.tolist()


def test_a_corpus_of_one_language_is_unchanged() -> None:
    articles = [*articles_in("xa", 40), Article(id="z", body="no language")]
    counts = counted(articles)

    assert without_function_words(counts, articles, "xa", 0.5) is counts
    expected = 1 + np.log(42 / (1 + counts.df))
    assert inverse_document_frequency(counts, articles, "xa").tolist() == expected.tolist()


def test_parameters_follow_the_size_of_the_languages() -> None:
    alone = adapt(Recipe(), articles_in("xa", 100))
    ten = [article for code in "abcdefghij" for article in articles_in(f"x{code}", 100)]

    mixed = adapt(Recipe(), ten)

    assert effective_size(language_sizes(ten, "xa")) == 100
    assert mixed.latent_components == 10 * alone.latent_components
    assert (mixed.latent_weight, mixed.hub_correction) == (alone.latent_weight, alone.hub_correction)
    assert effective_size(np.array([300, 30])) == 275


@pytest.mark.slow
def test_the_nearest_article_is_of_the_same_story_in_a_corpus_of_five_languages() -> None:
    everything = [article for path in FIXTURES.glob("*.jsonl") for article in read_articles(path).articles]
    stories = {
        article_id: f"{path.name} {story}"
        for path in FIXTURES.glob("*.csv")
        for article_id, story in (line.split(",") for line in path.read_text().splitlines()[1:])
    }

    model = train(everything).model

    ids = model.articles.ids
    nearest = {ids[row]: ids[int(model.neighbors.rows[row, 0])] for row in range(len(ids))}
    assert all(stories[article_id] == stories.get(nearest[article_id]) for article_id in stories)
    assert len(stories) > 50
