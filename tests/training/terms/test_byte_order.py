"""Words are sorted by their bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.columns import Strings
from recommender.training.terms.byte_order import sorted_words

words = st.sets(st.text(alphabet="aB9éσ日\U00020000", min_size=1, max_size=20), max_size=20)


@given(words)
def test_words_are_sorted_by_their_bytes(words: set[str]) -> None:
    column = Strings.of(words)

    rank_of, utf8, offsets = sorted_words(column.utf8.copy(), column.offsets.copy())

    in_order = sorted(words, key=str.encode)
    assert list(Strings(utf8, offsets)) == in_order
    assert [in_order[rank] for rank in rank_of.tolist()] == list(column)
    assert np.all(np.diff(offsets) > 0)
