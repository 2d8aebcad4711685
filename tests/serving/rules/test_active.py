"""Which rules are active at a moment, and what they do with a list: a block always wins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.rules.schema import Rule, read_rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rule(rule_id: str, kind: str, **fields: Any) -> Rule:
    signed = {"reason": "as the desk requested", "author": "A. Reyes"}
    return read_rule({"id": rule_id, "kind": kind} | signed | fields, rule_id)


def pin(*articles: str, **fields: Any) -> Rule:
    return rule(f"pin-{'-'.join(articles)}", "pin", articles=list(articles), **fields)


def block(*articles: str, **fields: Any) -> Rule:
    return rule(f"block-{'-'.join(articles)}", "block", articles=list(articles), **fields)


def active_rules(*rules: Rule) -> ActiveRules:
    return Rules(rules).active(NOON)


def test_a_rule_is_active_from_its_first_moment_until_just_before_its_last() -> None:
    rules = Rules((pin("1", **{"from": NOON.isoformat(), "until": (NOON + HOUR).isoformat()}),))
    instant = timedelta(microseconds=1)

    moments = (NOON - instant, NOON, NOON + HOUR - instant, NOON + HOUR)

    assert [rules.active(now).pins("x") for now in moments] == [(), ("1",), ("1",), ()]


def test_the_boundary_is_the_next_moment_at_which_a_rule_begins_or_ends() -> None:
    early, late = (NOON + HOUR).isoformat(), (NOON + 2 * HOUR).isoformat()
    rules = Rules((pin("1", until=late), block("2", **{"from": early}), pin("3")))

    moments = (NOON, NOON + HOUR, NOON + 2 * HOUR)

    assert [rules.active(now).boundary for now in moments] == [NOON + HOUR, NOON + 2 * HOUR, None]


def test_pins_for_the_article_come_before_those_for_its_category_and_for_all_lists() -> None:
    active = active_rules(
        pin("all"), pin("s2", "s1", for_category="economy-business"), pin("own", for_article="x"),
        pin("s1", "s3"), pin("else", for_article="y"), pin("sport", for_category="Sport"),
    )  # fmt: skip

    assert active.pins("x", ["Economy & Business"]) == ("own", "s2", "s1", "all", "s3")
    assert active.pins(None) == ("all", "s1", "s3")


@pytest.mark.parametrize("name", ["Économie & Cie", "économie & cie", "economie-cie"])
def test_a_category_is_named_by_name_or_slug_in_any_case(name: str) -> None:
    active = active_rules(pin("1", for_category=name), block("2", for_category=name))

    assert active.pins("x", ["Économie & Cie"]) == ("1",)
    assert active.blocked("x", ["Économie & Cie"]) == {"2"}


def test_an_article_is_not_pinned_in_its_own_list() -> None:
    assert active_rules(pin("1", "2")).pins("1") == ("2",)


@pytest.mark.parametrize(
    "block_rule",
    [
        block("1"),
        block("1", for_article="x"),
        block("1", for_category="Sport"),
        rule("s", "sensitive", articles=["1"]),
    ],
)
def test_a_block_wins_over_every_pin(block_rule: Rule) -> None:
    pins = (pin("1", "2"), pin("1", for_article="x"), pin("1", for_category="Sport"))

    for rules in ((*pins, block_rule), (block_rule, *pins)):
        assert active_rules(*rules).pins("x", ["Sport"]) == ("2",)


def test_a_block_for_one_list_leaves_the_others_alone() -> None:
    active = active_rules(block("1", for_article="x"), block("2", for_category="Sport"), block("3"))

    assert active.hidden == {"3"}
    assert active.blocked("x") == {"1"}
    assert active.blocked("y", ["Sport"]) == {"2"}
    assert active.blocked(None) == frozenset()


def test_sensitive_articles_are_hidden() -> None:
    assert active_rules(rule("s", "sensitive", articles=["1", "2"])).hidden == {"1", "2"}


def test_a_block_that_is_over_hides_nothing() -> None:
    assert active_rules(block("1", until=NOON.isoformat())).hidden == frozenset()


def test_the_smallest_of_several_caps_applies() -> None:
    caps = [rule(f"cap{n}", "cap", per="category", at_most=n) for n in (3, 2, 5)]

    active = active_rules(*caps)

    assert (active.cap("category"), active.cap("author")) == (2, None)


def test_equal_rules_have_the_same_version_and_others_another() -> None:
    rules, same = active_rules(pin("1"), pin("2")), active_rules(pin("1"), pin("2"))
    others = [
        active_rules(),
        active_rules(pin("2"), pin("1")),
        active_rules(pin("1", "2")),
        active_rules(block("1"), pin("2")),
    ]

    assert (rules, hash(rules), rules.version) == (same, hash(same), same.version)
    assert len({active.version for active in (rules, *others)}) == 5


def test_an_inactive_rule_is_not_part_of_the_version() -> None:
    assert active_rules(pin("1"), pin("2", until=NOON.isoformat())) == active_rules(pin("1"))
