"""All checks of a deployment, in the order in which a fault is best repaired."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from recommender.serving.deployment.access import keys_check, proxies_check, user_check, variables_check
from recommender.serving.deployment.check import Check
from recommender.serving.deployment.files import disk_checks, model_checks, rules_check, state_check
from recommender.serving.deployment.peers import clock_check, database_check, purge_check, service_check
from recommender.serving.deployment.registry import registry_check
from recommender.settings import Settings


def checks_of(settings: Settings, now: datetime) -> Iterator[Check]:
    """Yield the result of every check that applies to these settings. They change nothing."""
    yield variables_check()
    registry = registry_check(settings)
    if registry is not None:
        yield registry
    yield from model_checks(settings, now)
    yield state_check(settings)
    database, facts = database_check(settings)
    yield database
    has_file = facts is not None and facts.now is None
    yield from disk_checks(settings, Path(facts.name) if facts is not None and has_file else None)
    found = clock_check(facts, now), user_check(), rules_check(settings), purge_check(settings)
    yield from (check for check in found if check is not None)
    yield keys_check(settings)
    yield proxies_check(settings)
    yield service_check(settings)
