"""The words that a search found are marked, in titles and in excerpts."""

import re
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.lists.highlights import Highlighter
from recommender.serving.lists.search import SearchWords
from recommender.text import TermRules, typed_words

RULES = TermRules(stems=True, main_lang="en")


def highlighter(text: str, lang: str = "en") -> Highlighter:
    return Highlighter(SearchWords.of(RULES, typed_words(text), lang), RULES, lang)


@pytest.mark.parametrize(
    ("typed", "title", "expected"),
    [
        ("harbour dre", "Harbour dredging halted", "<mark>Harbour</mark> <mark>dredging</mark> halted"),
        ("dredged mud", "Dredging costs", "<mark>Dredging</mark> costs"),
        ("war", "Warsaw’s wars & peace", "<mark>Warsaw</mark>’s <mark>wars</mark> &amp; peace"),
        ("war north", "Warsaw, a northern war", "Warsaw, a <mark>northern</mark> <mark>war</mark>"),
        ("zizka", "Café Žižka", "Café <mark>Žižka</mark>"),
        ("東京", "東京都で地震", "<mark>東京</mark>都で地震"),
        (
            "script",
            "<script>alert(1)</script>",
            "&lt;<mark>script</mark>&gt;alert(1)&lt;/<mark>script</mark>&gt;",
        ),
        ("arm", "Alarm in the farm", "Alarm in the farm"),
        ("i", "İstanbul in İzmir", "<mark>İstanbul</mark> <mark>in</mark> <mark>İzmir</mark>"),
    ],
)
def test_words_of_a_title_are_marked_if_the_search_finds_them(typed: str, title: str, expected: str) -> None:
    assert highlighter(typed).title(title).html == expected


def test_an_excerpt_shows_where_most_of_the_words_are() -> None:
    body = (
        "The harbour is old. " + "Nothing happened here. " * 40 + "Then harbour dredging began.\n\nIt rained."
    )

    snippet = highlighter("dredging harbour ").snippet(body)

    assert "Then <mark>harbour</mark> <mark>dredging</mark> began. It rained." in snippet.html
    assert snippet.text.startswith("…")
    assert len(snippet.text) <= 180


def test_an_excerpt_without_the_words_is_the_beginning() -> None:
    snippet = highlighter("storm").snippet("Rain fell, all day. " * 20)

    assert snippet.text.startswith("Rain fell")
    assert "<mark>" not in snippet.html
    assert highlighter("storm").snippet("").html == ""


@given(st.text(max_size=400), st.text(min_size=1, max_size=40))
def test_marked_html_contains_no_other_markup_and_the_whole_title(title: str, typed: str) -> None:
    if not typed_words(typed):
        return
    html = highlighter(typed).title(title).html

    assert re.sub(r"</?mark>", "", html) == escape(title)
    assert "<" not in re.sub(r"</?mark>", "", highlighter(typed).snippet(title * 5).html)
