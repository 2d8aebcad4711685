"""An allowance is spent at once or bit by bit, and fills up again."""

from hypothesis import given
from hypothesis import strategies as st

from recommender.serving import rates
from recommender.serving.rates import Allowances, Rate

SECOND = 1_000_000


def test_an_allowance_may_be_spent_at_once_and_fills_up_evenly() -> None:
    allowances = Allowances(Rate.read("10/minute"))

    assert [allowances.wait("a", 0) for _ in range(11)] == [0] * 10 + [6 * SECOND]
    assert allowances.wait("a", 6 * SECOND) == 0
    assert allowances.wait("a", 6 * SECOND) == 6 * SECOND
    assert allowances.wait("b", 6 * SECOND) == 0


def test_what_costs_more_than_all_waits_until_all_is_there() -> None:
    allowances = Allowances(Rate(10, 10 * SECOND))
    allowances.wait("a", 0)

    assert allowances.wait("a", 0, cost=500) == SECOND
    assert allowances.wait("a", SECOND, cost=500) == 0


def test_a_clock_that_jumps_back_keeps_nobody_out() -> None:
    allowances = Allowances(Rate(1, SECOND))
    allowances.wait("a", 10**15)

    assert allowances.wait("a", 0) == 0
    assert allowances.wait("a", 0) == SECOND


def test_what_is_remembered_is_bounded_and_who_spent_most_stays_known() -> None:
    allowances = Allowances(Rate(2, SECOND))
    for _ in range(2):
        allowances.wait("flood", 0)

    for number in range(rates._MAX_NAMES + 10):
        allowances.wait(str(number), 0)

    assert len(allowances._whole_at) <= rates._MAX_NAMES
    assert allowances.wait("flood", 0) > 0


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 4)), max_size=60))
def test_never_is_more_let_in_than_twice_the_amount_in_any_period(asked: list[tuple[int, int]]) -> None:
    rate, times = Rate(5, SECOND), sorted(asked)
    allowances = Allowances(rate)

    let_in = [(now, cost) for now, cost in times if not allowances.wait("a", now, cost)]

    for start, _ in let_in:
        assert sum(cost for now, cost in let_in if start <= now < start + rate.period) <= 2 * rate.amount
