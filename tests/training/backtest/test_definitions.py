"""Definitions of trending score as those who use them say, and ours as the service does."""

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


def by_id(found: Log, scores: np.ndarray) -> dict[str, float]:
    return dict(zip(found.ids, scores.tolist(), strict=True))


@pytest.mark.parametrize("half_life", [12, 20, 60])
def test_ours_ranks_as_the_service_does(half_life: int) -> None:
    read = portal(420, 15, seed=half_life)
    counts = EventCounts(read.columns, read.minutes, read.counts)
    candidates = Candidates(read.ids, read.first * MINUTE, np.zeros(len(read.ids), dtype=np.int64))
    ticks = [*range(BEGIN + 5, BEGIN + 420, 23)]

    for tick, scores in zip(ticks, ours_with(half_life)(read, ticks), strict=True):
        found = ranking(counts, candidates, tick, Window(half_life, 60))

        assert 60 * scores == pytest.approx(found.scores, rel=1e-5, abs=1e-9)


def test_a_window_counts_what_lies_in_it() -> None:
    found = log(("a", 0, 3), ("a", 9, 1), ("b", 10, 5))

    first, second = last(10)(found, [BEGIN + 10, BEGIN + 11])

    assert by_id(found, first) == {"a": 4, "b": 0}
    assert by_id(found, second) == {"a": 1, "b": 5}


def test_decay_halves_each_half_life_whenever_it_is_looked_at() -> None:
    found = log(("a", 0, 8), ("b", 12, 2))

    *_, stepwise = decay(12)(found, [BEGIN + 7, BEGIN + 18, BEGIN + 24])
    (at_once,) = decay(12)(found, [BEGIN + 24])

    assert by_id(found, at_once) == pytest.approx({"a": 8 * 2 ** (-23.5 / 12), "b": 2 * 2 ** (-11.5 / 12)})
    assert stepwise == pytest.approx(at_once)


def test_what_is_listed_is_held_against_what_is_a_little_better() -> None:
    found = log(("a", 0, 10), ("b", 1, 12), ("b", 3, 2))

    free = [by_id(found, each) for each in decay(10_000)(found, [BEGIN + 1, BEGIN + 2, BEGIN + 4])]
    held = [by_id(found, each) for each in decay(10_000, 1.3, 1)(found, [BEGIN + 1, BEGIN + 2, BEGIN + 4])]

    assert [max(each, key=lambda name: each[name]) for each in free] == ["a", "b", "b"]
    assert [max(each, key=lambda name: each[name]) for each in held] == ["a", "a", "b"]


def test_hacker_news_and_reddit_weigh_views_against_age() -> None:
    found = log(("a", 0, 101), ("b", 120, 11))
    ticks = [BEGIN + 120, BEGIN + 180]

    news, hot = (by_id(found, [*scores(found, ticks)][1]) for scores in (hacker_news, reddit))

    assert news == pytest.approx({"a": 100**0.8 / 5**1.8, "b": 10**0.8 / 3**1.8})
    assert hot["a"] - hot["b"] == pytest.approx(np.log10(101 / 11) - 7200 / 45_000)
    assert by_id(found, next(hacker_news(found, ticks)))["b"] == 0


def test_mastodon_looks_for_more_than_yesterday() -> None:
    found = log(("a", 100, 20), ("b", 100, 20), ("a", 1500, 25), ("b", 1500, 60), ("c", 1500, 4))

    at_once, later = (by_id(found, each) for each in mastodon(found, [BEGIN + 1501, BEGIN + 1501 + 480]))

    assert at_once == pytest.approx({"a": 25 / 20, "b": 40**2 / 20, "c": 0})
    assert later == pytest.approx({name: score / 2 for name, score in at_once.items()})


def test_a_fitted_half_life_stands_beside_the_default_where_it_differs() -> None:
    names = [each.name for each in definitions(12, 10, fitted=20)]

    assert names[:2] == ["ours", "ours_fitted"]
    assert "ours_fitted" not in [each.name for each in definitions(12, 10, fitted=12)]
    assert len(set(names)) == len(names)
