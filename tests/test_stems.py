"""Different forms of a word have one stem, in languages with and without a stemmer."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.stems import ALGORITHMS, ELLIPSIS, pieces, stem
from recommender.text import LANGUAGE_ALIASES, words

LANGUAGES = [*sorted(ALGORITHMS), "uk", "ja", ""]


@pytest.mark.parametrize(
    ("lang", "forms"),
    [
        ("en", ["ferry", "ferries"]),
        ("de", ["brücke", "brücken"]),
        ("fr", ["grève", "grèves"]),
        ("cs", ["sklárna", "sklárny", "sklárně"]),
        ("da", ["færgen", "færger"]),
        ("fi", ["silta", "sillat", "sillan"]),
        ("pl", ["fabryka", "fabryki", "fabrykę"]),
        ("ru", ["завод", "завода", "заводе"]),
        ("es", ["huelga", "huelgas"]),
        ("tr", ["köprü", "köprüler"]),
        ("hr", ["tvornica", "tvornice", "tvornicu"]),
        ("uk", ["електростанція", "електростанції"]),
    ],
)
def test_forms_of_a_word_have_one_stem(lang: str, forms: list[str]) -> None:
    assert len(set(stem(forms, lang))) == 1


def test_a_word_without_a_language_is_unchanged() -> None:
    assert stem(["ferries", "brücken"], "") == ["ferries", "brücken"]


@pytest.mark.parametrize("lang", LANGUAGES)
@given(text=st.one_of(st.text(max_size=80), st.text(alphabet="aeiousßйтелйаяığćžåø日本تكلم1", max_size=80)))
def test_the_stem_of_a_word_is_a_word(lang: str, text: str) -> None:
    read = words(text)

    stems = stem(read, lang)

    assert len(stems) == len(read)
    assert [words(stemmed) for stemmed in stems] == [[stemmed] for stemmed in stems]


def test_stemmers_are_listed_by_canonical_language_codes() -> None:
    assert not ALGORITHMS.keys() & LANGUAGE_ALIASES.keys()


def test_stems_do_not_depend_on_the_thread() -> None:
    read = ["ferries", "councils", "bridges"] * 200

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: stem(read, "en"), range(40)))

    assert all(stems == results[0] for stems in results)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("tide", ["tid…", "…tide…", "…ide", "tide…", "…tide"]),
        ("elm", ["elm…", "…elm"]),
        ("ox", []),
        ("日本", []),
        ("2026", []),
    ],
)
def test_pieces_are_character_ngrams_that_mark_the_edges(word: str, expected: list[str]) -> None:
    assert pieces(word) == expected


@given(st.text(max_size=30))
def test_a_piece_is_never_a_word(text: str) -> None:
    assert all(
        ELLIPSIS in piece and words(piece) != [piece] for word in words(text) for piece in pieces(word)
    )
