"""Count the terms of a whole corpus: a fast equivalent of `TermRules.terms`, tested against it.

There are two implementations of terms, with one meaning. `TermRules.terms` is simple; the service uses it for
single articles and texts. This module counts a whole corpus with compiled kernels, which the service does not
load. Both work on the same folded text (`text.fold`). The table of characters that `lexicon` splits words by
is made with the regular expressions of `text`. A property test checks that both give the same counts on
random corpora.

Words are split by Unicode class, so no language needs special rules. In scripts without spaces, every pair of
neighbouring characters is a word (see `text.words`). Lines that many bodies repeat are left out (see
`boilerplate`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.stems import ELLIPSIS, pieces
from recommender.text import TermRules
from recommender.training.kernels import Int32s, Int64s, OutInt32s, OutUint8s, Uint8s, kernel
from recommender.training.terms.lexicon import Lexicon
from recommender.training.terms.postings import Corpus, by_article, count_postings
from recommender.training.terms.reading import read_words
from recommender.training.terms.stemming import stem_words
from recommender.training.terms.texts import Texts

WORD, PAIR, PIECE = range(3)  # kinds of terms
_SECOND = 0xFFFFFFFF  # the bits of a key for its second word


@dataclass(frozen=True)
class TermCounts:
    """The counts of the terms within the df bounds in each article, with title and lead weighted."""

    terms: Strings  # (n_terms,), sorted by their bytes
    df: np.ndarray  # (n_terms,) int64, the number of articles with each term
    offsets: np.ndarray  # (n + 1,) int64
    columns: np.ndarray  # (entries,) int32, ascending in each article
    counts: np.ndarray  # (entries,) int32
    kinds: np.ndarray  # (n_terms,) uint8, WORD, PAIR or PIECE
    distinct: int  # before pruning: words, pieces, and the pairs of words that are not rare
    forms: dict[str, str]  # the most frequent word of each stem, if it differs from the stem

    def without_rows(self) -> "TermCounts":
        """Return the counts without those of single articles, which take much memory."""
        none = np.zeros(0, dtype=np.int32)
        return replace(self, offsets=np.zeros(1, dtype=np.int64), columns=none, counts=none)


def count_terms(
    articles: Sequence[Article],
    rules: TermRules,
    min_df: int,
    max_df: int,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
    texts: Texts | None = None,
) -> TermCounts:
    """Count the terms that occur in at least `min_df` articles, and in at most `max_df` distinct bodies.

    A body that is published many times does not make its terms frequent. `progress` is called with the number
    of articles just read. `texts` are read instead of the titles and bodies of the articles.
    """
    texts = Texts.of(articles) if texts is None else texts
    is_repeat = texts.repeated_bodies(threads)
    words = read_words(texts, *language_codes(articles, rules.main_lang), rules, threads, progress)
    stems = stem_words(words, rules.unstemmed) if rules.stems else None
    df = _df(words.ids, words.ends, len(words.lexicon))
    rank_of, sorted_words, pieces_of = _sorted_words_and_pieces(words.lexicon, df, rules)
    is_rare = np.zeros(len(sorted_words), dtype=bool)
    is_rare[rank_of] = df < min_df
    _renumber(words.ids, rank_of)
    corpus = Corpus(
        words.ids, words.ends, is_rare, *pieces_of, is_repeat,
        np.array([1, rules.lead_weight, rules.title_weight], dtype=np.int32), rules.lead_words, rules.ngrams,
    )  # fmt: skip
    postings = count_postings(corpus, min_df, max_df, threads)
    keys = np.concatenate([part.keys for part in postings])
    offsets, columns, counts = by_article(postings, len(articles), threads)
    return TermCounts(
        terms=_term_strings(keys, sorted_words),
        df=np.concatenate([part.df for part in postings]),
        offsets=offsets,
        columns=columns,
        counts=counts,
        kinds=_kinds_of(keys, sorted_words, has_pieces=rules.pieces),
        distinct=sum(part.distinct for part in postings) + int(np.count_nonzero((df > 0) & (df < min_df))),
        forms=stems.forms(words.lexicon, df >= min_df) if stems else {},
    )


def language_codes(articles: Sequence[Article], main_lang: str) -> tuple[np.ndarray, list[str]]:
    """Return the code of each article's language, (n,) int32, and the languages by code.

    An unknown language counts as `main_lang`.
    """
    names = sorted({article.lang or main_lang for article in articles})
    code_of = {lang: code for code, lang in enumerate(names)}
    codes = [code_of[article.lang or main_lang] for article in articles]
    return np.array(codes, dtype=np.int32), names


def _sorted_words_and_pieces(
    lexicon: Lexicon, df: np.ndarray, rules: TermRules
) -> tuple[np.ndarray, Strings, tuple[np.ndarray, np.ndarray]]:
    """Return each word's place in byte order, all words and pieces in that order, and each word's pieces.

    The last is a pair: offsets for each place, and the places of the pieces of its word.
    """
    rank_of, sorted_words = lexicon.ranked()
    if not rules.pieces:
        no_pieces = np.zeros(len(sorted_words) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32)
        return rank_of, sorted_words, no_pieces
    words = list(sorted_words)
    present = np.zeros(len(words), dtype=bool)
    present[rank_of] = df > 0
    pieces_by_word = [
        pieces(word) if is_present else [] for word, is_present in zip(words, present.tolist(), strict=True)
    ]
    sorted_terms = sorted({*words, *(piece for word_pieces in pieces_by_word for piece in word_pieces)})
    place_of = {term: place for place, term in enumerate(sorted_terms)}
    places = np.array([place_of[word] for word in words], dtype=np.int64)
    offsets = np.zeros(len(sorted_terms) + 1, dtype=np.int64)
    offsets[places + 1] = [len(word_pieces) for word_pieces in pieces_by_word]
    piece_places = np.array(
        [place_of[piece] for word_pieces in pieces_by_word for piece in word_pieces], dtype=np.int32
    )
    return places[rank_of], Strings.of(sorted_terms), (np.cumsum(offsets), piece_places)


def _kinds_of(keys: np.ndarray, sorted_words: Strings, *, has_pieces: bool) -> np.ndarray:
    kinds = np.where(keys & _SECOND, PAIR, WORD).astype(np.uint8)
    if has_pieces:
        is_piece = np.array([ELLIPSIS in word for word in sorted_words], dtype=bool)
        kinds[is_piece[keys >> 32]] = PIECE
    return kinds


def _term_strings(keys: np.ndarray, words: Strings) -> Strings:
    """Return the terms of the keys: a word, or two words with a space between."""
    first, second = keys >> 32, (keys & _SECOND) - 1
    lengths = np.diff(words.offsets)
    paired = second >= 0
    sizes = lengths[first] + np.where(paired, lengths[second] + 1, 0)
    offsets = np.zeros(len(keys) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    utf8 = np.empty(offsets[-1], dtype=np.uint8)
    _write_terms(utf8, offsets, first, second, words.utf8, words.offsets)
    return Strings(utf8, offsets)


@kernel
def _df(ids: Int32s, ends: Int64s, words: int) -> np.ndarray:
    """Return the number of articles with each word, (words,) int64."""
    df = np.zeros(words, dtype=np.int64)
    seen = np.full(words, -1, dtype=np.int64)
    for article in range(len(ends) // 2):
        for at in range(ends[2 * article], ends[2 * article + 2]):
            if seen[ids[at]] != article:
                seen[ids[at]] = article
                df[ids[at]] += 1
    return df


@kernel
def _renumber(ids: OutInt32s, number_of: Int64s) -> None:
    """Replace each number, in place."""
    for at in range(len(ids)):
        ids[at] = number_of[ids[at]]


@kernel
def _write_terms(
    utf8: OutUint8s,
    offsets: Int64s,
    first: Int64s,
    second: Int64s,
    words: Uint8s,
    word_offsets: Int64s,
) -> None:
    """Write the bytes of each term at its offset."""
    for term in range(len(first)):
        out = offsets[term]
        for at in range(word_offsets[first[term]], word_offsets[first[term] + 1]):
            utf8[out] = words[at]
            out += 1
        if second[term] >= 0:
            utf8[out] = 32
            out += 1
            for at in range(word_offsets[second[term]], word_offsets[second[term] + 1]):
                utf8[out] = words[at]
                out += 1
