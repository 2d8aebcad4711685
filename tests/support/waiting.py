"""Waiting for a condition, up to a deadline."""

import time
from collections.abc import Callable

import pytest

PAUSE_SECONDS = 0.01


def eventually(
    condition: Callable[[], object], seconds: float = 30, message: Callable[[], object] | None = None
) -> float:
    """Return how many seconds passed before the condition was true.

    Fails the test, with the message, if it is still false after `seconds`.
    """
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            pytest.fail(f"not true within {seconds:g} s" + (f": {message()}" if message else ""))
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - start
