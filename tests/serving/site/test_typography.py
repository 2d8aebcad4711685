"""English texts get typographic quotes; nothing else changes, and neither does the length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.site.typography import typographic


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"I\'m here," she said.', "“I’m here,” she said."),
        ("He said: \"It's 'fine'.\"", "He said: “It’s ‘fine’.”"),
        ("The '90s and rock 'n' roll", "The ’90s and rock ’n’ roll"),
        ("(\"quoted\")—'yes'", "(“quoted”)—‘yes’"),
        ("the editors' choice", "the editors’ choice"),
    ],
)
def test_quotes_open_and_close(text: str, expected: str) -> None:
    assert typographic(text, "en") == expected


@given(st.text("ab \"'(0s—“", max_size=30), st.sampled_from(["en", "de", None]))
def test_the_length_stays_and_other_languages_are_unchanged(text: str, lang: str | None) -> None:
    changed = typographic(text, lang)

    assert len(changed) == len(text)
    assert lang == "en" or changed == text
    assert lang != "en" or not {'"', "'"} & set(changed)
