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
from dataclasses import dataclass

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.stems import ELLIPSIS, pieces
from recommender.text import TermRules
from recommender.training.kernels import (
    BoolRows,
    Bools,
    Int32s,
    Int64s,
    OutInt32s,
    OutInt64s,
    OutUint8s,
    Uint8s,
    inner,
    kernel,
    run_all,
    run_ranges,
)
from recommender.training.terms.lexicon import Lexicon
from recommender.training.terms.reading import read_words
from recommender.training.terms.stemming import stem_corpus

WORD, PAIR, PIECE = range(3)  # kinds of terms
_REST, _LEAD, _TITLE = range(3)  # the parts of an article
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


def count_terms(
    articles: Sequence[Article],
    rules: TermRules,
    min_df: int,
    max_df: int,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
) -> TermCounts:
    """Count the terms that occur in at least `min_df` articles, and in at most `max_df` distinct bodies.

    A body that is published many times does not make its terms frequent. `progress` is called with the number
    of articles just read.
    """
    lexicon, ids, ends = read_words(articles, rules, threads, progress)
    langs, names = language_codes(articles, rules.main_lang)
    _drop_stop_words(ids, ends, langs, _stop_word_table(names, rules, lexicon))
    ids = ids[: ends[-1]]
    stems = stem_corpus(ids, ends, langs, names, rules.unstemmed, lexicon) if rules.stems else None
    df = _df(ids, ends, len(lexicon))
    rank_of, sorted_words, pieces_of = _sorted_words_and_pieces(lexicon, df, rules)
    ids = rank_of.astype(np.int32)[ids]
    rare = np.zeros(len(sorted_words), dtype=bool)
    rare[rank_of] = df < min_df

    def count(start: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _count_keys(
            ids,
            ends,
            start,
            end,
            rules.title_weight,
            rules.lead_weight,
            rules.lead_words,
            rules.ngrams,
            rare,
            *pieces_of,
        )

    parts = list(run_ranges(count, len(articles), threads))
    keys, key_df, distinct = _prune(*_keys_and_repeated(parts, repeats(articles)), min_df, max_df)
    slots, slot_columns = _hash_keys(keys)
    columns_and_counts = list(run_all([(_look_up, *part, slots, slot_columns) for part in parts], threads))
    offsets = np.zeros(len(articles) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([part[2] for part in columns_and_counts]), out=offsets[1:])
    return TermCounts(
        terms=_term_strings(keys, sorted_words),
        df=key_df,
        offsets=offsets,
        columns=np.concatenate([part[0] for part in columns_and_counts]),
        counts=np.concatenate([part[1] for part in columns_and_counts]),
        kinds=_kinds_of(keys, sorted_words),
        distinct=distinct + int(np.count_nonzero((df > 0) & (df < min_df))),
        forms=stems.forms(lexicon, df >= min_df) if stems else {},
    )


def language_codes(articles: Sequence[Article], main_lang: str) -> tuple[np.ndarray, list[str]]:
    """Return the code of each article's language, (n,) int32, and the languages by code.

    An unknown language counts as `main_lang`.
    """
    names = sorted({article.lang or main_lang for article in articles})
    code_of = {lang: code for code, lang in enumerate(names)}
    codes = [code_of[article.lang or main_lang] for article in articles]
    return np.array(codes, dtype=np.int32), names


def _stop_word_table(names: list[str], rules: TermRules, lexicon: Lexicon) -> np.ndarray:
    """Return which words are stop words of each language, (languages, words) bool."""
    stop_ids = [lexicon.number(sorted(rules.stop_words_of(lang))) for lang in names]
    table = np.zeros((len(names), len(lexicon)), dtype=bool)
    for number, ids in enumerate(stop_ids):
        table[number, ids] = True
    return table


def _sorted_words_and_pieces(
    lexicon: Lexicon, df: np.ndarray, rules: TermRules
) -> tuple[np.ndarray, list[str], tuple[np.ndarray, np.ndarray]]:
    """Return each word's place in byte order, all words and pieces in that order, and each word's pieces.

    The last is a pair: offsets for each place, and the places of the pieces of its word.
    """
    rank_of, words = lexicon.ranked()
    if not rules.pieces:
        return rank_of, words, (np.zeros(len(words) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))
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
    return places[rank_of], sorted_terms, (np.cumsum(offsets), piece_places)


def _kinds_of(keys: np.ndarray, sorted_words: list[str]) -> np.ndarray:
    is_piece = np.array([ELLIPSIS in word for word in sorted_words], dtype=bool)
    kinds = np.where(is_piece[keys >> 32], PIECE, WORD)
    return np.where(keys & _SECOND, PAIR, kinds).astype(np.uint8)


def repeats(articles: Sequence[Article]) -> np.ndarray:
    """Return which articles have the same body, not empty, as an earlier one, (n,) bool."""
    seen: set[str] = set()
    repeated = np.zeros(len(articles), dtype=bool)
    for row, article in enumerate(articles):
        repeated[row] = article.body in seen
        if article.body:
            seen.add(article.body)
    return repeated


def _keys_and_repeated(
    parts: Sequence[tuple[np.ndarray, ...]], repeated: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of all articles, and those of the articles in `repeated`, (n,) bool."""
    keys = np.concatenate([part[0] for part in parts])
    return keys, keys[np.repeat(repeated, np.concatenate([part[2] for part in parts]))]


def _prune(
    keys: np.ndarray, repeated: np.ndarray, min_df: int, max_df: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the distinct keys within the bounds, ascending, their df, and the number of distinct keys.

    `repeated` are the keys in articles that repeat a body; they do not count for `max_df`.
    """
    keys.sort()
    firsts = np.flatnonzero(np.append(len(keys) > 0, keys[1:] != keys[:-1]))  # without a copy of the keys
    distinct, df = keys[firsts], np.diff(firsts, append=len(keys))
    bodies = df.copy()
    repeated_keys, counts = np.unique(repeated, return_counts=True)
    bodies[np.searchsorted(distinct, repeated_keys)] -= counts
    inside = (df >= min_df) & (bodies <= max_df)
    return distinct[inside], df[inside], len(firsts)


def _hash_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an open-addressing hash table from key to column: its slots, -1 if empty, and their columns."""
    size = 1 << max(4, int(2 * len(keys)).bit_length())
    slots = np.full(size, -1, dtype=np.int64)
    columns = np.zeros(size, dtype=np.int32)
    _fill(slots, columns, keys)
    return slots, columns


def _term_strings(keys: np.ndarray, sorted_words: list[str]) -> Strings:
    """Return the terms of the keys: a word, or two words with a space between."""
    words = Strings.of(sorted_words)
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
def _drop_stop_words(ids: OutInt32s, ends: OutInt64s, langs: Int32s, stop: BoolRows) -> None:
    """Remove the stop words, in place."""
    start, out = 0, 0
    for piece in range(len(ends) - 1):
        end = ends[piece + 1]
        for at in range(start, end):
            word = ids[at]
            if not stop[langs[piece // 2], word]:
                ids[out] = word
                out += 1
        start = end
        ends[piece + 1] = out


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
def _count_keys(  # noqa: C901 one loop over words, one compiled function
    ids: Int32s,
    ends: Int64s,
    start: int,
    end: int,
    title_weight: int,
    lead_weight: int,
    lead_words: int,
    ngrams: int,
    rare: Bools,
    piece_offsets: Int64s,
    pieces_of: Int32s,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the keys of the terms of articles start..end, their weighted counts, and the keys per article.

    A key is first word << 32 | second word + 1, or + 0 for a single word or piece, so that keys sort like
    their terms. Rare words are skipped, because no frequent pair contains a rare word.
    """
    most = 2 * (ends[2 * end] - ends[2 * start])
    for at in range(ends[2 * start], ends[2 * end]):
        most += piece_offsets[ids[at] + 1] - piece_offsets[ids[at]]
    keys = np.empty(most, dtype=np.int64)
    counts = np.empty(most, dtype=np.int32)
    lengths = np.zeros(end - start, dtype=np.int64)
    marked = np.empty(most, dtype=np.int64)
    out = 0
    for article in range(start, end):
        size = 0
        for field in range(2):
            first, beyond = ends[2 * article + field], ends[2 * article + field + 1]
            lead_end = first + lead_words
            for at in range(first, beyond):
                word = np.int64(ids[at])
                part = _TITLE if field == 0 else _LEAD if at < lead_end else _REST
                for piece in range(piece_offsets[word], piece_offsets[word + 1]):
                    marked[size] = np.int64(pieces_of[piece]) << 34 | part
                    size += 1
                if rare[word]:
                    continue
                marked[size] = word << 34 | part
                size += 1
                if ngrams > 1 and at + 1 < beyond and not rare[ids[at + 1]]:
                    part = _TITLE if field == 0 else _LEAD if at + 1 < lead_end else _REST
                    marked[size] = word << 34 | (np.int64(ids[at + 1]) + 1) << 2 | part
                    size += 1
        _sort(marked, size)
        before = out
        for at in range(size):
            key, part = marked[at] >> 2, marked[at] & 3
            weight = title_weight if part == _TITLE else lead_weight if part == _LEAD else 1
            if weight == 0:
                continue
            if out > before and keys[out - 1] == key:
                counts[out - 1] += weight
            else:
                keys[out], counts[out] = key, weight
                out += 1
        lengths[article - start] = out - before
    return keys[:out].copy(), counts[:out].copy(), lengths


@inner
def _sort(values: np.ndarray, size: int) -> None:
    """Sort values[:size] by Shell's method: compiled in a tenth of the time of numpy's, and as fast here."""
    gap = 1
    while gap < size:
        gap = gap * 9 // 4 + 1
    while gap > 1:
        gap = (gap - 1) * 4 // 9
        gap = max(gap, 1)
        for at in range(gap, size):
            value, place = values[at], at
            while place >= gap and values[place - gap] > value:
                values[place] = values[place - gap]
                place -= gap
            values[place] = value


@inner
def _slot(key: int, size: int) -> int:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(20)) & np.uint64(size - 1))  # type: ignore[return-value]  # compiled


@kernel
def _fill(slots: OutInt64s, columns: OutInt32s, keys: Int64s) -> None:
    """Insert each key into the table, with its position as column."""
    for column in range(len(keys)):
        at = _slot(keys[column], len(slots))
        while slots[at] >= 0:
            at = (at + 1) & (len(slots) - 1)
        slots[at] = keys[column]
        columns[at] = column


@kernel
def _look_up(
    keys: Int64s, counts: Int32s, lengths: Int64s, slots: Int64s, slot_columns: Int32s
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns and counts of the keys in the table, and their number in each article."""
    columns = np.empty(len(keys), dtype=np.int32)
    out_counts = np.empty(len(keys), dtype=np.int32)
    out_lengths = np.zeros(len(lengths), dtype=np.int64)
    start, out = 0, 0
    for article in range(len(lengths)):
        before = out
        for at in range(start, start + lengths[article]):
            slot = _slot(keys[at], len(slots))
            while slots[slot] >= 0 and slots[slot] != keys[at]:
                slot = (slot + 1) & (len(slots) - 1)
            if slots[slot] >= 0:
                columns[out], out_counts[out] = slot_columns[slot], counts[at]
                out += 1
        start += lengths[article]
        out_lengths[article] = out - before
    return columns[:out].copy(), out_counts[:out].copy(), out_lengths


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
