"""Measures and intervals compared with a slow, obvious computation and with known values."""

import math

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Articles
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.labels import Judgements, LabelFile, judgements
from recommender.training.evaluation.measures import intervals, measured


def slow(ranking: list[int], grades: dict[int, int]) -> list[float]:
    """Return nDCG@9, recall@9, precision@1 and the reciprocal rank of a list, by their definitions."""
    top = ranking[:9]
    gain = sum(grades.get(row, 0) / math.log2(2 + place) for place, row in enumerate(top))
    best = sorted(grades.values(), reverse=True)[:9]
    ideal = sum(grade / math.log2(2 + place) for place, grade in enumerate(best))
    ranks = [place for place, row in enumerate(top, 1) if row in grades]
    return [gain / ideal, len(ranks) / len(grades), float(ranks[:1] == [1]), 1 / ranks[0] if ranks else 0.0]


def pairs(*grades: tuple[str, str, int]) -> LabelFile:
    return LabelFile("pairs", grades={(a, b): grade for a, b, grade in grades})


def newsroom(titles: list[str]) -> Articles:
    """Articles with the ids a, b, c …, in row order."""
    return Articles.of([Article(id=chr(97 + row), title=title) for row, title in enumerate(titles)])


def test_measures_equal_their_definitions() -> None:
    draw = np.random.default_rng(1)
    articles = newsroom([f"title {row}" for row in range(26)])
    ids = list(articles.ids)
    labels = pairs(
        *((*draw.choice(ids, 2, replace=False).tolist(), int(draw.integers(1, 4))) for _ in "x" * 60)
    )
    judged = judgements(labels, articles)
    ranked = np.array([draw.permutation(np.delete(np.arange(26), row))[:12] for row in judged.queries])

    values = measured(ranked, judged, articles.titles)

    expected = [
        slow(line, dict(zip(*(part.tolist() for part in judged.relevant(query)), strict=True)))
        for query, line in zip(judged.queries, ranked.tolist(), strict=True)
    ]
    assert values == pytest.approx(np.array(expected))


def test_a_list_by_hand() -> None:
    articles = newsroom([f"title {row}" for row in range(12)])
    judged = judgements(LabelFile.of_stories([("a", "x"), ("c", "x"), ("d", "x")]), articles)
    ranked = np.array([[1, 2, 4, 5, 6, 7, 8, 9, 10, 3], [0, 3] + [NO_ROW] * 8, [NO_ROW] * 10])

    values = measured(ranked, judged, articles.titles)

    # The query a finds c in second place, d too late: 1/log2(3) of 1 + 1/log2(3).
    assert values[0] == pytest.approx([0.38685, 0.5, 0.0, 0.5], abs=1e-5)
    assert values[1].tolist() == [1, 1, 1, 1]
    assert values[2].tolist() == [0, 0, 0, 0]


def copies() -> tuple[Articles, Judgements]:
    """The query a, b of its story, c and d with the same titles as these, and e with another title."""
    articles = newsroom(["Ferry stops", "Storm at sea", "  FERRY  stops", "storm at Sea", "Castle"])
    return articles, judgements(LabelFile.of_stories([("a", "x"), ("b", "x")]), articles)


def test_articles_with_the_same_title_are_ignored() -> None:
    articles, judged = copies()

    values = measured(np.array([[2, 3, 1, 4], [4, 2, 0, 3]]), judged, articles.titles)

    assert values[0].tolist() == [1, 1, 1, 1]
    assert values[1] == pytest.approx([1 / math.log2(3), 1, 0, 1 / 2])


def test_ignored_articles_are_dropped_before_the_list_is_cut() -> None:
    articles = newsroom(["Ferry stops"] * 10 + ["Other"])
    judged = judgements(LabelFile.of_stories([("a", "x"), ("k", "x")]), articles)
    ranked = np.array([[*range(1, 11)], [*range(10)]])

    assert measured(ranked, judged, articles.titles)[0].tolist() == [1, 1, 1, 1]


def test_a_labelled_article_with_the_same_title_stays_relevant() -> None:
    articles = newsroom(["Ferry stops", "Ferry stops", "Ferry stops"])
    judged = judgements(LabelFile.of_stories([("a", "x"), ("b", "x")]), articles)

    values = measured(np.array([[2, 1], [2, 0]]), judged, articles.titles)

    assert values.tolist() == [[1] * 4] * 2


def test_articles_without_a_title_are_not_ignored() -> None:
    articles = Articles.of([Article(id=letter, title="", body="text") for letter in "abc"])
    judged = judgements(LabelFile.of_stories([("a", "x"), ("b", "x")]), articles)

    assert measured(np.array([[2, 1], [2, 0]]), judged, articles.titles)[:, 2].tolist() == [0, 0]


def test_intervals_equal_a_slow_bootstrap() -> None:
    draw = np.random.default_rng(3)
    values, stories = draw.random((30, 2)), np.sort(draw.integers(0, 9, 30))
    stories = np.unique(stories, return_inverse=True)[1]
    members = [np.flatnonzero(stories == story) for story in range(stories.max() + 1)]
    means = [
        values[
            np.concatenate([members[story] for story in draw.integers(0, len(members), len(members))])
        ].mean(0)
        for _ in range(5000)
    ]

    mean, low, high = intervals(values, stories, seed=0)

    assert mean == pytest.approx(values.mean(axis=0))
    assert np.array([low, high]) == pytest.approx(np.percentile(means, [2.5, 97.5], axis=0), abs=0.015)


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    values, stories = np.random.default_rng(0).random((40, 1)), np.arange(40) // 4

    first, again, other = (intervals(values, stories, seed)[1] for seed in (5, 5, 6))

    assert first == again
    assert first != other


@pytest.mark.slow
def test_an_interval_covers_the_true_mean_nineteen_times_in_twenty() -> None:
    draw = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        effects = draw.normal(0.5, 0.1, 60)
        values = np.repeat(effects, 3) + draw.normal(0, 0.05, 180)
        _, low, high = intervals(values[:, None], np.arange(180) // 3, seed, resamples=400)
        covered += int(low[0] <= 0.5 <= high[0])

    assert 180 <= covered <= 198


def test_articles_of_a_story_are_resampled_together() -> None:
    values = np.repeat(np.random.default_rng(0).random(20), 5)[:, None]

    _, low, high = intervals(values, np.repeat(np.arange(20), 5), seed=0)
    _, narrow_low, narrow_high = intervals(values, np.arange(100), seed=0)

    assert high - low > 1.8 * (narrow_high - narrow_low)


def test_the_interval_of_a_paired_difference_is_narrower_than_its_parts() -> None:
    hard = np.random.default_rng(0).random(60)
    ours, theirs = hard + 0.02, hard

    _, low, high = intervals(np.column_stack([ours - theirs, ours]), np.arange(60) // 3, seed=0)

    assert low[0] == pytest.approx(0.02)
    assert high[1] - low[1] > 0.1
