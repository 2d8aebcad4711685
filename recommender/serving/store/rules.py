"""Editorial rules in the database: an ordered set of JSON documents, which are not parsed here."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from recommender.serving.store.numbers import next_number, numbers, set_number
from recommender.serving.store.rows import RuleSet, StaleError
from recommender.serving.store.schema import RULES

Rules = tuple[tuple[str, str], ...]  # (id, JSON), in order


@dataclass(frozen=True)
class Revision:
    """A change to the rules, made only if `if_match` is None or their current ETag."""

    change: Callable[[Rules], Rules]
    if_match: str | None


def stored_rules(connection: Connection) -> RuleSet:
    """Return all rules, in order."""
    rows = connection.execute(select(RULES.c.id, RULES.c.body).order_by(RULES.c.place))
    return RuleSet(tuple((row.id, row.body) for row in rows), numbers(connection)["rules"])


def revise_rules(
    connection: Connection, revisions: list[Revision]
) -> list[tuple[RuleSet, RuleSet] | StaleError]:
    """Make each revision in turn; return the rules before and after it, or StaleError for a wrong ETag."""
    results: list[tuple[RuleSet, RuleSet] | StaleError] = []
    for revision in revisions:
        before = stored_rules(connection)
        if revision.if_match not in {None, before.etag}:
            results.append(StaleError("the rules have changed since they were read"))
        else:
            results.append((before, _revise(connection, before, revision.change(before.rules))))
    return results


def _revise(connection: Connection, before: RuleSet, rules: Rules) -> RuleSet:
    if rules == before.rules:
        return before
    connection.execute(delete(RULES))
    if rules:
        rows = [{"id": rule_id, "place": place, "body": body} for place, (rule_id, body) in enumerate(rules)]
        connection.execute(insert(RULES), rows)
    version = next_number(connection, "live")
    set_number(connection, "rules", version)
    return RuleSet(rules, version)
