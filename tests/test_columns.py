"""Columns return the stored values, and find them by binary search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.columns import Choice, Labels, Strings

utf8_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
few_names = st.sampled_from(["", "Law", "law", "Économie", "政治", "a,b", "🗞"])


@given(st.lists(utf8_texts))
def test_strings_come_back_in_order(texts: list[str]) -> None:
    column = Strings.of(texts)

    assert list(column) == texts
    assert [column[row] for row in range(len(column))] == texts


@given(st.sets(utf8_texts), utf8_texts)
def test_a_string_is_found_where_a_linear_search_finds_it(texts: set[str], wanted: str) -> None:
    ordered = sorted(texts, key=str.encode)
    column = Strings.of(ordered)

    assert [column.find(text) for text in ordered] == list(range(len(ordered)))
    assert column.find(wanted) == (ordered.index(wanted) if wanted in ordered else None)


def test_strings_are_found_in_any_block() -> None:
    texts = sorted(
        {f"{number % 13} {number % 29}{number}" for number in range(500)} | {"", "1 "}, key=str.encode
    )
    column = Strings.of(texts)

    assert [column.find(text) for text in texts] == list(range(len(texts)))
    assert [column.find(f"{text}0"[1:]) for text in texts] == [
        texts.index(f"{text}0"[1:]) if f"{text}0"[1:] in texts else None for text in texts
    ]
    for start in ("", "1", "12 2", "9 "):
        assert [column[row] for row in column.beginning_with(start)] == [
            text for text in texts if text.startswith(start)
        ]


@given(st.sets(st.text("ab日", max_size=30), max_size=200), st.lists(st.text("ab日", max_size=30)))
def test_a_search_for_many_strings_equals_a_search_for_each(texts: set[str], others: list[str]) -> None:
    column = Strings.of(sorted(texts, key=str.encode))
    wanted = [*others, *texts, *(text[:-1] for text in texts)]

    rows = column.find_all(wanted)

    assert rows.tolist() == [-1 if (row := column.find(text)) is None else row for text in wanted]


@given(st.sets(st.text("aé日 ", max_size=4)), st.text("aé日 ", max_size=3))
def test_strings_with_a_common_prefix_are_adjacent(texts: set[str], start: str) -> None:
    column = Strings.of(sorted(texts, key=str.encode))

    matches = {column[row] for row in column.beginning_with(start)}

    assert matches == {text for text in texts if text.startswith(start)}


def test_strings_are_stored_as_concatenated_utf8() -> None:
    column = Strings.of(["a", "", "é"])

    assert column.utf8.tobytes() == b"a\xc3\xa9"
    assert column.offsets.tolist() == [0, 1, 1, 3]
    assert column.utf8.dtype == np.uint8
    assert column.offsets.dtype == np.int64


def test_a_nul_is_a_character_like_any_other() -> None:
    column = Strings.of(["a", "a\0", "a\0b"])

    assert list(column) == ["a", "a\0", "a\0b"]
    assert column.find("a\0") == 1


def test_a_lone_surrogate_is_never_found() -> None:
    assert Strings.of(["a", "b"]).find("\ud800") is None


def test_negative_rows_count_from_the_end_and_other_rows_are_an_error() -> None:
    column = Strings.of(["a", "b"])

    assert column[-1] == "b"
    with pytest.raises(IndexError):
        column[2]


def test_strings_and_columns_may_be_empty() -> None:
    assert Strings.of([""]).find("") == 0
    assert list(Strings.of([])) == []
    assert Strings.of([]).find("") is None


@given(st.lists(st.lists(few_names, max_size=3)))
def test_labels_come_back_in_each_rows_own_order(rows: list[list[str]]) -> None:
    column = Labels.of(rows)

    assert [column[row] for row in range(len(column))] == [tuple(row) for row in rows]
    assert list(column.names) == sorted({name for row in rows for name in row}, key=str.encode)


@given(st.lists(st.lists(few_names, max_size=3)), st.sets(few_names))
def test_rows_with_a_label_equal_the_result_of_a_loop(rows: list[list[str]], wanted: set[str]) -> None:
    column = Labels.of(rows)
    codes = [code for code, name in enumerate(column.names) if name in wanted]

    mask = column.rows_with(codes)

    assert mask.tolist() == [bool(wanted & set(row)) for row in rows]


@given(st.lists(st.none() | few_names))
def test_a_choice_distinguishes_no_name_from_an_empty_name(rows: list[str | None]) -> None:
    column = Choice.of(rows)

    assert [column[row] for row in range(len(column))] == rows
    assert column.codes.dtype == np.int32
