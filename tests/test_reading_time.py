"""The reading time of one text, and that of a column of texts, which equals it."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommender.columns import Strings
from recommender.reading_time import all_reading_minutes, reading_minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("", 1),
        ("word", 1),
        ("word " * 230, 1),
        ("word " * 344, 1),
        ("word " * 346, 2),
        ("word " * 920, 4),
        ("日" * 500, 1),
        ("日" * 2000, 4),
        ("日" * 1000 + " word" * 460, 4),
    ],
)
def test_reading_time_counts_words_or_characters_by_script(text: str, minutes: int) -> None:
    assert reading_minutes(text) == minutes


_SPACES = (" ", "\n\n", "\t", "\x1c", "\x85", "\xa0", "\u2009", "\u2028", "\u205f", "\u3000", "\u200b")
_WORDS = ("word " * 114, "word word\xa0" * 60, "да " * 115, "日" * 250, "x", "é", "\u2019", "🗞 ")
_PIECES = st.sampled_from(_SPACES + _WORDS)


@given(st.lists(st.lists(_PIECES, max_size=8).map("".join), max_size=6))
@example([])
@example(["", "a" * 5_000_000, "", "b " * 3_000_000, "c\xa0" * 300])
def test_the_reading_times_of_a_column_are_those_of_its_texts(texts: list[str]) -> None:
    assert all_reading_minutes(Strings.of(texts)).tolist() == list(map(reading_minutes, texts))


def test_every_white_space_ends_a_word_in_a_column() -> None:
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    texts = [f"word{space}" * 345 + "word" for space in spaces]

    assert all_reading_minutes(Strings.of(texts)).tolist() == [2] * len(texts)
