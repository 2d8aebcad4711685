"""Words are compared by their letters exactly as a slow comparison of all words does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.columns import Strings
from recommender.embedding import Vocabulary
from recommender.serving.index.spelling import SpellingIndex, Spellings

WORDS = st.text("abcé日", min_size=1, max_size=7)


def typos(word: str, other: str) -> list[int]:
    """Return the optimal string alignment distances from a word to every beginning of another."""
    rows = [list(range(len(other) + 1))]
    for i in range(1, len(word) + 1):
        rows.append([i])
        for j in range(1, len(other) + 1):
            same = word[i - 1] == other[j - 1]
            best = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (not same))
            if i > 1 and j > 1 and word[i - 2 : i] == other[j - 1] + other[j - 2]:
                best = min(best, rows[i - 2][j - 2] + 1)
            rows[i].append(best)
    return rows[-1]


@given(WORDS, st.lists(WORDS, min_size=1, max_size=8), st.integers(1, 2), st.booleans())
def test_exactly_the_words_with_so_few_typos_are_near(
    word: str,
    others: list[str],
    at_most: int,
    is_prefix: bool,  # noqa: FBT001 hypothesis passes it by name
) -> None:
    spellings = Spellings.of(Strings.of([*others, "a pair", "…abc"]), np.arange(len(others) + 2))

    near = spellings.near(word, at_most, is_prefix=is_prefix)

    distances = {other: min(typos(word, other)) if is_prefix else typos(word, other)[-1] for other in others}
    expected = {
        (distance, other)
        for other, distance in distances.items()
        if distance <= at_most and not (is_prefix and other[0] != word[0])
    }
    assert {(distance, other) for distance, *_, other in near} == expected
    assert near == sorted(near)


def test_without_words_nothing_is_near() -> None:
    spellings = Spellings.of(Strings.of(["two words"]), np.ones(1))

    assert spellings.near("words", 2, is_prefix=True) == []


def test_a_typo_in_the_ending_that_a_stem_lacks_is_found() -> None:
    terms, stems = Strings.of(["council", "govern"]), Strings.of(["govern"])
    nothing = np.zeros((0, 1), dtype=np.float32)
    vocabulary = Vocabulary(
        terms, np.ones(2, np.float32), np.zeros(0, np.int32), nothing, stems, Strings.of(["government"])
    )

    suggestions = SpellingIndex().suggestions("goverment", vocabulary, np.array([5, 3]), (), is_prefix=False)

    assert next(suggestions) == "government"
