"""Definitions of trending score as published, and ours as in the service."""

import numpy as np
import pytest

from recommender.training.backtest.click_log import Log, log_of
from recommender.training.backtest.definitions import (
    decay,
    definitions,
    hacker_news,
    last,
    mastodon,
    ours_with,
    reddit,
)
from recommender.trending import Candidates, EventCounts, Window, ranking
from tests.support.portal import BEGIN, portal

MINUTE = 60_000_000


def log(*events: tuple[str, int, float]) -> Log:
    ids, minutes, counts = zip(*events, strict=True)
    return log_of(ids, BEGIN + np.array(minutes), np.array(counts))


def by_id(events: Log, scores: np.ndarray) -> dict[str, float]:
    return dict(zip(events.ids, scores.tolist(), strict=True))


@pytest.mark.parametrize("half_life", [12, 20, 60])
def test_ours_ranks_as_the_service_does(half_life: int) -> None:
    read = portal(420, 15, seed=half_life)
    counts = EventCounts(read.columns, read.minutes, read.counts)
    candidates = Candidates(read.ids, read.first * MINUTE, np.zeros(len(read.ids), dtype=np.int64))
    ticks = [*range(BEGIN + 5, BEGIN + 420, 23)]

    for tick, scores in zip(ticks, ours_with(half_life)(read, ticks), strict=True):
        expected = ranking(counts, candidates, tick, Window(half_life, 60))

        assert 60 * scores == pytest.approx(expected.scores, rel=1e-5, abs=1e-9)


def test_a_window_counts_the_events_in_it() -> None:
    events = log(("a", 0, 3), ("a", 9, 1), ("b", 10, 5))

    first, second = last(10)(events, [BEGIN + 10, BEGIN + 11])

    assert by_id(events, first) == {"a": 4, "b": 0}
    assert by_id(events, second) == {"a": 1, "b": 5}


def test_decay_halves_every_half_life_independent_of_the_ticks() -> None:
    events = log(("a", 0, 8), ("b", 12, 2))

    *_, stepwise = decay(12)(events, [BEGIN + 7, BEGIN + 18, BEGIN + 24])
    (at_once,) = decay(12)(events, [BEGIN + 24])

    assert by_id(events, at_once) == pytest.approx({"a": 8 * 2 ** (-23.5 / 12), "b": 2 * 2 ** (-11.5 / 12)})
    assert stepwise == pytest.approx(at_once)


def test_listed_articles_stay_unless_another_is_clearly_better() -> None:
    events = log(("a", 0, 10), ("b", 1, 12), ("b", 3, 2))

    free = [by_id(events, scores) for scores in decay(10_000)(events, [BEGIN + 1, BEGIN + 2, BEGIN + 4])]
    held = [
        by_id(events, scores) for scores in decay(10_000, 1.3, 1)(events, [BEGIN + 1, BEGIN + 2, BEGIN + 4])
    ]

    assert [max(scores, key=lambda name: scores[name]) for scores in free] == ["a", "b", "b"]
    assert [max(scores, key=lambda name: scores[name]) for scores in held] == ["a", "a", "b"]


def test_hacker_news_and_reddit_weigh_views_against_age() -> None:
    events = log(("a", 0, 101), ("b", 120, 11))
    ticks = [BEGIN + 120, BEGIN + 180]

    news, hot = (by_id(events, [*scores(events, ticks)][1]) for scores in (hacker_news, reddit))

    assert news == pytest.approx({"a": 100**0.8 / 5**1.8, "b": 10**0.8 / 3**1.8})
    assert hot["a"] - hot["b"] == pytest.approx(np.log10(101 / 11) - 7200 / 45_000)
    assert by_id(events, next(hacker_news(events, ticks)))["b"] == 0


def test_mastodon_scores_the_excess_over_yesterday() -> None:
    events = log(("a", 100, 20), ("b", 100, 20), ("a", 1500, 25), ("b", 1500, 60), ("c", 1500, 4))

    at_once, later = (
        by_id(events, scores) for scores in mastodon(events, [BEGIN + 1501, BEGIN + 1501 + 480])
    )

    assert at_once == pytest.approx({"a": 25 / 20, "b": 40**2 / 20, "c": 0})
    assert later == pytest.approx({name: score / 2 for name, score in at_once.items()})


def test_a_fitted_half_life_is_added_if_it_differs_from_the_default() -> None:
    names = [definition.name for definition in definitions(12, 10, fitted=20)]

    assert names[:2] == ["ours", "ours_fitted"]
    assert "ours_fitted" not in [definition.name for definition in definitions(12, 10, fitted=12)]
    assert len(set(names)) == len(names)
