"""Withdrawn, hidden and embargoed articles never appear, in whatever order changes happen."""

import pytest
from hypothesis import settings

from tests.support.faulty_machine import FaultyStateMachine
from tests.support.laws import examples
from tests.support.state_machine import MACHINE_SETTINGS, ServiceStateMachine

TestNeverShown = ServiceStateMachine.TestCase
TestNeverShown.settings = MACHINE_SETTINGS


@pytest.mark.slow
class TestNeverShownInMoreOrders(ServiceStateMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(MACHINE_SETTINGS, max_examples=15, stateful_step_count=20)


class TestNeverShownWithFaults(FaultyStateMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(MACHINE_SETTINGS, max_examples=examples(8), stateful_step_count=12)


@pytest.mark.slow
class TestNeverShownWithManyFaults(FaultyStateMachine.TestCase):  # type: ignore[misc, valid-type]
    """2,000 steps."""

    settings = settings(MACHINE_SETTINGS, max_examples=50, stateful_step_count=40)
