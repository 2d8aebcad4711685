"""Rules as editors write them: which are valid, and what the errors name."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.serving.rules.schema import (
    Block,
    Boost,
    Cap,
    Pin,
    RuleFault,
    RulesError,
    Sensitive,
    read_file,
    read_rule,
    read_set,
    read_stored,
    to_json,
)

SIGNED = {"reason": "the desk asked for it", "author": "A. Reyes"}
EVERY_KIND = """
[[rule]]
id = "live-first"
kind = "pin"
articles = ["4711", 4712]
for_category = "Economy & Business"
reason = "the live blog comes first"
author = "A. Reyes"
from = 2026-11-03T18:00:00+01:00
until = 2026-11-05T06:00:00Z

[[rule]]
id = "wrong-photo"
kind = "block"
articles = ["1022"]
for_article = "1048"
reason = "the photo shows somebody else"
author = "B. Oduya"

[[rule]]
id = "grief"
kind = "sensitive"
articles = ["9"]
reason = "the family asked"
author = "B. Oduya"

[[rule]]
id = "reporters"
kind = "boost"
by_author = "Jane Doe"
factor = 2
reason = "our own work"
author = "A. Reyes"

[[rule]]
id = "mixed"
kind = "cap"
per = "category"
at_most = 3
reason = "not all of one kind"
author = "A. Reyes"
"""


def fault_of(**fields: Any) -> RuleFault:
    """Return the only fault of a rule."""
    with pytest.raises(RulesError) as error:
        read_rule({"id": "x"} | SIGNED | fields, "rule 1")
    assert len(error.value.faults) == 1, error.value
    return error.value.faults[0]


def test_a_file_may_contain_rules_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(EVERY_KIND)

    pin, block, sensitive, boost, cap = read_file(tmp_path / "rules.toml")

    assert isinstance(pin, Pin)
    assert (pin.articles, pin.for_category) == (("4711", "4712"), "Economy & Business")
    assert pin.begins == datetime(2026, 11, 3, 17, tzinfo=UTC)
    assert isinstance(block, Block)
    assert block.for_article == "1048"
    assert isinstance(sensitive, Sensitive)
    assert isinstance(boost, Boost)
    assert (boost.by_author, boost.factor, boost.author) == ("Jane Doe", 2.0, "A. Reyes")
    assert isinstance(cap, Cap)
    assert (cap.per, cap.at_most) == ("category", 3)


@pytest.mark.parametrize("kind", ["block", "sensitive"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("in_category", "Paid & partners"), ("in_category", "🗞"), ("by_author", "O'Brien"), ("articles", ["7"])],
)
def test_a_file_may_hide_a_category_or_an_author(
    tmp_path: Path, kind: str, field: str, value: str | list[str]
) -> None:
    text = f'[[rule]]\nid = "x"\nkind = "{kind}"\n{field} = {json.dumps(value, ensure_ascii=False)}\n'
    (tmp_path / "rules.toml").write_text(f'{text}reason = "paid"\nauthor = "A. Reyes"\n')

    [rule] = read_file(tmp_path / "rules.toml")

    assert rule.as_json() == {
        "id": "x", "kind": kind, field: value, "reason": "paid", "author": "A. Reyes"
    }  # fmt: skip
    assert read_stored([("x", to_json(rule))]) == ((rule,), ())


def test_an_empty_file_contains_no_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("")

    assert read_file(tmp_path / "rules.toml") == ()


def test_a_rule_survives_the_database(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(EVERY_KIND)
    rules = read_file(tmp_path / "rules.toml")

    assert read_stored([(rule.id, to_json(rule)) for rule in rules]) == (rules, ())


def test_fields_without_a_value_are_left_out_of_json() -> None:
    rule = read_rule(
        {"until": "2026-05-01T12:00:00+02:00", "articles": [7], "kind": "block", "id": "x"} | SIGNED, ""
    )

    assert list(rule.as_json().items()) == [
        ("id", "x"), ("kind", "block"), ("articles", ["7"]), ("reason", "the desk asked for it"),
        ("author", "A. Reyes"), ("until", "2026-05-01T10:00:00Z"),
    ]  # fmt: skip


def test_invalid_rules_of_the_database_are_named() -> None:
    good = json.dumps({"id": "good", "kind": "sensitive", "articles": ["1"], **SIGNED})

    rules, invalid = read_stored(
        [("new", '{"id": "new", "kind": "haiku"}'), ("good", good), ("cut", '{"id"')]
    )

    assert [rule.id for rule in rules] == ["good"]
    assert invalid == ("new", "cut")


PIN: dict[str, Any] = {"kind": "pin", "articles": ["1"]}
BOOST: dict[str, Any] = {"kind": "boost", "articles": ["1"]}


@pytest.mark.parametrize(
    ("fields", "field", "value", "allowed"),
    [
        ({}, "kind", None, "'pin', 'block', 'sensitive', 'boost' or 'cap'"),
        ({"kind": "ban"}, "kind", "ban", "'pin', 'block', 'sensitive', 'boost' or 'cap'"),
        (PIN | {"articles": []}, "articles", "[]", "a list of 1 to 1000 article ids"),
        (PIN | {"articles": [".."]}, "articles", "..", "a list of 1 to 1000 article ids"),
        (PIN | {"articles": "1"}, "articles", "1", "a list of 1 to 1000 article ids"),
        ({"kind": "pin"}, "articles", None, "a list of 1 to 1000 article ids"),
        (PIN | {"reason": "  "}, "reason", "  ", "1 to 1000 characters"),
        (PIN | {"author": None}, "author", "null", "1 to 200 characters"),
        (PIN | {"for_article": ""}, "for_article", "", "an article id"),
        (PIN | {"for_category": 7}, "for_category", "7", "the name or slug of a category"),
        (
            PIN | {"for_article": "1", "for_category": "a"},
            "for_category",
            "a",
            "only one of for_article and for_category",
        ),
        (PIN | {"from": "2026-05-01"}, "from", "2026-05-01", "a date and time with a UTC offset, such as"),
        (PIN | {"from": 5}, "from", "5", "a date and time with a UTC offset, such as"),
        (
            PIN | {"until": "2026-05-01T10:00:00"},
            "until",
            "2026-05-01T10:00:00",
            "a date and time with a UTC offset",
        ),
        (
            PIN | {"from": "2026-05-01T10:00:00Z", "until": "2026-05-01T12:00:00+02:00"},
            "until",
            "2026-05-01T12:00:00+02:00",
            "a date and time after `from`",
        ),
        (PIN | {"articels": []}, "articels", "[]", "one of id, reason, author, from, until, for_article"),
        (PIN | {"id": "a b"}, "id", "a b", "1 to 100 of the characters"),
        (PIN | {"id": ".."}, "id", "..", "1 to 100 of the characters"),
        (BOOST, "factor", None, "a number from 0.1 to 10"),
        (BOOST | {"factor": 10.5}, "factor", "10.5", "a number from 0.1 to 10"),
        (BOOST | {"factor": float("nan")}, "factor", "NaN", "a number from 0.1 to 10"),
        (BOOST | {"factor": "2"}, "factor", "2", "a number from 0.1 to 10"),
        ({"kind": "boost", "factor": 2}, "articles", None, "exactly one of articles, in_category and"),
        ({"kind": "block"}, "articles", None, "exactly one of articles, in_category and by_author"),
        ({"kind": "sensitive"}, "articles", None, "exactly one of articles, in_category and by_author"),
        ({"kind": "block", "articles": []}, "articles", "[]", "a list of 1 to 1000 article ids"),
        ({"kind": "block", "in_category": " "}, "in_category", " ", "the name or slug of a category"),
        ({"kind": "sensitive", "by_author": ""}, "by_author", "", "the name of an author"),
        ({"kind": "sensitive", "in_section": "a"}, "in_section", "a", "one of id, reason, author, from"),
        ({"kind": "pin", "articles": ["1"], "in_category": "a"}, "in_category", "a", "one of id, reason"),
        (
            BOOST | {"factor": 2, "by_author": "J"},
            "articles",
            '["1"]',
            "exactly one of articles, in_category and by_author",
        ),
        ({"kind": "cap", "per": "day", "at_most": 1}, "per", "day", "'category' or 'author'"),
        ({"kind": "cap", "per": "author", "at_most": 0}, "at_most", "0", "a whole number from 1 to 50"),
        ({"kind": "cap", "per": "author", "at_most": True}, "at_most", "true", "a whole number from 1 to 50"),
    ],
)
def test_a_fault_names_rule_field_value_and_what_is_allowed(
    fields: dict[str, Any], field: str, value: str | None, allowed: str
) -> None:
    fault = fault_of(**fields)

    assert (fault.field, fault.value) == (field, value)
    assert fault.allowed.startswith(allowed)
    assert fault.rule == f"rule {fields.get('id', 'x')!r}"


def test_every_fault_of_every_rule_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(
        EVERY_KIND.replace("factor = 2", "factor = 20").replace('"category"', '"page"')
        + '[[rule]]\nid = "mixed"'
    )

    with pytest.raises(RulesError) as error:
        read_file(tmp_path / "bad.toml")

    assert str(error.value).splitlines() == [
        f"{tmp_path}/bad.toml: 3 faults",
        "rule 'reporters': factor is '20'; allowed: a number from 0.1 to 10",
        "rule 'mixed': per is 'page'; allowed: 'category' or 'author'",
        "rule 'mixed': kind is missing; allowed: 'pin', 'block', 'sensitive', 'boost' or 'cap'",
    ]


def test_two_rules_with_the_same_id_are_rejected() -> None:
    with pytest.raises(RulesError, match="rule 2: id is 'x'; allowed: an id that no other rule has"):
        read_set([{"id": "x"} | PIN | SIGNED] * 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule = 3", "the file: rule is '3'; allowed: [[rule]], a table for each rule"),
        ("rule = [3]", "rule 1: rule is '3'; allowed: a table of fields"),
        ("[[rules]]", "the file: rules is '[{}]'; allowed: rule"),
        ("[[rule", "is not TOML"),
    ],
)
def test_an_invalid_file_is_reported_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text(text)

    with pytest.raises(RulesError) as error:
        read_file(tmp_path / "bad.toml")

    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"none\.toml: No such file"):
        read_file(tmp_path / "none.toml")


COSTLY = {
    "an integer of 5,000 digits": "x = " + "9" * 5000,
    "a hexadecimal integer": "[[rule]]\nuntil = 0x" + "f" * 5000,
    "nested arrays": "x = " + "[" * 100_000,
    "nested arrays that end": "x = " + "[" * 100_000 + "]" * 100_000,
    "arrays that are nested less": '[[rule]]\nid = "a"\nkind = "pin"\narticles = ' + "[" * 900 + "]" * 900,
    "nested tables": "x = " + "{a=" * 100_000,
    "a key of 200,000 parts": "a" + ".a" * 200_000 + " = 1",
    "a quoted key": "'a'" + ".'a'" * 100_000 + " = 1",
    "a header": "[a" + " . a" * 100_000 + "]",
    "many keys of 31 parts": "".join(f"k{number}{'.a' * 31} = 1\n" for number in range(14_000)),
    "more than 1 MiB": "#" * (1 << 20) + "\n",
    "rules without fields": "[[rule]]\n" * 20_000,
    "many tables in tables": "".join(f"[a.a{number}.b]\n" for number in range(80_000)),
    "many values": "x = [" + "1," * 400_000 + "]",
}


@pytest.mark.parametrize("content", COSTLY.values(), ids=list(COSTLY))
def test_a_file_that_is_costly_to_read_is_rejected(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.toml").write_text(content)

    with pytest.raises(RulesError) as caught:
        read_file(tmp_path / "bad.toml")

    assert str(caught.value).startswith(str(tmp_path / "bad.toml"))


def test_dots_in_strings_and_comments_do_not_count(tmp_path: Path) -> None:
    rule = '[[rule]]\nid = "a.b.c"\nkind = "block"\narticles = ["[a.b]", \'[c.d]\']\nauthor = "x"\n'
    (tmp_path / "rules.toml").write_text(f'# [see a.b.c]\n{rule}reason = "[see a.b.c], really"\n')

    assert [rule.id for rule in read_file(tmp_path / "rules.toml")] == ["a.b.c"]


def test_a_device_is_not_read_to_its_end() -> None:
    with pytest.raises(RulesError, match="larger than 1048576 bytes"):
        read_file("/dev/zero")
