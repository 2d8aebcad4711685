"""Baselines rank as documented, never the article itself; plain TF-IDF equals scikit-learn's."""

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import bm25s
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import linear_kernel

from recommender.article import Article
from recommender.manifest import Manifest
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.recipe import NeighborLists, Recipe, Terms, Topics
from recommender.training.evaluation.baselines import (
    ablations,
    baselines,
    bm25,
    latent_only,
    newest_in_category,
    random_in_category,
    shared_taxonomy,
    sklearn_tfidf,
    terms_only,
)
from recommender.training.evaluation.evaluate import System
from recommender.training.train import Trained, train
from tests.support.sample import NOW

pytestmark = pytest.mark.slow

TAGS = {"a": ("ferry", "storm"), "b": ("ferry",), "c": ("storm", "ferry"), "d": ("theft",), "e": ()}
CATEGORIES = {"a": "Coast", "b": "Coast", "c": "Coast", "d": "Court", "e": None}
SOME = 40  # articles


@pytest.fixture(scope="module")
def small() -> Model:
    """Five articles a … e, rows 0 … 4, each a day newer than the previous article."""
    articles = [
        Article(
            id=letter,
            title=f"{letter} title",
            body="the ferry waits for the storm",
            category=CATEGORIES[letter],
            tags=TAGS[letter],
            published_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=at),
        )
        for at, letter in enumerate("abcde")
    ]
    return train(articles, now=NOW).model


@pytest.fixture(scope="module")
def some_trained(sample_articles: list[Article]) -> Model:
    """A model of a part of the sample, small enough to train again."""
    return train(sample_articles[:SOME], now=NOW).model


EVERY = np.arange(5)


def filled(*lines: list[int]) -> list[list[int]]:
    return [line + [NO_ROW] * (4 - len(line)) for line in lines]


def test_the_newest_articles_of_the_category_come_first(small: Model) -> None:
    assert newest_in_category(small, EVERY, 4, 1).tolist() == filled([2, 1], [2, 0], [1, 0], [], [])


def test_random_articles_are_from_the_category_and_repeatable(small: Model) -> None:
    ranked = random_in_category(small, EVERY, 4, 1)

    assert [set(line) - {NO_ROW} for line in ranked.tolist()] == [{1, 2}, {0, 2}, {0, 1}, set(), set()]
    assert (ranked == random_in_category(small, EVERY, 4, 1)).all()


def test_shared_tags_count_and_newer_articles_win_ties(small: Model) -> None:
    assert shared_taxonomy(small, EVERY, 4, 1).tolist() == filled([2, 1], [2, 0], [0, 1], [], [])


def test_plain_tfidf_is_scikit_learns(trained: Trained) -> None:
    articles = trained.model.articles
    texts = [f"{title}. {body}" for title, body in zip(articles.titles, articles.bodies, strict=True)]
    rows = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit_transform(texts)
    scores = linear_kernel(rows)
    np.fill_diagonal(scores, -1)

    ranked = sklearn_tfidf(trained.model, np.arange(len(articles)), 9, 2)

    ranked_scores = np.take_along_axis(scores, ranked, axis=1)
    # Scores that differ by less than fixed point takes away may be in any order.
    assert ranked_scores == pytest.approx(-np.sort(-scores, axis=1)[:, :9], abs=2e-4)


def test_terms_and_latent_space_alone_are_the_parts_of_our_score(trained: Trained) -> None:
    model, rows = trained.model, np.array([3, 50, 200])
    for ranked, weight in ((terms_only(model, rows, 9, 1), 0.0), (latent_only(model, rows, 9, 1), 1.0)):
        for row, line in zip(rows, ranked, strict=True):
            scores = model.vectors.scores(model.vectors.of(row), weight)
            assert scores[line] == pytest.approx(-np.sort(-np.delete(scores, row))[:9], abs=1e-6)


@pytest.mark.slow
def test_models_of_earlier_releases_which_are_not_in_fixed_point_are_ranked_alike(trained: Trained) -> None:
    model, rows = trained.model, np.array([3, 50, 200])
    exact = [
        np.asarray(getattr(model.vectors, name)) * np.float32(1.0001)
        for name in ("values", "latent", "term_values")
    ]
    values, latent, term_values = exact
    vectors = replace(model.vectors, values=values, latent=latent, term_values=term_values)
    without_feedback = next(each for each in ablations(model.manifest) if each.name == "without_feedback")

    for rank in (terms_only, latent_only, without_feedback.rank):
        expected = rank(model, rows, 9, 1)
        ranked = rank(replace(model, vectors=vectors), rows, 9, 1)
        common = [len(np.intersect1d(one, other)) for one, other in zip(ranked, expected, strict=True)]
        assert min(common) >= 8
        assert np.array_equal(ranked[:, 0], expected[:, 0])


def test_bm25_is_the_formula_with_an_article_as_query(trained: Trained) -> None:
    articles = trained.model.articles
    texts = [f"{title}. {body}" for title, body in zip(articles.titles, articles.bodies, strict=True)]
    terms = [
        Counter(text) for text in bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    ]
    n, mean = len(terms), sum(map(Counter.total, terms)) / len(terms)
    df = Counter(term for counted in terms for term in counted)

    def score(query: Counter[str], terms: Counter[str]) -> float:
        # Lucene's: Kamphuis et al. 2020, with k1 = 1.5 and b = 0.75.
        saturation = 1.5 * (0.25 + 0.75 * terms.total() / mean)
        weight = {term: math.log(1 + (n - df[term] + 0.5) / (df[term] + 0.5)) for term in query}
        return sum(query[t] * weight[t] * terms[t] / (terms[t] + saturation) for t in query)

    ranked = bm25(trained.model, np.array([100]), 9, 1)

    scores = [score(terms[100], counted) if row != 100 else -1.0 for row, counted in enumerate(terms)]
    assert [scores[row] for row in ranked[0]] == pytest.approx(sorted(scores, reverse=True)[:9], rel=1e-5)


@pytest.mark.parametrize("system", baselines(), ids=lambda system: system.name)
def test_no_baseline_lists_the_article_itself_or_duplicates(trained: Trained, system: System) -> None:
    rows = np.array([0, 7, 247])
    ranked = system.rank(trained.model, rows, 50, 1)

    assert ranked.shape == (3, 50)
    assert ranked.dtype == np.int32
    for row, line in zip(rows.tolist(), ranked.tolist(), strict=True):
        listed = [row for row in line if row != NO_ROW]
        assert row not in listed
        assert len(listed) == len(set(listed))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("without_bigrams", Recipe(terms=Terms(ngrams=1))),
        ("without_latent_space", Recipe(topics=Topics(components=0))),
        ("without_feedback", Recipe(neighbors=NeighborLists(feedback=0))),
        ("without_hub_correction", Recipe(neighbors=NeighborLists(hub_correction=0))),
    ],
)
def test_an_ablation_is_a_training_without_one_ingredient(
    some_trained: Model, sample_articles: list[Article], name: str, recipe: Recipe
) -> None:
    rank = {system.name: system for system in ablations(some_trained.manifest)}[name].rank

    ranked = rank(some_trained, np.arange(20), 9, 2)

    without = train(sample_articles[:SOME], recipe, now=NOW).model
    assert (ranked == without.neighbors.rows[:20, :9]).all()
    if name != "without_hub_correction":  # which has almost no effect with so few articles
        assert (ranked != some_trained.neighbors.rows[:20, :9]).any()


def test_every_ingredient_of_the_default_recipe_is_ablated(some_trained: Model) -> None:
    names = [system.name for system in ablations(adapted_to(some_trained, lead_words=25))]

    assert names == [
        *("without_bigrams", "without_title_weight", "without_lead_weight", "without_term_weights"),
        *("without_stop_words", "without_stems", "without_pieces", "without_latent_space"),
        *("without_feedback", "without_expansion", "without_hub_correction"),
    ]


def test_an_ingredient_missing_in_the_recipe_is_not_ablated(some_trained: Model) -> None:
    recipe = Recipe(
        terms=Terms(ngrams=1, title_weight=1, lead_weight=1, pair_weight=1.0, idf_power=1.0, stems=False),
        topics=Topics(components=0),
        neighbors=NeighborLists(feedback=0, expansion=0, hub_correction=0),
    )
    manifest = adapted_to(some_trained, hub_correction=0.0, feedback=0.0, expansion=0.0).model_copy(
        update={"recipe": recipe}
    )

    assert [system.name for system in ablations(manifest)] == ["without_stop_words", "without_pieces"]


@pytest.mark.parametrize(
    ("name", "came_to"),
    [
        ("without_lead_weight", {"lead_words": 0}),
        ("without_stems", {"unstemmed": ["en"]}),
        ("without_pieces", {"piece_weight": 0.0}),
    ],
)
def test_an_ingredient_without_effect_on_the_corpus_is_not_ablated(
    some_trained: Model, name: str, came_to: dict[str, Any]
) -> None:
    whole = [system.name for system in ablations(adapted_to(some_trained, lead_words=25))]
    names = [system.name for system in ablations(adapted_to(some_trained, **{"lead_words": 25} | came_to))]

    assert set(whole) - set(names) == {name}


def adapted_to(model: Model, **values: Any) -> Manifest:
    """Return the manifest as if training had adapted the recipe to these values."""
    manifest = model.manifest
    return manifest.model_copy(update={"adapted": manifest.adapted.model_copy(update=values)})
