"""Misses are the lists with the lowest quality, with their missing articles."""

from importlib.resources import as_file, files

import numpy as np
import pytest

from recommender.training.evaluation.error_analysis import Miss, worst_misses
from recommender.training.evaluation.evaluate import evaluate
from recommender.training.evaluation.labels import LabelFile, read_labels
from recommender.training.evaluation.report import misses_table
from recommender.training.train import Trained


@pytest.fixture(scope="module")
def labels() -> LabelFile:
    with as_file(files("recommender") / "sample" / "stories.csv") as path:
        return read_labels(path)


@pytest.mark.slow
def test_the_worst_queries_of_an_evaluation_come_first(trained: Trained, labels: LabelFile) -> None:
    report = evaluate(trained.model, labels, resamples=10)
    values = report.systems[0].per_query
    assert values is not None

    misses = worst_misses(trained.model, labels, 12)

    assert [miss.ndcg_at_9 for miss in misses] == sorted(values.ndcg_at_9)[:12]
    worst = trained.model.articles.ids.find(report.query_ids[int(np.argmin(values.ndcg_at_9))])
    assert worst is not None
    assert misses[0].title == trained.model.articles.titles[worst]


def test_a_relevant_article_is_either_ticked_or_missing(trained: Trained, labels: LabelFile) -> None:
    articles = trained.model.articles
    story_of = {article: ids for ids in labels.stories.values() for article in ids}

    for miss in worst_misses(trained.model, labels, 50):
        query = next(i for i, title in zip(articles.ids, articles.titles, strict=True) if title == miss.title)
        rows = [articles.ids.find(other) for other in story_of[query] - {query}]
        ticked = [title for title, right in miss.listed if right]

        assert sorted([*ticked, *miss.missing]) == sorted(
            articles.titles[row] for row in rows if row is not None
        )
        assert len(miss.listed) == 9
        assert miss.title not in dict(miss.listed)


def test_a_perfect_list_is_not_a_miss(trained: Trained) -> None:
    ids, rows = trained.model.articles.ids, trained.model.neighbors.rows
    a, b = next((a, int(b)) for a, b in enumerate(rows[:, 0]) if rows[b, 0] == a)

    assert worst_misses(trained.model, LabelFile.of_stories([(ids[a], "s"), (ids[b], "s")])) == []


def test_a_table_ticks_relevant_articles_and_names_missing_ones() -> None:
    misses = [
        Miss("Q & A", 0.25, (("Wrong", False), ("Right", True)), ("Lacking",)),
        Miss("Low", 0.9, (("Wrong", False), ("Right", True)), ()),
    ]

    table = misses_table(misses)

    assert ">Q &amp; A</td>" in table
    assert ">0.25</td>" in table
    assert "<ol><li>Wrong</li><li><b>Right ✓</b></li></ol></td>" in table
    assert "<ul><li>Lacking</li></ul>" in table
    assert "none: all are listed, but too low" in table
