"""Access to the concurrency limits of an app, so that a test can occupy their slots."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest import mock

from recommender.serving.http.concurrency import ConcurrencyLimit


@contextmanager
def captured_limits(module: ModuleType) -> Iterator[list[ConcurrencyLimit]]:
    """Collect the limits that a module creates meanwhile. Their queues time out at once."""
    limits: list[ConcurrencyLimit] = []

    def create(
        at_once: int,
        waiting: int,
        wait_seconds: float,  # noqa: ARG001
        per_caller: int | None = None,
    ) -> ConcurrencyLimit:
        limits.append(ConcurrencyLimit(at_once, waiting, 0, per_caller))
        return limits[-1]

    with mock.patch.object(module, "ConcurrencyLimit", create):
        yield limits
