"""The effects of rules on one article, in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recommender.serving.rules.explain import ExplainedArticle, RuleEffect, rule_effects
from recommender.serving.rules.schema import Rule, read_rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARTICLE = ExplainedArticle("7", ("Economy & Business", "Politics"), ("Jane Doe", "John Roe"))


def rule(kind: str, **fields: Any) -> Rule:
    return read_rule({"id": kind, "kind": kind, "reason": "so", "author": "A. Reyes"} | fields, kind)


def effects_of(*rules: Rule, article: ExplainedArticle = ARTICLE) -> list[RuleEffect]:
    return rule_effects([("file", rule) for rule in rules], article, NOON)


def texts(*rules: Rule, article: ExplainedArticle = ARTICLE) -> list[tuple[str, str]]:
    return [(effect.part, effect.effect) for effect in effects_of(*rules, article=article)]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            "pin",
            {"articles": ["1", "7"], "for_category": "Sport"},
            [("candidate", "pin 2 of 2 in the lists of Sport")],
        ),
        ("pin", {"articles": ["1", "2"], "for_category": "politics"}, [("own list", "pins 1, 2")]),
        ("pin", {"articles": ["1"], "for_article": "7"}, [("own list", "pins 1")]),
        (
            "pin",
            {"articles": ["7", "1"]},
            [("candidate", "pin 1 of 2 in every list"), ("own list", "pins 1")],
        ),
        ("pin", {"articles": ["1"], "for_article": "8"}, []),
        ("block", {"articles": ["7"]}, [("candidate", "shown only in responses for its own id")]),
        ("block", {"articles": ["7"], "for_article": "8"}, [("candidate", "excluded from the list of 8")]),
        (
            "block",
            {"articles": ["7", "1"], "for_category": "Politics"},
            [("candidate", "excluded from the lists of Politics"), ("own list", "excludes 1")],
        ),
        ("block", {"articles": ["1"]}, []),
        ("sensitive", {"articles": ["7"]}, [("candidate", "excluded from all lists")]),
        ("sensitive", {"in_category": "politics"}, [("candidate", "excluded from all lists")]),
        ("sensitive", {"in_category": "economy-business"}, [("candidate", "excluded from all lists")]),
        ("sensitive", {"by_author": "john roe"}, [("candidate", "excluded from all lists")]),
        ("sensitive", {"in_category": "Sport"}, []),
        ("block", {"in_category": "Politics"}, [("candidate", "shown only in responses for its own id")]),
        (
            "block",
            {"by_author": "JANE DOE", "for_category": "Sport"},
            [("candidate", "excluded from the lists of Sport")],
        ),
        (
            "block",
            {"in_category": "Sport", "for_article": "7"},
            [("own list", "excludes articles in Sport")],
        ),
        (
            "boost",
            {"by_author": "JOHN ROE", "factor": 0.5},
            [
                ("candidate", "its score is multiplied by 0.5"),
                ("own list", "scores of articles by JOHN ROE are multiplied by 0.5"),
            ],
        ),
        (
            "boost",
            {"in_category": "economy-business", "factor": 2},
            [
                ("candidate", "its score is multiplied by 2"),
                ("own list", "scores of articles in economy-business are multiplied by 2"),
            ],
        ),
        (
            "boost",
            {"articles": [str(n) for n in range(1, 7)], "factor": 2},
            [("own list", "scores of 1, 2, 3, 4, 5 and 1 more are multiplied by 2")],
        ),
        (
            "cap",
            {"per": "category", "at_most": 2},
            [
                ("candidate", "at most 2 of Economy & Business in a list"),
                ("own list", "at most 2 of one category"),
            ],
        ),
        (
            "cap",
            {"per": "author", "at_most": 1},
            [("candidate", "at most 1 of Jane Doe in a list"), ("own list", "at most 1 of one author")],
        ),
    ],
)
def test_the_effects_of_every_kind_of_rule_are_explained(
    kind: str, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert texts(rule(kind, **fields)) == expected


@pytest.mark.parametrize("place", [{}, {"for_category": "Sport"}])
@pytest.mark.parametrize(
    "target", [{"articles": ["7"]}, {"in_category": "politics"}, {"by_author": "JANE DOE"}]
)
def test_a_blocked_pin_is_explained(place: dict[str, str], target: dict[str, Any]) -> None:
    effects = texts(rule("pin", articles=["7"], for_category="sport"), rule("block", **target, **place))

    assert effects[0] == (
        "candidate",
        "pin 1 of 1 in the lists of sport, but a block takes precedence",
    )


def test_a_pin_blocked_in_the_own_list_is_explained() -> None:
    effects = texts(rule("pin", articles=["1", "2"]), rule("block", articles=["2"], for_article="7"))

    assert effects[:2] == [("own list", "pins 1"), ("own list", "would pin 2, but a block takes precedence")]


def test_pins_are_explained_with_the_categories_and_authors_that_are_blocked() -> None:
    effects = texts(
        rule("pin", articles=["1", "2"]),
        rule("block", in_category="Paid", for_category="politics"),
        rule("sensitive", by_author="Ann Poe"),
        rule("block", in_category="Sport", for_article="8"),
    )

    assert effects[0] == ("own list", "pins 1, 2, except articles by Ann Poe and articles in Paid")


def test_active_rules_come_before_future_and_past_ones() -> None:
    moment, day = NOON.isoformat(), timedelta(days=1)
    over = rule("block", articles=["7"], until=moment)
    later = rule("pin", articles=["7"], **{"from": (NOON + day).isoformat()})
    now = rule("sensitive", articles=["7"], **{"from": moment})

    effects = effects_of(over, later, now)

    assert [(effect.rule, effect.state) for effect in effects] == [
        (now, "active"),
        (later, "scheduled"),
        (over, "expired"),
    ]


def test_an_unknown_article_is_explained_by_its_id() -> None:
    effects = texts(
        rule("cap", per="category", at_most=2), rule("block", articles=["x"]), article=ExplainedArticle("x")
    )

    assert effects == [
        ("own list", "at most 2 of one category"),
        ("candidate", "shown only in responses for its own id"),
    ]
