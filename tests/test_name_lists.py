"""Lists written into one text become several names, and other texts in brackets stay as they are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.fields import RowReader
from recommender.name_lists import MAX_CHARS, listed
from tests.support.laws import examples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=5)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["News", "Sport"]', ["News", "Sport"]),
        (' ["Say \\"no\\"", null] ', ['Say "no"', None]),
        ("[&quot;News&quot;, &quot;R&amp;D&quot;]", ["News", "R&D"]),
        ('[{"name": "News"}]', [{"name": "News"}]),
        ("['News', 'Sport']", ["News", "Sport"]),
        ("['News', \"Women's sport\", None, nan]", ["News", "Women's sport", None, None]),
        (r"[u'Fu\xdfball', 'a\\b',]", ["Fußball", "a\\b"]),
        ("['News' 'Sport'\n 'Local']", ["News", "Sport", "Local"]),
        ("('News', 'Sport')", ["News", "Sport"]),
        ("{'News', 'Sport'}", ["News", "Sport"]),
        ('{News,"Local sport"}', ["News", "Local sport"]),
        ("""{"a \\"b\\" \\\\c", NULL , "NULL", L'été}""", ['a "b" \\c', None, "NULL", "L'été"]),
        ("[]", []),
        ("{}", []),
    ],
)
def test_a_list_in_a_text_is_read(text: str, items: list[Any]) -> None:
    assert listed(text) == items


@pytest.mark.parametrize(
    "text",
    [
        "[Sponsored] News",
        "[Sponsored]",
        "[News, Sport]",
        "[2026]",
        "['News', 2026]",
        "['News'",
        "['News''Sport']",
        r"['AC\DC']",
        r"['\U00110000']",
        '["News", ["Sport"]]',
        "(AFP)",
        "{Live} News",
        '{"name": "News"}',
        "{'name': 'News'}",
        "{{a,b},{c,d}}",
        "{a,,b}",
        "['News', __import__('os').getcwd()]",
        "[" * 5000 + "]" * 5000,
        "['" + "x" * MAX_CHARS + "']",
        "",
    ],
)
def test_a_text_that_is_not_exactly_a_list_is_left(text: str) -> None:
    assert listed(text) is None


@given(TEXTS)
@settings(max_examples=examples(100), deadline=None)
def test_lists_as_json_and_python_and_postgresql_write_them_are_read_back(texts: list[str]) -> None:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)

    assert listed(json.dumps(texts)) == texts
    assert listed(repr(texts)) == texts
    assert listed("{" + ",".join(f'"{text}"' for text in quoted) + "}") == texts


@pytest.mark.parametrize(
    "text", ['["News", "Local & sport"]', "['News', 'Local & sport']", '{News,"Local & sport"}']
)
def test_every_field_with_names_reads_lists(text: str) -> None:
    names = ("News", "Local & sport")
    row = {"id": 1, "title": "x", "category": text, "tags": text, "authors": text}

    article, refused = RowReader(UTC, NOW).article({**row, "categories": "Sport|News"})

    assert refused == []
    assert (article.category, article.categories) == ("News", (*names, "Sport"))
    assert (article.tags, article.authors) == (names, names)


def test_a_name_that_begins_with_a_bracket_stays_one_name() -> None:
    row = {"id": 1, "title": "x", "category": "[Sponsored] News", "tags": "[Live]; {Sport} a, b"}

    article, _ = RowReader(UTC, NOW).article(row)

    assert (article.category, article.tags) == ("[Sponsored] News", ("[Live]", "{Sport} a, b"))


def test_a_list_of_objects_refuses_the_field_instead_of_showing_its_notation() -> None:
    article, refused = RowReader(UTC, NOW).article({"id": 1, "title": "x", "category": '[{"slug": "news"}]'})

    assert article.category is None
    assert [error.reason for error in refused] == ["category: wrong type"]
