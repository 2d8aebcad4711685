"""Counting a corpus in bulk equals counting the terms of each article."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.text import TermRules, words
from recommender.training.terms import texts as text_blocks
from recommender.training.terms.counting import TermCounts, count_terms
from recommender.training.terms.lexicon import Lexicon
from recommender.training.terms.texts import text_block
from tests.support.laws import examples
from tests.support.workers import CopyingWorkers

# Few letters, so that words recur; each of the others folds, joins, ends or vanishes in its own way.
TRICKY = (
    "aAbB1 \n_-'\u2019éÉ\u0301\u0308\u0345İıIiΣσςß\u1e9eǅﬁ²\xad\u200b\u200d\ufeff\ufe0f日本のー々ｶﾞ\u3099กเั一"
    "\U00020000नम\u094d\u200dष한\u1112\u1161رَ\u0640\U0001f3fb🗞\0\U00016af0\U0001e944"
)
LANGUAGES = (None, "en", "de", "el", "ja", "uk")
phrases = st.lists(
    st.sampled_from(
        ["the", "Bank", "bank of", "Orrin", "ΟΔΟΣ", "οδός", "日本語", "x", "der", "banks", "_", "\n", "über"]
    ),
    max_size=12,
).map(" ".join)
texts = st.one_of(st.text(alphabet=TRICKY, max_size=30), phrases, st.text(max_size=12))
corpora = st.lists(
    st.builds(
        # A blank article is refused; the full stop is no word.
        lambda title, body, lang: Article(id="1", title=title, body=f"{body}.", lang=lang),
        texts,
        texts,
        st.sampled_from(LANGUAGES),
    ),
    min_size=1,
    max_size=6,
)
stop_lists = st.dictionaries(
    st.sampled_from(["en", "de", "fr", ""]), texts.map(lambda text: frozenset(words(text))), max_size=3
)
rules = st.builds(
    TermRules,
    title_weight=st.integers(0, 5),
    lead_weight=st.integers(1, 4),
    lead_words=st.integers(0, 9),
    ngrams=st.integers(1, 2),
    max_body_chars=st.one_of(st.just(100_000), st.integers(1, 20)),
    stop_words=stop_lists,
    stems=st.booleans(),
    unstemmed=st.frozensets(st.sampled_from(["en", "de", ""])),
    pieces=st.booleans(),
    main_lang=st.sampled_from(["", "en", "uk"]),
)


def by_article(articles: Sequence[Article], rules: TermRules) -> list[Counter[str]]:
    """Return the terms of each article, counted in a slow and obvious way."""
    return [Counter(rules.terms(article.title, article.body, article.lang)) for article in articles]


def check_against_the_simple_path(
    articles: Sequence[Article], rules: TermRules, min_df: int, max_df: int, threads: int
) -> None:
    counted = by_article(articles, rules)
    df = Counter(term for counts in counted for term in counts)
    bodies = [article.body for article in articles]
    first = [
        counts for row, counts in enumerate(counted) if not bodies[row] or bodies[row] not in bodies[:row]
    ]
    distinct_df = Counter(term for counts in first for term in counts)
    terms_within = sorted(
        (term for term in df if min_df <= df[term] and distinct_df[term] <= max_df), key=str.encode
    )
    column_of = {term: column for column, term in enumerate(terms_within)}

    fast = count_terms(articles, rules, min_df, max_df, threads)

    assert list(fast.terms) == terms_within
    assert fast.df.tolist() == [df[term] for term in terms_within]
    assert list(rows_of(fast)) == [
        sorted((column_of[term], n) for term, n in counts.items() if term in column_of) for counts in counted
    ]


def rows_of(fast: TermCounts) -> Iterator[list[tuple[int, int]]]:
    for start, end in pairwise(fast.offsets.tolist()):
        yield list(zip(fast.columns[start:end].tolist(), fast.counts[start:end].tolist(), strict=True))


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the lexicon with space for one word, and end blocks after a few characters."""
    roomy = Lexicon._allocate

    def allot(self: Lexicon, words: int, size: int) -> None:
        first = not hasattr(self, "_slots")
        roomy(self, 1 if first else words, 2 if first else size)

    monkeypatch.setattr(Lexicon, "_allocate", allot)
    monkeypatch.setattr(text_blocks, "_BLOCK_BYTES", 10)


@given(corpora, rules, st.integers(1, 3), st.integers(1, 6), st.integers(1, 2))
@example(
    [Article(id="1", title="ΟΔΟΣ οδός", body="İ i\u0307 re\u0301\xads 日本\u200d語 ｶﾞ")], TermRules(), 1, 2, 1
)
@settings(deadline=None, max_examples=examples(100))
def test_bulk_counts_equal_simple_counts(
    articles: list[Article], rules: TermRules, min_df: int, max_df: int, threads: int
) -> None:
    check_against_the_simple_path(articles, rules, min_df, max_df, threads)


@pytest.mark.usefixtures("cramped")
@given(corpora, rules, st.integers(1, 3), st.integers(1, 2))
@settings(
    deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_bulk_counts_do_not_depend_on_blocks_and_table_sizes(
    articles: list[Article], rules: TermRules, min_df: int, threads: int
) -> None:
    check_against_the_simple_path(articles, rules, min_df, 6, threads)


@pytest.mark.usefixtures("cramped")
def test_a_table_of_one_word_grows_to_fit_the_sample(sample_articles: list[Article]) -> None:
    rules = TermRules(ngrams=1)

    counts = count_terms(sample_articles, rules, 1, len(sample_articles), 1)

    assert set(counts.terms) == set().union(*by_article(sample_articles, rules))


@given(corpora, rules, st.integers(1, 3))
@settings(deadline=None)
def test_distinct_terms_are_words_and_pairs_of_frequent_words(
    articles: list[Article], rules: TermRules, min_df: int
) -> None:
    rules = replace(rules, title_weight=max(rules.title_weight, 1))
    df = Counter(term for counts in by_article(articles, rules) for term in counts)
    frequent = {term for term in df if " " not in term and df[term] >= min_df}

    counted = count_terms(articles, rules, min_df, len(articles), threads=1)

    assert counted.distinct == sum(" " not in term or set(term.split()) <= frequent for term in df)


def test_progress_adds_up_to_the_articles_for_any_block_size(
    sample_articles: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_blocks, "_BLOCK_BYTES", 10_000)
    batches: list[int] = []

    count_terms(sample_articles, TermRules(), 2, 100, threads=2, progress=batches.append)

    assert len(batches) > 10
    assert sum(batches) == len(sample_articles)


@pytest.mark.parametrize("texts", [[], ["."], ["a b c", "x", "7"], ["the", "the of"]])
def test_a_corpus_without_terms_has_no_counts(texts: list[str]) -> None:
    articles = [Article(id=str(row), body=text, lang="en") for row, text in enumerate(texts)]
    rules = TermRules(stop_words={"en": frozenset({"the", "of"})})

    counts = count_terms(articles, rules, 1, 10, threads=1)

    assert len(counts.terms) == len(counts.columns) == counts.distinct == 0
    assert counts.offsets.tolist() == [0] * (len(texts) + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "min_df", "max_df", "threads"),
    [
        ({}, 2, 129, 1),
        ({}, 1, 259, 2),
        ({"ngrams": 1, "title_weight": 0}, 3, 40, 1),
        ({"max_body_chars": 300}, 2, 129, 2),
        ({"lead_weight": 1}, 2, 129, 1),
        ({"lead_weight": 9, "lead_words": 3}, 2, 129, 2),
    ],
)
def test_counts_of_the_sample_equal_simple_counts(
    sample_articles: list[Article], changed: dict[str, Any], min_df: int, max_df: int, threads: int
) -> None:
    stop_words = {"en": frozenset(words("the of a to in and was that it is"))}

    check_against_the_simple_path(
        sample_articles, TermRules(stop_words=stop_words, **changed), min_df, max_df, threads
    )


def test_every_character_is_counted_like_in_a_simple_count() -> None:
    # From the ideographs on, thousands are alike.
    known = [chr(code) for code in (*range(0x3400), *range(0x3400, 0x110000, 37))]
    beside = "".join(f"{char}a{char}{char} " for char in known if unicodedata.category(char)[0] != "C")
    rules = TermRules(ngrams=1, max_body_chars=len(beside))

    check_against_the_simple_path([Article(id="1", body=beside)], rules, 1, 1, 1)


def test_only_the_first_characters_of_a_body_are_counted() -> None:
    articles = [Article(id="1", title="Harbour wall", body="storm " * 20_000 + "flood")]
    rules = TermRules(ngrams=1, title_weight=3, lead_weight=1, max_body_chars=100_000)

    counts = count_terms(articles, rules, 1, 1, 1)

    assert list(counts.terms) == ["harbour", "stor", "storm", "wall"]  # the last storm is cut
    assert counts.counts.tolist() == [3, 1, 16_666, 3]


def test_a_body_that_is_published_many_times_does_not_make_its_terms_frequent() -> None:
    again = [Article(id=f"again {n}", title=f"Ferry {n}", body="The ferry sank") for n in range(6)]
    others = [Article(id=f"other {n}", title="Vote", body=f"Council votes {n}") for n in range(4)]

    counted = count_terms([*again, *others], TermRules(), min_df=1, max_df=3, threads=1)

    df = dict(zip(counted.terms, counted.df.tolist(), strict=True))
    assert df["sank"] == 6
    assert "council" not in df


@pytest.mark.slow
def test_every_character_is_split_and_folded_like_the_simple_path() -> None:
    texts = [
        f"ab{chr(code)}cd {chr(code)}{chr(code)}" for code in range(0x3400) if not 0xD800 <= code < 0xE000
    ]
    texts += [f"{a}{b} x{b}" for a in "aA가각ᄀΣİ日" for b in "\u0301\u1161\u11a8\u00ad\u200dσς語🗞"]
    lexicon = Lexicon()

    ids, ends = lexicon.scan(text_block([text.encode() for text in texts]), 100)

    ours = [lexicon.words(part) for part in np.split(ids, ends[:-1])]
    assert ours == [words(text) for text in texts]


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_changes_nothing(sample_articles: list[Article], threads: int) -> None:
    rules = TermRules(stems=True, pieces=True)

    alone, together = (count_terms(sample_articles[:40], rules, 1, 40, count) for count in (1, threads))

    assert_equal(together, alone)


def test_workers_count_the_same_terms(
    sample_articles: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_blocks, "_BLOCK_BYTES", 20_000)
    rules = TermRules(stems=True, standing_lines=frozenset(sample_articles[0].body.split("\n")))
    arguments = (sample_articles[:80], rules, 1, 80, 2)
    read: list[int] = []

    alone, together = (
        count_terms(*arguments, progress=read.append, workers=workers)
        for workers in (None, CopyingWorkers(2))
    )

    assert sum(read) == 2 * 80
    assert len(read) == 10
    assert_equal(together, alone)


def assert_equal(counts: TermCounts, expected: TermCounts) -> None:
    assert list(counts.terms) == list(expected.terms)
    assert counts.forms == expected.forms
    for name in ("df", "offsets", "columns", "counts", "kinds"):
        assert getattr(counts, name).tolist() == getattr(expected, name).tolist()
