"""The state machine of the service, with one exception at a time anywhere in a refresh, a write or a swap.

A CMS repeats a call that fails. So after a failed call the machine checks that nothing forbidden is shown,
repeats the call without a fault, and compares the worker with one that starts now.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from recommender.serving.store import Store
from recommender.serving.worker.follower import Follower
from tests.support.faults import Fault, InjectedError, files
from tests.support.snapshots import similar_live_articles
from tests.support.state_machine import ServiceStateMachine

FAULTY_FILES = files(
    *("serving/store/*.py", "serving/index/*.py", "serving/worker/*.py", "serving/rules/*.py"),
    *("columns.py", "serving/routes/submissions.py"),
) - files("serving/store/writer.py")  # its thread outlives a change; test_database.py has its faults
COUNTS = {"steps": 0, "injected": 0}  # changes, and exceptions in them, in this process
_FIRST_ERROR = 500
some_powers = st.lists(st.integers(0, 39), min_size=4, max_size=20)
_SPREAD = 5 / 4  # faults are as likely early as late: a refresh executes thousands of lines


class _Records(logging.Handler):
    """The records with the cause of an injected exception."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.places: list[str] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        logger = logging.getLogger("recommender")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, InjectedError):
            self.places.append(str(error))


class FaultyStateMachine(ServiceStateMachine):
    """The service, in which any change may be interrupted once."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []

    @initialize(powers=some_powers)
    def raise_from_the_start(self, powers: list[int]) -> None:
        self.raise_once(powers)

    @rule(powers=some_powers)
    def raise_once(self, powers: list[int]) -> None:
        """Raise once in some of the changes that follow, after up to 6,000 lines of them each."""
        self.faults = [Fault(int(_SPREAD**power), FAULTY_FILES) for power in powers]

    def change(self, call: Callable[[], Any], *, shows: str = "") -> Any:
        """Make a change, interrupted if a fault is due, and repeat it if it fails."""
        COUNTS["steps"] += 1
        if not self.faults:
            return call()
        fault, self.records = self.faults[-1], _Records()
        try:
            with self.records.attached(), fault.active():
                answer = call()
            is_done = getattr(answer, "status_code", 200) < _FIRST_ERROR
        except InjectedError:
            answer, is_done = None, False
        if not fault.place:
            return answer
        COUNTS["injected"] += 1
        self.faults.pop()
        if is_done:
            assert self.records.places == [fault.place], fault.place
            assert {"refresh", "model", "articles"} & {*self.context.follower.degraded}, fault.place
        else:
            assert len(self.records.places) <= 1, self.records.places
            self.uncertain = {shows}
            self.nothing_forbidden_is_shown()
            self.uncertain = set()
            answer = call()
        self._check_against_a_new_worker(fault)
        return answer

    def _check_against_a_new_worker(self, fault: Fault) -> None:
        own = self.context.follower
        own.refresh()
        settings = self.context.settings
        store = Store.of(settings)
        try:
            other = Follower(settings, store)
            assert own.state.degraded == other.state.degraded, fault.place
            assert own.snapshot.manifest == other.snapshot.manifest, fault.place
            assert _contents(own) == _contents(other), fault.place
        finally:
            store.close()


def _contents(follower: Follower) -> list[object]:
    """Return what decides what is shown: titles by id, similar live articles by id, withdrawals, rules."""
    snapshot = follower.snapshot
    documents = snapshot.articles
    shown = {documents.ids[row]: documents.titles[row] for row in documents.newest.tolist()}
    similar = similar_live_articles(snapshot)
    return [shown, similar, dict(follower.state.withdrawn), follower.state.rules, set(follower.state.live)]
