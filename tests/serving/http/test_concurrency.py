"""A few at once, some who wait, and nobody beyond."""

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


def test_who_would_be_one_too_many_in_the_queue_is_sent_away_at_once() -> None:
    turns = ConcurrencyLimit(1, 1, wait_seconds=60)
    with held(turns, 1):
        waits = Thread(target=lambda: turns.slot().__enter__())
        waits.start()
        while turns._places._value:
            pass

        with pytest.raises(Problem, match="too many ask"), turns.slot():
            pass
    waits.join()


def test_who_waits_gets_the_turn_that_another_gives_back() -> None:
    turns, had = ConcurrencyLimit(1, 1, wait_seconds=60), Event()

    def wait() -> None:
        with turns.slot():
            had.set()

    with held(turns, 1):
        waits = Thread(target=wait)
        waits.start()
        assert not had.is_set()
    waits.join()

    assert had.is_set()


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
