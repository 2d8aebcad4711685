"""Recipes are compared in pairs by query, also without labels; a grid is searched on half of the stories."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recommender.article import Article
from recommender.recipe import Recipe, RecipeError
from recommender.training.comparison.compare import Comparison, compare
from recommender.training.comparison.self_retrieval import SelfRetrieval
from recommender.training.comparison.tune import tune
from recommender.training.evaluation.evaluate import evaluate
from recommender.training.evaluation.labels import LabelFile, LabelsError, read_labels
from recommender.training.train import Trained, TrainingError
from tests.support.cli import STORIES

pytestmark = pytest.mark.slow

RECIPES = {"now": Recipe(), "words": Recipe().replace(terms={"ngrams": 1}, topics={"components": 0})}


@pytest.fixture(scope="module")
def labels() -> LabelFile:
    return read_labels(str(STORIES))


@pytest.fixture(scope="module")
def comparison(sample_articles: list[Article], labels: LabelFile) -> Comparison:
    return compare(sample_articles, RECIPES, labels)


def test_the_table_has_the_measures_of_an_evaluation(
    comparison: Comparison, labels: LabelFile, trained: Trained
) -> None:
    ours = evaluate(trained.model, labels).systems[0]
    quality, health = ours.quality, ours.health
    assert quality
    assert health

    table: Any = comparison.table

    assert table.loc["now", "ndcg_at_9"] == quality.ndcg_at_9.mean
    assert table.loc["now", "ndcg_at_9_low"] == quality.ndcg_at_9.low
    assert table.loc["now", "mrr_high"] == quality.mrr.high
    assert table.loc["now", "coverage"] == health.coverage
    assert (table["seconds"] > 0).all()


def test_differences_are_paired_with_the_first_recipe(comparison: Comparison) -> None:
    table: Any = comparison.table
    [difference] = comparison.differences.to_dict("records")

    expected = table.loc["words", "recall_at_9"] - table.loc["now", "recall_at_9"]
    assert difference["recall_at_9"] == pytest.approx(expected)
    assert difference["recall_at_9_low"] <= difference["recall_at_9"] <= difference["recall_at_9_high"]
    spread = table.loc["now", "recall_at_9_high"] - table.loc["now", "recall_at_9_low"]
    assert difference["recall_at_9_high"] - difference["recall_at_9_low"] < spread


def test_changed_lists_are_side_by_side_and_equal_ones_left_out(comparison: Comparison) -> None:
    changed: Any = comparison.changed
    unchanged = replace(comparison, trials=[comparison.trials[0]] * 2).changed

    assert list(changed.columns) == ["now", "words"]
    titles = changed.index.get_level_values("article").unique()
    assert len(titles) == 5
    for title in titles:
        lists = changed.loc[title]
        assert set(lists["now"]) != set(lists["words"])
    assert unchanged.empty
    now, words = (trial.lists for trial in comparison.trials)
    shared = [len(np.intersect1d(a[a >= 0], b)) for a, b in zip(now, words, strict=True)]
    least = comparison.benchmark.articles[int(np.argmin(shared))].title
    assert titles[0] == least


def test_without_labels_a_part_must_find_its_article(sample_articles: list[Article]) -> None:
    cut = SelfRetrieval.of(sample_articles)
    original = {article.id: article for article in sample_articles}
    rest = {article.id: article for article in cut.articles}

    for article_id, query in cut.queries:
        if rest[article_id].title:
            halves = f"{rest[article_id].body} {query.body}".split()
            assert halves == original[article_id].body.split()
        else:
            assert query.body == original[article_id].title
    assert 40 < len(cut.queries) <= len(sample_articles) // 5
    assert len({query_id for query_id, _ in cut.queries}) == len(cut.queries)


@pytest.mark.slow
def test_a_better_model_finds_more_articles_by_their_parts(sample_articles: list[Article]) -> None:
    blind = Recipe().replace(terms={"max_body_chars": 40, "title_weight": 0})

    comparison = compare(sample_articles, {"now": Recipe(), "blind": blind})
    table: Any = comparison.table

    ndcg, recall, precision, reciprocal_rank = comparison.trials[1].values.T
    ranks = np.divide(1, reciprocal_rank, out=np.full(len(recall), np.inf), where=reciprocal_rank > 0)
    assert {1, 3, np.inf} <= set(ranks.round(9).tolist())
    assert recall.tolist() == (ranks <= 9).tolist()
    assert precision.tolist() == (ranks == 1).tolist()
    assert ndcg.tolist() == pytest.approx((1 / np.log2(1 + ranks)).tolist())
    assert table.loc["now", "recall_at_9"] > table.loc["blind", "recall_at_9"] + 0.1


def test_articles_too_short_for_queries_are_an_error() -> None:
    articles = [Article(id=str(n), title=f"Ferry {n}", body="The ferry sails.") for n in range(20)]

    with pytest.raises(TrainingError, match="too few or too short"):
        compare(articles, RECIPES)


@pytest.mark.slow
def test_the_best_of_a_grid_is_chosen_on_one_half_and_reported_on_the_other(
    sample_articles: list[Article], labels: LabelFile
) -> None:
    tuning = tune(sample_articles, {"terms.max_body_chars": [40, 100_000], "topics.components": [0]}, labels)

    stories = tuning.benchmark.stories
    assert not set(stories[tuning.searched]) & set(stories[~tuning.searched])
    assert tuning.table["searched_ndcg_at_9"].is_monotonic_decreasing
    assert tuning.table.index[0] == "terms.max_body_chars=100000, topics.components=0"
    assert tuning.best.terms.max_body_chars == 100_000
    best = max(tuning.trials, key=lambda trial: trial.values[tuning.searched, 0].mean())
    gain = best.values[~tuning.searched, 0].mean() - tuning.base.values[~tuning.searched, 0].mean()
    assert tuning.gain["ndcg_at_9"] == pytest.approx(gain)


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"terms.titel_weight": [1]}, RecipeError, "did you mean title_weight"),
        ({"term.title_weight": [1]}, RecipeError, "no section 'term'"),
        ({"terms.title_weight": [1, -1]}, RecipeError, "terms.title_weight = -1"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_is_trained(
    grid: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tune([], grid)


def test_one_story_cannot_be_halved(sample_articles: list[Article]) -> None:
    one = LabelFile.of_stories([(article.id, "all") for article in sample_articles[:3]])

    with pytest.raises(LabelsError, match="at least two stories"):
        tune(sample_articles, {"terms.ngrams": [1]}, one)


@pytest.mark.slow
def test_a_comparison_does_not_depend_on_the_order_of_articles(sample_articles: list[Article]) -> None:
    one = compare(sample_articles, {"now": Recipe()})
    other = compare(sample_articles[::-1], {"now": Recipe()})

    assert np.array_equal(one.trials[0].values, other.trials[0].values)
