"""A thread that repeats a task continues after errors, and ends after `stop`."""

from threading import Event
from threading import enumerate as threads

import pytest

from recommender.serving.worker.periodic import Periodic
from tests.support.waiting import eventually


class FailsAtFirst(Periodic):
    def __init__(self) -> None:
        super().__init__("fails-at-first", 0.001, "the task failed")
        self.calls, self.succeeded = 0, Event()

    def run_once(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError
        self.succeeded.set()


def test_an_error_is_logged_and_the_next_call_is_made(caplog: pytest.LogCaptureFixture) -> None:
    task = FailsAtFirst()
    task.start()
    try:
        assert task.succeeded.wait(10)
    finally:
        task.stop()

    assert [(record.name, record.message) for record in caplog.records] == [(__name__, "the task failed")]
    assert caplog.records[0].exc_info is not None
    eventually(lambda: "fails-at-first" not in {thread.name for thread in threads()}, 10)
