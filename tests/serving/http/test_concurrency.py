"""A few callers run at once, a few wait in the queue, and all others get an error."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Queue
from threading import Event, Thread
from time import sleep

import pytest

from recommender.serving.http.concurrency import HEAVY_COST, ComputingLimit, ConcurrencyLimit, Deadline
from recommender.serving.http.problems import Problem
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from tests.support.newsroom import NOW, build_model, newsroom


@contextmanager
def slots_requested(limit: ConcurrencyLimit, count: int) -> Iterator[list[str]]:
    """Request `count` slots, each in its own thread, and hold them until the end; yield the outcomes."""
    end, decided, outcomes = Event(), [Event() for _ in range(count)], list[str]()

    def hold(is_decided: Event) -> None:
        try:
            with limit.slot():
                outcomes.append("slot")
                is_decided.set()
                end.wait()
        except Problem as problem:
            outcomes.append(problem.kind)
            is_decided.set()

    threads = [Thread(target=hold, args=(is_decided,)) for is_decided in decided]
    for thread in threads:
        thread.start()
    for is_decided in decided:
        is_decided.wait()
    try:
        yield outcomes
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_at_most_so_many_run_at_once_and_the_next_times_out() -> None:
    limit = ConcurrencyLimit(2, 1, wait_seconds=0)

    with (
        slots_requested(limit, 2) as outcomes,
        pytest.raises(Problem, match="timed out after 0 s in the queue") as refused,
        limit.slot(),
    ):
        pass

    assert outcomes == ["slot", "slot"]
    assert (refused.value.kind, refused.value.status) == ("overloaded", 503)
    assert refused.value.headers == {"Retry-After": "1"}


def test_of_two_requests_for_one_place_in_the_queue_one_is_rejected_at_once_and_one_gets_the_slot() -> None:
    limit, outcomes = ConcurrencyLimit(1, 1, wait_seconds=60), Queue[str]()

    def request_slot() -> None:
        try:
            with limit.slot():
                outcomes.put("slot")
        except Problem as problem:
            outcomes.put(str(problem))

    threads = [Thread(target=request_slot) for _ in range(2)]
    with limit.slot():
        for thread in threads:
            thread.start()
        assert "the queue is full" in outcomes.get(timeout=30)  # from the thread that is second
        outcomes.put("slot released")
    for thread in threads:
        thread.join()

    assert [outcomes.get(timeout=30) for _ in range(2)] == ["slot released", "slot"]


def test_slots_are_given_in_the_order_of_the_requests() -> None:
    limit, order = ConcurrencyLimit(1, 2, wait_seconds=60), list[str]()

    def hold_slot(name: str) -> None:
        with limit.slot():
            order.append(name)

    threads = [Thread(target=hold_slot, args=(name,)) for name in ("first", "second")]
    with limit.slot():
        for thread in threads:
            thread.start()
            sleep(0.1)  # until it waits
    hold_slot("third")  # it comes when the slot has just become free
    for thread in threads:
        thread.join()

    assert order == ["first", "second", "third"]


def test_one_caller_has_at_most_so_many_requests_in_the_queue() -> None:
    limit = ConcurrencyLimit(8, 8, wait_seconds=0, per_caller=2)

    with limit.slot("greedy"), limit.slot("greedy"):
        with pytest.raises(Problem, match="you have 2 requests in the queue; send fewer at once") as refused:
            limit.slot("greedy").__enter__()
        with limit.slot("other"), limit.slot(), limit.slot(), limit.slot():
            pass

    assert refused.value.kind == "overloaded"
    with limit.slot("greedy"):
        pass


def test_a_slot_can_be_lent_to_another_caller_meanwhile() -> None:
    limit = ConcurrencyLimit(1, 1, wait_seconds=0)

    with limit.slot():
        with limit.lent(), limit.slot():
            pass
        with pytest.raises(Problem, match="timed out"):
            limit.slot().__enter__()


class Spending:
    """A caller with any allowance; `costs` are those that were spent."""

    def __init__(self, name: str | None = None) -> None:
        self.costs = list[int]()
        self._name = name

    def count_computing(self, cost: int) -> None:
        self.costs.append(cost)

    def queue_name(self) -> str | None:
        return self._name


def test_heavy_responses_take_turns_and_light_ones_do_not_wait_for_them() -> None:
    caller = Spending()
    computing, order, started = ComputingLimit(caller, 5), Queue[str](), Event()

    def compute() -> None:
        started.set()
        with computing.turn(HEAVY_COST):
            order.put("second heavy")

    second = Thread(target=compute)
    with computing.turn(1000):
        second.start()
        started.wait()
        with computing.turn(1), computing.turn(HEAVY_COST - 1):
            order.put("light")
        order.put("first heavy")
    second.join()

    assert [order.get(timeout=30) for _ in range(3)] == ["light", "first heavy", "second heavy"]
    assert sorted(caller.costs) == [1, HEAVY_COST - 1, HEAVY_COST, 1000]


@pytest.mark.parametrize("cost", [1, HEAVY_COST])
def test_of_many_requests_of_one_caller_most_are_rejected_while_the_first_computes(cost: int) -> None:
    computing, statuses, end = ComputingLimit(Spending("greedy"), 5), Queue[int](), Event()

    def compute() -> None:
        try:
            with computing.turn(cost):
                end.wait()
            statuses.put(200)
        except Problem as problem:
            statuses.put(problem.status)

    threads = [Thread(target=compute) for _ in range(60)]
    for thread in threads:
        thread.start()
    rejected = [statuses.get(timeout=30) for _ in range(30)]
    end.set()
    for thread in threads:
        thread.join()

    assert rejected == [503] * 30


def test_a_response_that_waits_to_score_the_corpus_lets_light_ones_compute() -> None:
    computing = ComputingLimit(Spending(), 5)

    with ExitStack() as turns:
        for _ in range(2):
            turns.enter_context(computing.turn(1))
        with computing.lent(), computing.turn(1):
            pass


def test_work_ends_at_its_deadline() -> None:
    seconds = iter([100.0, 104.9, 105.0])
    deadline = Deadline(5, lambda: next(seconds))

    deadline.check()
    with pytest.raises(Problem, match="not complete after 5 s; request fewer lists at once") as stopped:
        deadline.check()

    assert (stopped.value.status, stopped.value.headers) == (503, {"Retry-After": "1"})


def test_work_that_fails_releases_its_slot() -> None:
    limit = ConcurrencyLimit(1, 0, wait_seconds=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limit.slot():
            raise ZeroDivisionError

    with limit.slot():
        pass


def test_a_list_needs_a_slot_only_if_the_precomputed_neighbours_are_not_enough() -> None:
    requested = list[str]()

    @contextmanager
    def slot() -> Iterator[None]:
        requested.append("slot")
        yield

    related = Related(build_model(newsroom(), k=2), scoring_slot=slot)

    related.of("a", ListQuery(limit=1), NOW)
    assert requested == []
    related.of("a", ListQuery(limit=9), NOW)
    assert requested == ["slot"]
    related.of_text(newsroom()[0], ListQuery(), NOW)
    related.search("storm", 9, NOW)
    assert requested == ["slot"] * 3
