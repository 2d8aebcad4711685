"""A few callers run at once, a few wait in the queue, and all others get an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from recommender.serving.http.concurrency import ConcurrencyLimit
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


def test_a_caller_beyond_the_queue_gets_an_error_at_once() -> None:
    limit = ConcurrencyLimit(1, 1, wait_seconds=60)
    with slots_requested(limit, 1):
        waiting = Thread(target=lambda: limit.slot().__enter__())
        waiting.start()
        while limit._capacity._value:
            pass

        with pytest.raises(Problem, match="the queue is full"), limit.slot():
            pass
    waiting.join()


def test_a_waiting_caller_gets_the_slot_that_another_releases() -> None:
    limit, has_slot = ConcurrencyLimit(1, 1, wait_seconds=60), Event()

    def wait() -> None:
        with limit.slot():
            has_slot.set()

    with slots_requested(limit, 1):
        waiting = Thread(target=wait)
        waiting.start()
        assert not has_slot.is_set()
    waiting.join()

    assert has_slot.is_set()


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

    related = Related(build_model(newsroom(), k=2), slot=slot)

    related.of("a", ListQuery(limit=1), NOW)
    assert requested == []
    related.of("a", ListQuery(limit=9), NOW)
    assert requested == ["slot"]
    related.like(newsroom()[0], ListQuery(), NOW)
    related.search("storm", 9, NOW)
    assert requested == ["slot"] * 3
