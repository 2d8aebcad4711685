"""Trending is a function of counts and a tick: fair to small sites, quick with news, calm with chance."""

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
    NO_SECTION,
    WINDOWS,
    Candidates,
    Counts,
    Ranking,
    Window,
    half_lives,
    ranking,
    tick_of,
    weighted,
    windows,
)
from tests.support.laws import examples

MINUTE = 60_000_000
TICK = 25_000_000  # minutes since 1970
HOUR_WINDOW = WINDOWS["1h"]


def counts(*events: tuple[int, int, float]) -> Counts:
    """Counts of articles: its row, how many minutes before the tick, how many."""
    rows, ago, n = np.array(events, dtype=float).reshape(-1, 3).T
    return Counts(rows.astype(np.int64), TICK - ago.astype(np.int64), n)


def candidates(n: int, published: list[int] | None = None, categories: list[int] | None = None) -> Candidates:
    moments = [(TICK - 10_000 - row) * MINUTE for row in range(n)] if published is None else published
    return Candidates(
        [f"id {row}" for row in range(n)], np.array(moments), np.array(categories or [NO_SECTION] * n)
    )


def of(found: Counts, n: int, tick: int = TICK, window: Window = HOUR_WINDOW) -> Ranking:
    return ranking(found, candidates(n), tick, window)


def steady(row: int, per_minute: float, since: int, until: int = 0) -> list[tuple[int, int, float]]:
    return [(row, ago, per_minute) for ago in range(until + 1, since + 1)]


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 3000), st.integers(1, 20).map(float)), max_size=40
)


def rate_by_the_book(
    events: list[tuple[int, int, float]], tick: int, half_life: float
) -> tuple[float, float]:
    """The root of an article's rate, and its play, summed up event by event as the module's words have it."""
    seen = [each / log(2) for each in half_lives(half_life)]
    past = [(tick - (TICK - ago) - 0.5, n) for _, ago, n in events if TICK - ago < tick]
    sums = [sum(n * 2 ** (-age / each) for age, n in past) for each in half_lives(half_life)]
    if not past:
        return 0.0, 0.0
    rates = [sums[-1] / seen[-1]]
    for total, minutes in zip(sums[-2::-1], seen[-2::-1], strict=True):
        rates.append((total + 1) / (minutes + 1 / rates[-1]))
    root = sqrt(rates[-1] * rates[-1] / rates[-2])
    return root, 2 * sqrt(11 / 48 * seen[0]) / (seen[0] + 1 / rates[-2])


@pytest.mark.parametrize("half_life", [12, 30])
@given(events=EVENTS, off=st.integers(0, 70))
@settings(max_examples=examples(20), deadline=None)
def test_scores_are_those_of_the_formulas(
    half_life: int, events: list[tuple[int, int, float]], off: int
) -> None:
    tick = TICK + off
    step = max(1, round(half_life / 12))
    start = (tick // (60 * step) - 1) * 60 * step

    found = of(counts(*events), 5, tick, Window(half_life, 60)).scores

    for row in range(5):
        own = [event for event in events if event[0] == row]
        played = rate_by_the_book(own, start, half_life)[0]
        for stop in [*range(start + step, tick, step), tick]:
            root, play = rate_by_the_book(own, stop, half_life)
            played = min(max(played, root - play), root + play)
        assert found[row] == pytest.approx(60 * played**2, rel=1e-5, abs=1e-9)


@given(EVENTS, st.randoms(use_true_random=False))
@settings(max_examples=examples(30), deadline=None)
def test_neither_the_order_of_counts_nor_how_they_are_parted_matters(
    events: list[tuple[int, int, float]], chance: object
) -> None:
    parted = [(row, ago, 1.0) for row, ago, n in events for _ in range(int(n))]
    chance.shuffle(parted)  # type: ignore[attr-defined]

    one, other = of(counts(*events), 5), of(counts(*parted), 5)

    assert one.order.tolist() == other.order.tolist()
    assert one.previous_ranks.tolist() == other.previous_ranks.tolist()
    assert one.scores == pytest.approx(other.scores, rel=1e-6)


def test_a_clock_that_jumps_back_finds_what_it_found_before() -> None:
    found = counts(*steady(0, 2, 300, 30), *steady(1, 3, 60), *steady(2, 1, 500))
    before = of(found, 3, TICK - 40)
    of(found, 3, TICK)

    again = of(found, 3, TICK - 40)

    assert again.order.tolist() == before.order.tolist()
    assert again.scores.tolist() == before.scores.tolist()


def test_what_comes_after_the_tick_is_not_known_at_it() -> None:
    past = counts((0, 10, 3), (1, 5, 1))
    both = counts((0, 10, 3), (1, 5, 1), (1, 0, 100), (1, -30, 100))

    assert of(both, 2).scores.tolist() == of(past, 2).scores.tolist()


def test_the_tick_is_the_minute_that_has_begun() -> None:
    assert tick_of(TICK * MINUTE) == TICK
    assert tick_of(TICK * MINUTE + MINUTE - 1) == TICK


def test_equal_scores_come_newest_first_then_by_id() -> None:
    moments = [(TICK - 90) * MINUTE, (TICK - 60) * MINUTE, NO_MOMENT, (TICK - 60) * MINUTE]
    events = counts(*((row, 5, 2) for row in range(4)))

    found = ranking(events, candidates(4, moments), TICK, HOUR_WINDOW)

    assert found.order.tolist() == [1, 3, 0, 2]
    assert found.ranks.tolist() == [3, 1, 4, 2]


def test_without_events_the_newest_come_first_and_none_has_a_rank() -> None:
    found = of(counts(), 3)

    assert found.basis == "recent"
    assert found.order.tolist() == [0, 1, 2]
    assert [found.article_rank(row).rank for row in range(3)] == [None] * 3
    assert found.article_rank(0).of == 0


def test_after_what_is_read_the_newest_fill_the_list() -> None:
    found = of(counts((2, 7000, 1)), 4)

    assert found.basis == "views"
    assert found.order.tolist() == [2, 0, 1, 3]
    assert found.article_rank(2).rank == 1
    assert found.article_rank(0).rank is None


def test_an_article_is_listed_from_its_publication_on() -> None:
    moments = [(TICK - 90) * MINUTE, TICK * MINUTE + 1]
    events = counts((0, 5, 1), (1, 5, 50))

    early = ranking(events, candidates(2, moments), TICK, HOUR_WINDOW)
    later = ranking(events, candidates(2, moments), TICK + 1, HOUR_WINDOW)

    assert early.order.tolist() == [0]
    assert (early.ranks.tolist(), early.scores[1]) == ([1, 0], 0)
    assert later.order.tolist() == [1, 0]


def test_ranks_within_a_section_count_what_is_ranked_in_it() -> None:
    categories = [4, 7, 4, NO_SECTION, 7, 4]
    events = counts((0, 5, 1), (1, 5, 2), (2, 5, 3), (3, 5, 4))

    found = ranking(events, candidates(6, categories=categories), TICK, HOUR_WINDOW)

    standings = [found.article_rank(row) for row in range(6)]
    assert [each.category_rank for each in standings] == [2, 1, 1, None, None, None]
    assert [each.category_of for each in standings] == [2, 1, 2, 0, 1, 2]


def test_a_standing_tells_the_change_since_the_period_before() -> None:
    found = of(counts(*steady(0, 5, 300, 60), *steady(1, 1, 300), *steady(2, 4, 50)), 4)

    now = [found.article_rank(row) for row in range(4)]
    assert [each.rank for each in now] == [3, 2, 1, None]
    assert [each.change for each in now] == [-2, 0, None, None]
    assert [each.new for each in now] == [False, False, True, False]


def test_a_mask_admits_to_the_top_in_the_same_order() -> None:
    found = of(counts((0, 5, 1), (1, 5, 9), (2, 5, 3)), 4)

    assert found.top(2).tolist() == [1, 2]
    assert found.top(9, np.array([True, False, True, True])).tolist() == [2, 0, 3]


def test_the_score_of_what_is_read_evenly_is_its_views_an_hour() -> None:
    found = of(counts(*steady(0, 5, 10_000), *steady(1, 0.5, 10_000)), 2)

    assert found.scores == pytest.approx([300, 30], rel=0.05)


@pytest.mark.parametrize("name", WINDOWS)
def test_in_each_window_what_was_read_lately_counts_more(name: str) -> None:
    half_life = int(WINDOWS[name].half_life)

    found = of(counts((0, 3 * half_life, 20), (1, 5, 20)), 2, window=WINDOWS[name])

    assert found.order.tolist() == [1, 0]


def test_on_a_small_site_one_click_does_not_beat_a_day_of_readers() -> None:
    hourly = [(0, 60 * hour + 20, 1) for hour in range(12)]

    assert of(counts(*hourly, (1, 3, 1)), 2).order.tolist() == [0, 1]


def test_a_fresh_article_that_is_read_is_soon_above_an_older_one_that_is_read_less() -> None:
    found = [of(counts(*steady(0, 3, 600), *steady(1, 6, age)), 2, TICK).order.tolist() for age in (1, 4, 10)]

    assert found == [[0, 1], [0, 1], [1, 0]]


def test_what_climbs_is_ranked_ahead_of_what_falls() -> None:
    climbing = [(0, ago, 10 * 2 ** (-ago / 40)) for ago in range(1, 200)]
    falling = [(1, ago, 6 * 2 ** (ago / 40)) for ago in range(1, 120)]
    decayed = [sum(n * 2 ** (-ago / 12) for _, ago, n in each) for each in (climbing, falling)]

    assert of(counts(*climbing, *falling), 2).order[0] == 0
    assert decayed[0] < decayed[1]


def test_chance_alone_moves_no_ranks_to_and_fro() -> None:
    draw = np.random.default_rng(7)
    read = draw.poisson(3, (20, 1000))
    rows, ago = np.nonzero(read)
    found = Counts(rows, TICK - 1 - ago, read[rows, ago].astype(float))
    lists = [set(of(found, 20, TICK - back).top(5).tolist()) for back in range(120, -1, -5)]
    decayed = [
        set(
            np.argsort(-(read * 2 ** (-(np.arange(1000) - back) / 12) * (np.arange(1000) >= back)).sum(1))[:5]
        )
        for back in range(120, -1, -5)
    ]

    def changed(all_lists: list[set[int]]) -> int:
        return sum(len(a - b) for a, b in pairwise(all_lists))

    assert changed(lists) < 0.4 * changed(decayed)


def test_ranks_of_many_articles_are_each_told_once() -> None:
    draw = np.random.default_rng(3)
    rows = draw.integers(0, 1500, 4000)
    found = of(Counts(rows, TICK - draw.integers(1, 5000, 4000), np.ones(4000)), 1600)

    assert sorted(found.order.tolist()) == list(range(1600))
    assert sorted(found.ranks[found.ranks > 0].tolist()) == list(range(1, len(np.unique(rows)) + 1))
    assert (np.diff(found.scores[found.order]) <= 0).all()


def test_types_have_weights_and_an_unknown_one_counts_nothing() -> None:
    types = np.array(["view", "share", "wave", "view"])

    found = weighted(types, np.array([2, 1, 9, 1]), EVENT_WEIGHTS)

    assert found.tolist() == [2, 5, 0, 1]
    assert weighted(np.array([], dtype=str), np.array([]), EVENT_WEIGHTS).tolist() == []


def test_a_half_life_that_is_set_goes_for_its_window_alone() -> None:
    found = windows({"24h": 100})

    assert found["24h"] == replace(WINDOWS["24h"], half_life=100)
    assert found["1h"] == WINDOWS["1h"]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows, 1 minutes, 1 counts"):
        Counts(np.array([0, 1]), np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="1 ids, 2 moments, 1 sections"):
        Candidates(["a"], np.array([1, 2]), np.array([0]))
