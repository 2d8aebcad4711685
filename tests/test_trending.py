"""Trending depends on counts and a tick only: fair on small sites, quick with news, stable against noise."""

from dataclasses import replace
from itertools import pairwise
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.model import NO_MOMENT
from recommender.trending import (
    EVENT_WEIGHTS,
    NO_CATEGORY,
    WINDOWS,
    Candidates,
    EventCounts,
    Ranking,
    Window,
    event_weights,
    half_lives,
    ranking,
    tick_of,
    windows,
)
from tests.support.laws import examples

MINUTE = 60_000_000
TICK = 25_000_000  # minutes since 1970
HOUR_WINDOW = WINDOWS["1h"]


def counts(*events: tuple[int, int, float]) -> EventCounts:
    """Return the counts for events given as (row, minutes before the tick, count)."""
    rows, ago, n = np.array(events, dtype=float).reshape(-1, 3).T
    return EventCounts(rows.astype(np.int64), TICK - ago.astype(np.int64), n)


def candidates(n: int, published: list[int] | None = None, categories: list[int] | None = None) -> Candidates:
    moments = [(TICK - 10_000 - row) * MINUTE for row in range(n)] if published is None else published
    return Candidates(
        [f"id {row}" for row in range(n)], np.array(moments), np.array(categories or [NO_CATEGORY] * n)
    )


def ranking_of(event_counts: EventCounts, n: int, tick: int = TICK, window: Window = HOUR_WINDOW) -> Ranking:
    return ranking(event_counts, candidates(n), tick, window)


def steady(row: int, per_minute: float, since: int, until: int = 0) -> list[tuple[int, int, float]]:
    return [(row, ago, per_minute) for ago in range(until + 1, since + 1)]


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 3000), st.integers(1, 20).map(float)), max_size=40
)


def root_and_half_width(
    events: list[tuple[int, int, float]], tick: int, half_life: float
) -> tuple[float, float]:
    """Return the root of an article's rate and the half-width of its hysteresis, event by event."""
    time_constants = [life / log(2) for life in half_lives(half_life)]
    past = [(tick - (TICK - ago) - 0.5, n) for _, ago, n in events if TICK - ago < tick]
    sums = [sum(n * 2 ** (-age / life) for age, n in past) for life in half_lives(half_life)]
    if not past:
        return 0.0, 0.0
    rates = [sums[-1] / time_constants[-1]]
    for total, time_constant in zip(sums[-2::-1], time_constants[-2::-1], strict=True):
        rates.append((total + 1) / (time_constant + 1 / rates[-1]))
    root = sqrt(rates[-1] * rates[-1] / rates[-2])
    return root, 2 * sqrt(11 / 48 * time_constants[0]) / (time_constants[0] + 1 / rates[-2])


@pytest.mark.parametrize("half_life", [12, 30])
@given(events=EVENTS, off=st.integers(0, 70))
@settings(max_examples=examples(20), deadline=None)
def test_scores_are_those_of_the_formulas(
    half_life: int, events: list[tuple[int, int, float]], off: int
) -> None:
    tick = TICK + off
    step = max(1, round(half_life / 12))
    start = (tick // (60 * step) - 1) * 60 * step

    scores = ranking_of(counts(*events), 5, tick, Window(half_life, 60)).scores

    for row in range(5):
        own = [event for event in events if event[0] == row]
        output = root_and_half_width(own, start, half_life)[0]
        for stop in [*range(start + step, tick, step), tick]:
            root, half_width = root_and_half_width(own, stop, half_life)
            output = min(max(output, root - half_width), root + half_width)
        assert scores[row] == pytest.approx(60 * output**2, rel=1e-5, abs=1e-9)


@given(EVENTS, st.randoms(use_true_random=False))
@settings(max_examples=examples(30), deadline=None)
def test_the_ranking_does_not_depend_on_the_order_or_the_splitting_of_counts(
    events: list[tuple[int, int, float]], chance: object
) -> None:
    split_events = [(row, ago, 1.0) for row, ago, n in events for _ in range(int(n))]
    chance.shuffle(split_events)  # type: ignore[attr-defined]

    whole, split = ranking_of(counts(*events), 5), ranking_of(counts(*split_events), 5)

    assert whole.order.tolist() == split.order.tolist()
    assert whole.previous_ranks.tolist() == split.previous_ranks.tolist()
    assert whole.scores == pytest.approx(split.scores, rel=1e-6)


def test_a_clock_set_back_gets_the_same_ranking_as_before() -> None:
    events = counts(*steady(0, 2, 300, 30), *steady(1, 3, 60), *steady(2, 1, 500))
    before = ranking_of(events, 3, TICK - 40)
    ranking_of(events, 3, TICK)

    again = ranking_of(events, 3, TICK - 40)

    assert again.order.tolist() == before.order.tolist()
    assert again.scores.tolist() == before.scores.tolist()


def test_events_after_the_tick_are_ignored() -> None:
    past = counts((0, 10, 3), (1, 5, 1))
    both = counts((0, 10, 3), (1, 5, 1), (1, 0, 100), (1, -30, 100))

    assert ranking_of(both, 2).scores.tolist() == ranking_of(past, 2).scores.tolist()


def test_the_tick_is_the_current_minute() -> None:
    assert tick_of(TICK * MINUTE) == TICK
    assert tick_of(TICK * MINUTE + MINUTE - 1) == TICK


def test_equal_scores_are_ordered_newest_first_then_by_id() -> None:
    moments = [(TICK - 90) * MINUTE, (TICK - 60) * MINUTE, NO_MOMENT, (TICK - 60) * MINUTE]
    events = counts(*((row, 5, 2) for row in range(4)))

    ranked = ranking(events, candidates(4, moments), TICK, HOUR_WINDOW)

    assert ranked.order.tolist() == [1, 3, 0, 2]
    assert ranked.ranks.tolist() == [3, 1, 4, 2]


def test_without_events_articles_are_unranked_newest_first() -> None:
    ranked = ranking_of(counts(), 3)

    assert ranked.basis == "recent"
    assert ranked.order.tolist() == [0, 1, 2]
    assert [ranked.article_rank(row).rank for row in range(3)] == [None] * 3
    assert ranked.article_rank(0).of == 0


def test_unranked_articles_follow_the_ranked_ones_newest_first() -> None:
    ranked = ranking_of(counts((2, 7000, 1)), 4)

    assert ranked.basis == "views"
    assert ranked.order.tolist() == [2, 0, 1, 3]
    assert ranked.article_rank(2).rank == 1
    assert ranked.article_rank(0).rank is None


def test_an_article_is_listed_once_it_is_published() -> None:
    moments = [(TICK - 90) * MINUTE, TICK * MINUTE + 1]
    events = counts((0, 5, 1), (1, 5, 50))

    early = ranking(events, candidates(2, moments), TICK, HOUR_WINDOW)
    later = ranking(events, candidates(2, moments), TICK + 1, HOUR_WINDOW)

    assert early.order.tolist() == [0]
    assert (early.ranks.tolist(), early.scores[1]) == ([1, 0], 0)
    assert later.order.tolist() == [1, 0]


def test_ranks_in_a_category_count_its_ranked_articles() -> None:
    categories = [4, 7, 4, NO_CATEGORY, 7, 4]
    events = counts((0, 5, 1), (1, 5, 2), (2, 5, 3), (3, 5, 4))

    ranked = ranking(events, candidates(6, categories=categories), TICK, HOUR_WINDOW)

    ranks = [ranked.article_rank(row) for row in range(6)]
    assert [rank.category_rank for rank in ranks] == [2, 1, 1, None, None, None]
    assert [rank.category_of for rank in ranks] == [2, 1, 2, 0, 1, 2]


def test_an_article_rank_includes_the_change_since_the_period_before() -> None:
    ranked = ranking_of(counts(*steady(0, 5, 300, 60), *steady(1, 1, 300), *steady(2, 4, 50)), 4)

    ranks = [ranked.article_rank(row) for row in range(4)]
    assert [rank.rank for rank in ranks] == [3, 2, 1, None]
    assert [rank.change for rank in ranks] == [-2, 0, None, None]
    assert [rank.new for rank in ranks] == [False, False, True, False]


def test_a_mask_filters_the_top_without_changing_its_order() -> None:
    ranked = ranking_of(counts((0, 5, 1), (1, 5, 9), (2, 5, 3)), 4)

    assert ranked.top(2).tolist() == [1, 2]
    assert ranked.top(9, np.array([True, False, True, True])).tolist() == [2, 0, 3]


def test_the_score_of_a_steadily_read_article_is_its_views_per_hour() -> None:
    ranked = ranking_of(counts(*steady(0, 5, 10_000), *steady(1, 0.5, 10_000)), 2)

    assert ranked.scores == pytest.approx([300, 30], rel=0.05)


@pytest.mark.parametrize("name", WINDOWS)
def test_recent_events_count_more_in_each_window(name: str) -> None:
    half_life = int(WINDOWS[name].half_life)

    ranked = ranking_of(counts((0, 3 * half_life, 20), (1, 5, 20)), 2, window=WINDOWS[name])

    assert ranked.order.tolist() == [1, 0]


def test_on_a_small_site_one_click_does_not_beat_a_day_of_readers() -> None:
    hourly = [(0, 60 * hour + 20, 1) for hour in range(12)]

    assert ranking_of(counts(*hourly, (1, 3, 1)), 2).order.tolist() == [0, 1]


def test_a_new_article_with_more_readers_soon_overtakes_an_older_one() -> None:
    orders = [
        ranking_of(counts(*steady(0, 3, 600), *steady(1, 6, age)), 2, TICK).order.tolist()
        for age in (1, 4, 10)
    ]

    assert orders == [[0, 1], [0, 1], [1, 0]]


def test_a_climbing_article_is_ranked_above_a_falling_one() -> None:
    climbing = [(0, ago, 10 * 2 ** (-ago / 40)) for ago in range(1, 200)]
    falling = [(1, ago, 6 * 2 ** (ago / 40)) for ago in range(1, 120)]
    decayed = [sum(n * 2 ** (-ago / 12) for _, ago, n in events) for events in (climbing, falling)]

    assert ranking_of(counts(*climbing, *falling), 2).order[0] == 0
    assert decayed[0] < decayed[1]


def test_random_variation_changes_the_lists_less_than_with_decay_alone() -> None:
    draw = np.random.default_rng(7)
    read = draw.poisson(3, (20, 1000))
    rows, ago = np.nonzero(read)
    event_counts = EventCounts(rows, TICK - 1 - ago, read[rows, ago].astype(float))
    lists = [set(ranking_of(event_counts, 20, TICK - back).top(5).tolist()) for back in range(120, -1, -5)]
    decayed = [
        set(
            np.argsort(-(read * 2 ** (-(np.arange(1000) - back) / 12) * (np.arange(1000) >= back)).sum(1))[:5]
        )
        for back in range(120, -1, -5)
    ]

    def changed(all_lists: list[set[int]]) -> int:
        return sum(len(a - b) for a, b in pairwise(all_lists))

    assert changed(lists) < 0.4 * changed(decayed)


def test_every_rank_of_many_articles_occurs_once() -> None:
    draw = np.random.default_rng(3)
    rows = draw.integers(0, 1500, 4000)
    ranked = ranking_of(EventCounts(rows, TICK - draw.integers(1, 5000, 4000), np.ones(4000)), 1600)

    assert sorted(ranked.order.tolist()) == list(range(1600))
    assert sorted(ranked.ranks[ranked.ranks > 0].tolist()) == list(range(1, len(np.unique(rows)) + 1))
    assert (np.diff(ranked.scores[ranked.order]) <= 0).all()


def test_a_configured_weight_replaces_the_default_of_its_type_only() -> None:
    assert event_weights({"share": 7}) == {**EVENT_WEIGHTS, "share": 7}


def test_a_configured_half_life_applies_to_its_window_only() -> None:
    window_of = windows({"24h": 100})

    assert window_of["24h"] == replace(WINDOWS["24h"], half_life=100)
    assert window_of["1h"] == WINDOWS["1h"]


def test_columns_of_unequal_length_are_rejected() -> None:
    with pytest.raises(ValueError, match="2 rows, 1 minutes, 1 counts"):
        EventCounts(np.array([0, 1]), np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="1 ids, 2 moments, 1 categories"):
        Candidates(["a"], np.array([1, 2]), np.array([0]))
