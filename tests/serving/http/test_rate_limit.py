"""An allowance may be spent at once or bit by bit, and each name has its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from throttled import utils

from recommender.serving.http import rate_limit
from recommender.serving.http.rate_limit import Rate, RateLimiter


class Clock:
    """The clock of the throttled library, set by the test."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1e6
        patch.setattr(utils, "now_mono_f", lambda: self.now)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_an_allowance_may_be_spent_at_once_and_each_name_has_its_own() -> None:
    limiter = RateLimiter(Rate.read("10/hour"))

    assert [limiter.spend("a") for _ in range(11)] == [0] * 10 + [360]
    assert limiter.spend("a") == 360
    assert limiter.spend("b") == 0


def test_an_allowance_refills_evenly(clock: Clock) -> None:
    limiter = RateLimiter(Rate.read("10/minute"))
    limiter.spend("a", 10)

    clock.now += 6

    assert [limiter.spend("a"), limiter.spend("a")] == [0, 6]


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 4)), max_size=60))
def test_at_most_twice_the_amount_is_spent_in_any_period(requests: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock, limiter, spent = Clock(patch), RateLimiter(Rate(5, 1)), list[tuple[float, int]]()
        for milliseconds, cost in sorted(requests):
            clock.now = milliseconds / 1000
            if not limiter.spend("a", cost):
                spent.append((clock.now, cost))

    for start, _ in spent:
        assert sum(cost for at, cost in spent if start <= at < start + 1) <= 10


@pytest.mark.parametrize(("text", "seconds"), [("1/second", 1), ("1/minute", 60), ("1/hour", 3600)])
def test_a_rate_is_read_from_a_setting(text: str, seconds: int) -> None:
    limiter = RateLimiter(Rate.read(text))
    limiter.spend("a")

    assert limiter.spend("a") == seconds


def test_a_refused_cost_spends_nothing() -> None:
    limiter = RateLimiter(Rate.read("10/hour"))
    limiter.spend("a", 8)

    assert [limiter.spend("a", 5), limiter.spend("a", 3), limiter.spend("a", 0)] == [1080, 360, 0]


def test_a_cost_above_the_whole_amount_spends_the_whole_amount() -> None:
    limiter = RateLimiter(Rate.read("10/hour"))

    assert limiter.spend("a", 500) == 0
    assert limiter.spend("a") == 360
    assert limiter.spend("a", 500) == 3600


def test_few_names_are_remembered_and_a_name_in_use_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_NAMES", 20)
    limiter = RateLimiter(Rate.read("2/hour"))
    limiter.spend("flood", 2)

    for number in range(100):
        limiter.spend(str(number))
        assert limiter.spend("flood") > 0

    # Half of the allowance is left for a name that is remembered, and all of it for any other.
    remembered = [number for number in reversed(range(100)) if limiter.spend(str(number), 2)]
    assert remembered == [*range(99, 80, -1)]
