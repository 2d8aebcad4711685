"""A few callers run at once, a few wait in the queue, and all others get an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
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
