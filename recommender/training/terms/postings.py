"""Count the terms of a corpus term by term: compiled kernels.

All occurrences of the words in a range of the vocabulary are gathered, so that those of one word are
consecutive, in the order of the articles. The pairs that begin with a word are counted in its occurrences.
So no hash table and no sort of all terms is necessary, and only the occurrences of one range per thread are
in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recommender.training.kernels import Bools, Int32s, Int64s, OutInt32s, OutInt64s, inner, kernel, run_all

_OCCURRENCES = 2_000_000  # in a range of words, at least,
_RANGES = 24  # and at most this number of ranges


@dataclass(frozen=True)
class Corpus:
    """The words of a corpus, by their places in the sorted vocabulary, and how they are counted."""

    ids: np.ndarray  # (words,) int32
    ends: (
        np.ndarray
    )  # (2 n + 1,) int64; the title of article i is ids[ends[2 i]:ends[2 i + 1]], then its body
    is_rare: np.ndarray  # (places,) bool: neither a term nor part of a pair
    piece_offsets: np.ndarray  # (places + 1,) int64
    pieces: np.ndarray  # int32, the places of the pieces of each word
    is_repeat: np.ndarray  # (n,) bool: does not count for `max_df`
    weights: (
        np.ndarray
    )  # (3,) int32: how many times a word in the rest of a body, its lead and a title counts
    lead_words: int
    ngrams: int


@dataclass(frozen=True)
class Postings:
    """The articles of the terms that begin with a range of words, and how often they contain each."""

    keys: (
        np.ndarray
    )  # (terms,) int64, ascending; first word << 32 | second word + 1, or + 0 without a second word
    df: np.ndarray  # (terms,) int64
    rows: np.ndarray  # (entries,) int32; the first df[0] are those of the first term, ascending
    counts: np.ndarray  # (entries,) int32
    distinct: int  # terms, including those outside the bounds


def count_postings(corpus: Corpus, min_df: int, max_df: int, threads: int) -> list[Postings]:
    """Return the postings of the terms in `min_df` articles or more, and in at most `max_df` bodies."""
    sizes = _occurrences(corpus.ids, corpus.is_rare, corpus.piece_offsets, corpus.pieces)
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    ranges = max(1, min(_RANGES, int(offsets[-1]) // _OCCURRENCES))
    edges = np.searchsorted(offsets, np.linspace(0, offsets[-1], ranges + 1).astype(np.int64))
    edges[0], edges[-1] = 0, len(sizes)
    calls = [
        (_postings, corpus, offsets[first : beyond + 1], first, min_df, max_df)
        for first, beyond in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    return list(run_all(calls, threads))


def by_article(
    postings: Sequence[Postings], n: int, threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the terms of each article: offsets (n + 1,) int64, columns and counts (entries,) int32.

    The column of a term is its position in the order of the keys; columns ascend in each article.
    """
    lengths = sum(
        run_all([(_lengths, part.rows, n) for part in postings], threads), np.zeros(n, dtype=np.int64)
    )
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    columns = np.empty(offsets[-1], dtype=np.int32)
    counts = np.empty(offsets[-1], dtype=np.int32)
    edges = np.searchsorted(offsets, np.linspace(0, offsets[-1], threads + 1).astype(np.int64)).tolist()
    edges[0], edges[-1] = 0, n

    def fill(first: int, beyond: int) -> None:
        ends = offsets[:-1].copy()
        column = 0
        for part in postings:
            _fill(part.df, part.rows, part.counts, column, first, beyond, ends, columns, counts)
            column += len(part.df)

    list(run_all([(fill, *pair) for pair in pairwise(edges)], threads))
    return offsets, columns, counts


def _postings(corpus: Corpus, offsets: np.ndarray, first: int, min_df: int, max_df: int) -> Postings:
    """Return the postings of the terms that begin with the words from `first` on.

    `offsets`, (words + 1,) int64, says how many occurrences each has.
    """
    starts = offsets - offsets[0]
    stops = starts[:-1].copy()
    gathered = np.empty(starts[-1], dtype=np.int64)
    _gather(
        corpus.ids, corpus.ends, corpus.is_rare, corpus.piece_offsets, corpus.pieces, corpus.weights,
        corpus.lead_words, corpus.ngrams, first, stops, gathered,
    )  # fmt: skip
    parts = _count(
        gathered, starts, stops, first, len(corpus.is_rare), corpus.is_repeat, corpus.weights, min_df, max_df
    )
    return Postings(*parts)


@kernel
def _occurrences(ids: Int32s, is_rare: Bools, piece_offsets: Int64s, pieces: Int32s) -> np.ndarray:
    """Return how many times each word that is not rare, and each piece, occurs, (places,) int64."""
    times = np.zeros(len(is_rare), dtype=np.int64)
    for word in ids:
        times[word] += 1
    sizes = np.zeros(len(is_rare), dtype=np.int64)
    for word in range(len(times)):
        if not is_rare[word]:
            sizes[word] += times[word]
        for at in range(piece_offsets[word], piece_offsets[word + 1]):
            sizes[pieces[at]] += times[word]
    return sizes


@kernel
def _gather(
    ids: Int32s,
    ends: Int64s,
    is_rare: Bools,
    piece_offsets: Int64s,
    pieces: Int32s,
    weights: Int32s,
    lead_words: int,
    ngrams: int,
    first: int,
    stops: OutInt64s,
    gathered: OutInt64s,
) -> None:
    """Write the occurrences of each word in a range at its place in `gathered`; `stops` become their ends.

    An occurrence is (second word + 1) << 32 | article << 4 | part of the pair << 2 | part of the word.
    """
    size = len(stops)
    for text in range(len(ends) - 1):
        start, beyond = ends[text], ends[text + 1]
        is_title = text % 2 == 0
        if is_title and weights[2] == 0:
            continue
        lead_end = start + lead_words
        article = np.int64(text // 2) << 4
        for at in range(start, beyond):
            word = np.int64(ids[at])
            part = 2 if is_title else 1 if at < lead_end else 0
            for piece in range(piece_offsets[word], piece_offsets[word + 1]):
                place = pieces[piece] - first
                if 0 <= place < size:
                    gathered[stops[place]] = article | part
                    stops[place] += 1
            place = word - first
            if not 0 <= place < size or is_rare[word]:
                continue
            occurrence = article | part
            if ngrams > 1 and at + 1 < beyond and not is_rare[ids[at + 1]]:
                part = 2 if is_title else 1 if at + 1 < lead_end else 0
                occurrence |= (np.int64(ids[at + 1]) + 1) << 32 | part << 2
            gathered[stops[place]] = occurrence
            stops[place] += 1


@kernel
def _count(  # noqa: C901, PLR0912, PLR0915 one loop over occurrences, one compiled function
    gathered: Int64s,
    starts: Int64s,
    stops: Int64s,
    first: int,
    places: int,
    is_repeat: Bools,
    weights: Int32s,
    min_df: int,
    max_df: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Return the fields of `Postings` for gathered occurrences."""
    most = 0
    for word in range(len(stops)):
        most = max(most, stops[word] - starts[word])
    slot_of = np.empty(places + 1, dtype=np.int32)  # of each second word
    slot_of[:] = -1
    seconds, last = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    df, bodies = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    ends = np.empty(most, dtype=np.int64)
    terms_at_most = 2 * len(gathered)  # each occurrence may be the only one of a word and of a pair
    keys, key_df = np.empty(terms_at_most, dtype=np.int64), np.empty(terms_at_most, dtype=np.int64)
    rows, counts = np.empty(terms_at_most, dtype=np.int32), np.empty(terms_at_most, dtype=np.int32)
    terms, out, distinct = 0, 0, 0
    for word in range(len(stops)):
        start, stop = starts[word], stops[word]
        if start == stop:
            continue
        # The word itself is written at once, and removed if it is outside the bounds.
        before, body_count, slots = out, 0, 0
        for at in range(start, stop):
            occurrence = gathered[at]
            article, second = (occurrence >> 4) & 0xFFFFFFF, occurrence >> 32
            if out > before and rows[out - 1] == article:
                counts[out - 1] += weights[occurrence & 3]
            else:
                rows[out], counts[out] = article, weights[occurrence & 3]
                body_count += not is_repeat[article]
                out += 1
            if second > 0:
                slot = slot_of[second]
                if slot < 0:
                    slot = slots
                    slot_of[second] = slot
                    seconds[slot], last[slot], df[slot], bodies[slot] = second, -1, 0, 0
                    slots += 1
                if last[slot] != article:
                    last[slot] = article
                    df[slot] += 1
                    bodies[slot] += not is_repeat[article]
        distinct += 1 + slots
        if out - before >= min_df and body_count <= max_df:
            keys[terms], key_df[terms] = np.int64(first + word) << 32, out - before
            terms += 1
        else:
            out = before
        pairs = int(np.int64(0))  # not a literal
        for slot in range(slots):
            if df[slot] >= min_df and bodies[slot] <= max_df:
                last[pairs] = seconds[slot] << 32 | slot
                pairs += 1
            else:
                slot_of[seconds[slot]] = -1
        _sort(last, pairs)
        for pair in range(pairs):
            slot = last[pair] & 0xFFFFFFFF
            keys[terms], key_df[terms] = np.int64(first + word) << 32 | seconds[slot], df[slot]
            terms += 1
            ends[slot], bodies[slot] = out, out  # and the start
            out += df[slot]
        for at in range(start if pairs > 0 else stop, stop):
            occurrence = gathered[at]
            slot = slot_of[occurrence >> 32]
            if slot >= 0:
                end, article, weight = ends[slot], (occurrence >> 4) & 0xFFFFFFF, weights[occurrence >> 2 & 3]
                if end > bodies[slot] and rows[end - 1] == article:
                    counts[end - 1] += weight
                else:
                    rows[end], counts[end] = article, weight
                    ends[slot] = end + 1
        for pair in range(pairs):
            slot_of[last[pair] >> 32] = -1
    return keys[:terms].copy(), key_df[:terms].copy(), rows[:out].copy(), counts[:out].copy(), distinct


@inner
def _sort(values: np.ndarray, size: np.int64 | int) -> None:
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


@kernel
def _lengths(rows: Int32s, n: int) -> np.ndarray:
    """Return how often each article occurs, (n,) int64."""
    lengths = np.zeros(n, dtype=np.int64)
    for row in rows:
        lengths[row] += 1
    return lengths


@kernel
def _fill(
    df: Int64s,
    rows: Int32s,
    row_counts: Int32s,
    column: int,
    first: int,
    beyond: int,
    ends: OutInt64s,
    columns: OutInt32s,
    counts: OutInt32s,
) -> None:
    """Write the terms of articles first..beyond at `ends`, and move these; the first term has this column."""
    start = 0
    for term in range(len(df)):
        for at in range(start, start + df[term]):
            row = rows[at]
            if first <= row < beyond:
                columns[ends[row]], counts[ends[row]] = column + term, row_counts[at]
                ends[row] += 1
        start += df[term]
