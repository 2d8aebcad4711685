"""An allowance may be spent at once or bit by bit; it is each caller's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from throttled import utils

from recommender.serving.http import rate_limit as rates
from recommender.serving.http.rate_limit import Rate, RateLimiter


class Clock:
    """The clock of the library, moved by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1e6
        patch.setattr(utils, "now_mono_f", lambda: self.now)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_an_allowance_may_be_spent_at_once_and_is_each_callers_own() -> None:
    allowances = RateLimiter(Rate.read("10/hour"))

    assert [allowances.wait("a") for _ in range(11)] == [0] * 10 + [360]
    assert allowances.wait("a") == 360
    assert allowances.wait("b") == 0


def test_an_allowance_fills_up_evenly(clock: Clock) -> None:
    allowances = RateLimiter(Rate.read("10/minute"))
    allowances.wait("a", 10)

    clock.now += 6

    assert [allowances.wait("a"), allowances.wait("a")] == [0, 6]


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 4)), max_size=60))
def test_never_is_more_let_in_than_twice_the_amount_in_any_period(asked: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock, allowances, let_in = Clock(patch), RateLimiter(Rate(5, 1)), list[tuple[float, int]]()
        for at, cost in sorted(asked):
            clock.now = at / 1000
            if not allowances.wait("a", cost):
                let_in.append((clock.now, cost))

    for start, _ in let_in:
        assert sum(cost for at, cost in let_in if start <= at < start + 1) <= 10


@pytest.mark.parametrize(("text", "wait"), [("1/second", 1), ("1/minute", 60), ("1/hour", 3600)])
def test_a_setting_spells_a_rate(text: str, wait: int) -> None:
    allowances = RateLimiter(Rate.read(text))
    allowances.wait("a")

    assert allowances.wait("a") == wait


def test_what_is_refused_spends_nothing() -> None:
    allowances = RateLimiter(Rate.read("10/hour"))
    allowances.wait("a", 8)

    assert [allowances.wait("a", 5), allowances.wait("a", 3), allowances.wait("a", 0)] == [1080, 360, 0]


def test_what_costs_more_than_all_takes_all() -> None:
    allowances = RateLimiter(Rate.read("10/hour"))

    assert allowances.wait("a", 500) == 0
    assert allowances.wait("a") == 360
    assert allowances.wait("a", 500) == 3600


def test_what_is_remembered_is_bounded_and_who_goes_on_asking_stays_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "_MAX_NAMES", 20)
    allowances = RateLimiter(Rate.read("2/hour"))
    allowances.wait("flood", 2)

    for number in range(100):
        allowances.wait(str(number))
        assert allowances.wait("flood") > 0

    # Half of the allowance is left for a name that is remembered, and all of it for any other.
    remembered = [number for number in reversed(range(100)) if allowances.wait(str(number), 2)]
    assert remembered == [*range(99, 80, -1)]
