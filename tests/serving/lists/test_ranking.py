"""Freshness and diversity reorder a list, and never change which articles are eligible."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from recommender.article import Article
from recommender.displayed import displayed_lists
from recommender.model import NO_MOMENT, Model, microseconds
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.ranking import CandidateRanker, reference_date
from recommender.serving.lists.related import Related
from recommender.training.train import Trained
from tests.support.newsroom import NOW, build_model

HALF_LIFE = timedelta(days=14)
HOUR = NOW.replace(minute=0, second=0)
DAY = timedelta(days=1)


def _similar_articles(*ages: timedelta | None) -> list[Article]:
    """Return articles equally similar to the first, `0`, of this hour; the others have these ages."""
    bodies = "quay tide wharf buoy crane berth".split()
    dates = [HOUR, *(None if age is None else HOUR - age for age in ages)]
    return [
        Article(id=f"{number}", title="harbour", body=f"harbour {word}", published_at=date)
        for number, (word, date) in enumerate(zip(bodies, dates, strict=False))
    ]


def _ranker(model: Model, source: Article, **fields: Any) -> CandidateRanker:
    published = microseconds(source.published_at)
    snapshot = Snapshot.of(model)
    return CandidateRanker(snapshot, Timeline(snapshot.articles), ListQuery(**fields), published, NOW)


def test_with_full_freshness_a_score_halves_with_each_half_life() -> None:
    articles = _similar_articles(0 * DAY, HALF_LIFE, 2 * HALF_LIFE, 4000 * DAY)
    factors = _ranker(build_model(articles), articles[0], freshness=1.0).factors(np.arange(5))

    assert factors[1:4].tolist() == [1, 0.5, 0.25]
    assert factors[4] < 1e-80


def test_freshness_limits_how_much_an_old_article_loses() -> None:
    articles = _similar_articles(0 * DAY, HALF_LIFE, 4000 * DAY)

    factors = _ranker(build_model(articles), articles[0], freshness=0.2).factors(np.arange(4))

    assert factors[1:].tolist() == pytest.approx([1, 0.9, 0.8])


def test_an_undated_article_has_the_median_age() -> None:
    articles = _similar_articles(None, HALF_LIFE, 9 * HALF_LIFE)  # and 0, of this hour

    factors = _ranker(build_model(articles), articles[0], freshness=0.5).factors(np.arange(4))

    assert factors[1] == factors[2] == 0.75


def test_without_any_date_age_has_no_effect() -> None:
    articles = [replace(article, published_at=None) for article in _similar_articles(None, None)]

    assert (
        _ranker(build_model(articles), articles[0], freshness=1.0).factors(np.arange(3)).tolist() == [1] * 3
    )


@pytest.mark.parametrize(
    ("age", "own"), [(-5, False), (0, False), (13.99, False), (14, True), (9000, True), (None, False)]
)
def test_ages_count_from_the_date_of_an_article_older_than_two_weeks(age: float | None, own: bool) -> None:  # noqa: FBT001
    date = NO_MOMENT if age is None else microseconds(HOUR - age * DAY)

    assert reference_date(date, NOW) == (date if own else microseconds(HOUR))


def test_ages_count_in_both_directions() -> None:
    then = HOUR - 100 * DAY
    old = Article(id="old", title="harbour", published_at=then)
    beside = [
        Article(id=name, title="harbour", body=name, published_at=then + days * DAY)
        for name, days in (("before", -14), ("later", 14))
    ]
    model = build_model([old, *beside])

    assert _ranker(model, old, freshness=1.0).factors(np.arange(3)).tolist() == [0.5, 0.5, 1]


def test_a_list_is_the_same_throughout_the_hour() -> None:
    related = Related(build_model(_similar_articles(1 * DAY, 2 * DAY, 3 * DAY)))

    first, last = (related.of("0", ListQuery(), HOUR + timedelta(seconds=s)).items for s in (0, 3599))

    assert first == last


def test_dates_of_the_far_past_and_the_far_future_work() -> None:
    ancient = Article(id="x", title="harbour", published_at=datetime(1, 1, 1, tzinfo=UTC))
    related = Related(build_model([*_similar_articles(1 * DAY), ancient]))

    for source, now in (("0", datetime(9999, 12, 31, 23, tzinfo=UTC)), ("x", NOW), ("0", NOW)):
        scores = [item.score for item in related.of(source, ListQuery(freshness=1.0), now).items]
        assert all(score is None or 0 <= score <= 1 for score in scores)


def test_a_clock_that_was_set_back_hides_what_is_not_yet_published() -> None:
    related = Related(build_model(_similar_articles(1 * DAY, 2 * DAY)))

    related_list = related.of("2", ListQuery(freshness=1.0), HOUR - timedelta(days=1, hours=12))

    assert related_list.eligible == 0


@pytest.mark.parametrize("freshness", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("diversity", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("fallback", ["auto", "none"])
def test_no_order_changes_which_articles_are_eligible(
    trained: Trained, freshness: float, diversity: float, fallback: Any
) -> None:
    related, now = Related(trained.model), datetime(2027, 1, 1, tzinfo=UTC)
    for row in range(0, len(trained.model.articles), 20):
        plain_query = ListQuery(freshness=0.0, diversity=0.0, fallback=fallback, limit=50)
        plain = related.of_row(row, plain_query, now)

        related_list = related.of_row(
            row, replace(plain_query, freshness=freshness, diversity=diversity), now
        )

        assert related_list.eligible == plain.eligible
        assert sorted(item.row for item in related_list.items) == sorted(item.row for item in plain.items)


def test_without_freshness_and_diversity_a_list_is_the_one_that_is_evaluated(
    trained: Trained,
) -> None:
    model, now = trained.model, datetime(2027, 1, 1, tzinfo=UTC)
    related, evaluated = Related(model), displayed_lists(model)
    for row in range(len(model.articles)):
        related_list = related.of_row(row, ListQuery(freshness=0.0, diversity=0.0, lang="any"), now)

        items = [(item.row, item.score) for item in related_list.items if item.source == "similar"]
        rows, scores = evaluated.lists[row].tolist(), evaluated.scores[row].tolist()
        assert items == list(zip(rows, scores, strict=True))[: len(items)]
        assert all(score <= model.manifest.similar_above for score in scores[len(items) :])


@pytest.mark.slow
@pytest.mark.parametrize("diversity", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("freshness", [0.0, 0.2, 1.0])
def test_few_neighbours_and_many_give_the_same_list(
    trained: Trained, freshness: float, diversity: float
) -> None:
    model, now = trained.model, datetime(2027, 1, 1, tzinfo=UTC)
    few = replace(model.neighbors, rows=model.neighbors.rows[:, :12], scores=model.neighbors.scores[:, :12])
    whole, short = Related(model), Related(replace(model, neighbors=few))
    query = ListQuery(freshness=freshness, diversity=diversity)
    for row in range(0, len(model.articles), 10):
        expected, actual = (related.of_row(row, query, now) for related in (whole, short))

        selection = [
            [item.row for item in answer.items if item.source == "similar"] for answer in (expected, actual)
        ]
        assert selection[0] == selection[1]
        assert _scores(actual.items) == pytest.approx(_scores(expected.items), abs=1e-6)


def _scores(items: Sequence[Any]) -> list[float]:
    return [item.score for item in items if item.score is not None]


def test_diversity_puts_a_different_article_before_more_of_the_same() -> None:
    articles = [
        Article(id="0", title="harbour budget"),
        *(Article(id=f"{n}", title="harbour", body=f"dredging {'ships ' * n}") for n in (1, 2, 3)),
        Article(id="4", title="budget vote library"),
    ]
    related = Related(build_model(articles, similar_above=0.01))

    plain, diverse = (related.of("0", ListQuery(limit=2, diversity=d), NOW).items for d in (0.0, 0.7))

    assert [item.row for item in plain] == [1, 2]
    assert [item.row for item in diverse] == [1, 4]
    assert plain[0].score == diverse[0].score
