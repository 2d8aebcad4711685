"""What the rules do with one article, in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recommender.serving.rules.explain import ExplainedArticle, RuleEffect, rule_effects
from recommender.serving.rules.schema import Rule, read_rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBJECT = ExplainedArticle("7", ("Economy & Business", "Politics"), ("Jane Doe", "John Roe"))


def rule(kind: str, **fields: Any) -> Rule:
    return read_rule({"id": kind, "kind": kind, "reason": "so", "author": "A. Reyes"} | fields, kind)


def told(*rules: Rule, subject: ExplainedArticle = SUBJECT) -> list[RuleEffect]:
    return rule_effects([("file", each) for each in rules], subject, NOON)


def effects(*rules: Rule, subject: ExplainedArticle = SUBJECT) -> list[tuple[str, str]]:
    return [(ruling.part, ruling.effect) for ruling in told(*rules, subject=subject)]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            "pin",
            {"articles": ["1", "7"], "for_category": "Sport"},
            [("candidate", "pin 2 of 2 in the lists of Sport")],
        ),
        ("pin", {"articles": ["1", "2"], "for_category": "politics"}, [("own list", "puts first 1, 2")]),
        ("pin", {"articles": ["1"], "for_article": "7"}, [("own list", "puts first 1")]),
        (
            "pin",
            {"articles": ["7", "1"]},
            [("candidate", "pin 1 of 2 in every list"), ("own list", "puts first 1")],
        ),
        ("pin", {"articles": ["1"], "for_article": "8"}, []),
        ("block", {"articles": ["7"]}, [("candidate", "kept out of every answer but its own")]),
        ("block", {"articles": ["7"], "for_article": "8"}, [("candidate", "kept out of the list of 8")]),
        (
            "block",
            {"articles": ["7", "1"], "for_category": "Politics"},
            [("candidate", "kept out of the lists of Politics"), ("own list", "keeps out 1")],
        ),
        ("block", {"articles": ["1"]}, []),
        ("sensitive", {"articles": ["7"]}, [("candidate", "kept out of all lists")]),
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
def test_each_rule_says_what_it_does(
    kind: str, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert effects(rule(kind, **fields)) == expected


@pytest.mark.parametrize("place", [{}, {"for_category": "Sport"}])
def test_a_pin_that_is_blocked_says_so(place: dict[str, str]) -> None:
    found = effects(rule("pin", articles=["7"], for_category="sport"), rule("block", articles=["7"], **place))

    assert found[0] == ("candidate", "pin 1 of 1 in the lists of sport; but it is blocked, and a block wins")


def test_a_pin_that_is_blocked_in_the_own_list_says_so() -> None:
    found = effects(rule("pin", articles=["1", "2"]), rule("block", articles=["2"], for_article="7"))

    assert found[:2] == [("own list", "puts first 1"), ("own list", "would put first 2; but a block wins")]


def test_what_acts_comes_before_what_will_and_what_did() -> None:
    moment, day = NOON.isoformat(), timedelta(days=1)
    over = rule("block", articles=["7"], until=moment)
    later = rule("pin", articles=["7"], **{"from": (NOON + day).isoformat()})
    now = rule("sensitive", articles=["7"], **{"from": moment})

    found = told(over, later, now)

    assert [(each.rule, each.state) for each in found] == [
        (now, "acts"),
        (later, "to come"),
        (over, "over"),
    ]


def test_of_an_unknown_article_only_its_id_counts() -> None:
    found = effects(
        rule("cap", per="category", at_most=2), rule("block", articles=["x"]), subject=ExplainedArticle("x")
    )

    assert found == [
        ("own list", "at most 2 of one category"),
        ("candidate", "kept out of every answer but its own"),
    ]
