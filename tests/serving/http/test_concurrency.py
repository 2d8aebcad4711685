"""A few at once, some who wait, and nobody beyond."""

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
def held(turns: ConcurrencyLimit, count: int) -> Iterator[list[str]]:
    """Let so many ask for a turn, each in its own thread, and hold it till the end; yield how they fared."""
    end, asked, fared = Event(), [Event() for _ in range(count)], list[str]()

    def hold(told: Event) -> None:
        try:
            with turns.slot():
                fared.append("turn")
                told.set()
                end.wait()
        except Problem as problem:
            fared.append(problem.kind)
            told.set()

    threads = [Thread(target=hold, args=(told,)) for told in asked]
    for thread in threads:
        thread.start()
    for told in asked:
        told.wait()
    try:
        yield fared
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_so_many_have_a_turn_at_once_and_the_next_waits_in_vain() -> None:
    turns = ConcurrencyLimit(2, 1, wait_seconds=0)

    with held(turns, 2) as fared, pytest.raises(Problem) as refused, turns.slot():
        pass

    assert fared == ["turn", "turn"]
    assert (refused.value.kind, refused.value.status) == ("overloaded", 503)
    assert refused.value.headers == {"Retry-After": "1"}


def test_of_two_requests_for_one_place_in_the_queue_one_is_rejected_at_once_and_one_gets_the_slot() -> None:
    limit, outcomes = ConcurrencyLimit(1, 1, wait_seconds=60), Queue[str]()

    def ask() -> None:
        try:
            with limit.slot():
                outcomes.put("slot")
        except Problem as problem:
            outcomes.put(str(problem))

    threads = [Thread(target=ask) for _ in range(2)]
    with limit.slot():
        for thread in threads:
            thread.start()
        assert "too many ask" in outcomes.get(timeout=30)  # whichever thread came second
        outcomes.put("slot given back")
    for thread in threads:
        thread.join()

    assert [outcomes.get(timeout=30) for _ in range(2)] == ["slot given back", "slot"]


def test_a_turn_is_given_back_by_work_that_fails() -> None:
    turns = ConcurrencyLimit(1, 0, wait_seconds=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.slot():
            raise ZeroDivisionError

    with turns.slot():
        pass


def test_a_list_takes_a_turn_only_where_the_neighbours_do_not_settle_it() -> None:
    taken = list[str]()

    @contextmanager
    def slot() -> Iterator[None]:
        taken.append("turn")
        yield

    related = Related(build_model(newsroom(), k=2), scoring_limit=slot)

    related.of("a", ListQuery(limit=1), NOW)
    assert taken == []
    related.of("a", ListQuery(limit=9), NOW)
    assert taken == ["turn"]
    related.like(newsroom()[0], ListQuery(), NOW)
    related.search("storm", 9, NOW)
    assert taken == ["turn"] * 3
