"""Words of titles are found as they are written, without accents, and by their stem."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.serving.lists.related import Related
from recommender.text import words
from recommender.title_words import TitleWords
from recommender.training.train import Trained
from tests.support.laws import examples
from tests.support.sample import NOW

TITLES = st.lists(
    st.tuples(
        st.text(st.sampled_from("aéñ ßsİi-'新闻한 \u200d"), max_size=12)
        | st.sampled_from(["Elections", "election", "Élections à Évian", "", "新闻联播"]),
        st.sampled_from([None, "en", "fr", "zh", "xx"]),
    ),
    max_size=6,
)


def rows_of(index: TitleWords) -> dict[str, list[int]]:
    return {word: index.rows_with(range(place, place + 1)).tolist() for place, word in enumerate(index.words)}


@given(TITLES, st.integers(0, 3))
@settings(max_examples=examples(200))
def test_every_word_leads_to_the_titles_that_contain_it(
    trained: Trained, titles: Sequence[tuple[str, str | None]], first_row: int
) -> None:
    rules = trained.model.rules
    index = TitleWords.of(titles, rules, first_row)
    rows_with = rows_of(index)

    for row, (title, lang) in enumerate(titles, start=first_row):
        for word in words(title):
            assert row in rows_with[word]
            assert row in rows_with[rules.root(word, lang or rules.main_lang)]
    assert list(index.words) == sorted(index.words, key=str.encode)
    for rows in rows_with.values():
        assert rows == sorted(set(rows))
        assert set(rows) <= set(range(first_row, first_row + len(titles)))


def test_accents_may_be_left_out(trained: Trained) -> None:
    index = TitleWords.of([("Élections à Évian", "fr"), ("elections", "en")], trained.model.rules)

    assert rows_of(index)["elections"] == [0, 1]
    assert rows_of(index)["évian"] == rows_of(index)["evian"] == [0]


@pytest.mark.parametrize("query", ["harbour", "harb", "harbuor budgt", "ferry winter", "zzyzx"])
def test_a_model_of_an_older_program_is_searched_with_the_same_result(trained: Trained, query: str) -> None:
    older = Related(replace(trained.model, title_words=None))
    now = Related(trained.model)

    assert older.search(query, 9, NOW) == now.search(query, 9, NOW)


def test_the_index_of_a_model_is_that_of_its_titles(trained: Trained) -> None:
    articles, index = trained.model.articles, trained.model.title_words
    assert index is not None
    pairs = [(articles.titles[row], articles.langs[row]) for row in range(len(articles))]
    again = TitleWords.of(pairs, trained.model.rules)

    assert rows_of(index) == rows_of(again)
    assert np.array_equal(index.offsets, again.offsets)
