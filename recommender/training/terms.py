"""Count the terms of a whole corpus: the fast twin of `TermRules.terms`, equal to it by test."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.text import TermRules, fold
from recommender.training.compiled import kernel, run_all, spread
from recommender.training.lexicon import Lexicon

_BLOCK_CHARS = 4_000_000
_RARE = -1  # breaks a pair, for no frequent pair holds a rare word
_REST, _LEAD, _TITLE = range(3)  # the parts of an article
_SECOND = 0xFFFFFFFF  # the bits of a key that hold its second word


@dataclass(frozen=True)
class TermCounts:
    """How often each kept term stands in each article, title and lead weighted."""

    terms: Strings  # (n_terms,), sorted by their bytes
    pairs: np.ndarray  # (n_terms,) bool, which terms are two words
    df: np.ndarray  # (n_terms,) int64, in how many articles a term stands
    offsets: np.ndarray  # (n + 1,) int64
    columns: np.ndarray  # (entries,) int32, ascending in each article
    counts: np.ndarray  # (entries,) int32
    distinct: int  # words, and pairs of words that are kept themselves, before pruning


def count_terms(
    articles: Sequence[Article],
    rules: TermRules,
    min_df: int,
    max_df: int,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
) -> TermCounts:
    """Count the terms that stand in `min_df` to `max_df` articles.

    `progress` is told how many more articles have been read.
    """
    lexicon = Lexicon()
    ids, ends = _read(articles, rules, lexicon, progress)
    langs, stop = _stop_table(articles, rules, lexicon)
    df = np.zeros(len(lexicon), dtype=np.int64)
    _drop_stop_words(ids, ends, langs, stop, df)
    rank_of, sorted_words = lexicon.ranked()
    ids = np.where(df >= min_df, rank_of, _RARE).astype(np.int32)[ids[: ends[-1]]]

    def count(start: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _count_keys(
            ids, ends, start, end, rules.title_weight, rules.lead_weight, rules.lead_words, rules.ngrams
        )

    parts = list(spread(count, len(articles), threads))
    keys, key_df, distinct = _kept(np.concatenate([part[0] for part in parts]), min_df, max_df)
    slots, slot_columns = _hash_keys(keys)
    found = list(run_all([(_look_up, *part, slots, slot_columns) for part in parts], threads))
    offsets = np.zeros(len(articles) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([part[2] for part in found]), out=offsets[1:])
    return TermCounts(
        terms=_term_strings(keys, sorted_words),
        pairs=(keys & _SECOND) > 0,
        df=key_df,
        offsets=offsets,
        columns=np.concatenate([part[0] for part in found]),
        counts=np.concatenate([part[1] for part in found]),
        distinct=distinct + int(np.count_nonzero((df > 0) & (df < min_df))),
    )


def _read(
    articles: Sequence[Article], rules: TermRules, lexicon: Lexicon, progress: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the word numbers of all titles and bodies, and where each one's end, (2 n + 1,) from 0."""
    ids, ends, total = [], [np.zeros(1, dtype=np.int64)], 0
    for block in _blocks(articles, rules.max_body_chars):
        bounds = np.zeros(len(block) + 1, dtype=np.int64)
        np.cumsum([len(piece) for piece in block], out=bounds[1:])
        block_ids, block_ends = lexicon.scan("".join(block), bounds)
        ids.append(block_ids)
        ends.append(block_ends + total)
        total += len(block_ids)
        progress(len(block) // 2)
    return np.concatenate([np.zeros(0, dtype=np.int32), *ids]), np.concatenate(ends)


def _blocks(articles: Sequence[Article], max_body_chars: int) -> Iterator[list[str]]:
    """Yield lists of title, body, title, body, … of a few million characters each, folded."""
    block: list[str] = []
    size = 0
    for article in articles:
        block += [fold(article.title[:max_body_chars]), fold(article.body[:max_body_chars])]
        size += len(block[-1]) + len(block[-2])
        if size >= _BLOCK_CHARS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _stop_table(
    articles: Sequence[Article], rules: TermRules, lexicon: Lexicon
) -> tuple[np.ndarray, np.ndarray]:
    """Return each article's language number, (n,) int32, and what stops in each, (langs, words) bool."""
    names = sorted({article.lang or "" for article in articles})
    langs = {lang: number for number, lang in enumerate(names)}
    stop_ids = {}
    for lang in langs:
        listed = "\n".join(sorted(rules.stop_words.get(lang, ())))
        stop_ids[lang], _ = lexicon.scan(listed, np.array([0, len(listed)], dtype=np.int64))
    table = np.zeros((len(langs), len(lexicon)), dtype=bool)
    for lang, number in langs.items():
        table[number, stop_ids[lang]] = True
    return np.array([langs[article.lang or ""] for article in articles], dtype=np.int32), table


def _kept(keys: np.ndarray, min_df: int, max_df: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the distinct keys within the bounds, ascending, their df, and how many were distinct at all."""
    keys.sort()
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    df = np.diff(firsts, append=len(keys))
    kept = (df >= min_df) & (df <= max_df)
    return keys[firsts[kept]], df[kept], len(firsts)


def _hash_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an open-addressing table from key to column: its slots, -1 where empty, and their columns."""
    size = 1 << max(4, int(2 * len(keys)).bit_length())
    slots = np.full(size, -1, dtype=np.int64)
    columns = np.zeros(size, dtype=np.int32)
    _fill(slots, columns, keys)
    return slots, columns


def _term_strings(keys: np.ndarray, sorted_words: list[str]) -> Strings:
    """Return the terms behind the keys: a word, or two with a space between."""
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
def _drop_stop_words(
    ids: np.ndarray, ends: np.ndarray, langs: np.ndarray, stop: np.ndarray, df: np.ndarray
) -> None:
    """Move the words that do not stop together, in place, and count in how many articles each stands."""
    seen = np.full(len(df), -1, dtype=np.int64)
    start, out = 0, 0
    for piece in range(len(ends) - 1):
        article = piece // 2
        end = ends[piece + 1]
        for at in range(start, end):
            word = ids[at]
            if not stop[langs[article], word]:
                ids[out] = word
                out += 1
                if seen[word] != article:
                    seen[word] = article
                    df[word] += 1
        start = end
        ends[piece + 1] = out


@kernel
def _count_keys(
    ids: np.ndarray,
    ends: np.ndarray,
    start: int,
    end: int,
    title_weight: int,
    lead_weight: int,
    lead_words: int,
    ngrams: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the keys of the terms of articles start..end, their weighted counts, and each one's key count.

    A key is first word << 32 | second word + 1, or + 0 for a word alone, so that keys sort as their terms do.
    """
    most = 2 * (ends[2 * end] - ends[2 * start])
    keys = np.empty(most, dtype=np.int64)
    counts = np.empty(most, dtype=np.int32)
    lengths = np.zeros(end - start, dtype=np.int64)
    out = 0
    for article in range(start, end):
        size = 0
        marked = np.empty(2 * (ends[2 * article + 2] - ends[2 * article]), dtype=np.int64)
        for field in range(2):
            first, beyond = ends[2 * article + field], ends[2 * article + field + 1]
            lead_end = first + lead_words
            for at in range(first, beyond):
                word = np.int64(ids[at])
                if word == _RARE:
                    continue
                marked[size] = word << 34 | (_TITLE if field == 0 else _LEAD if at < lead_end else _REST)
                size += 1
                if ngrams > 1 and at + 1 < beyond and ids[at + 1] != _RARE:
                    part = _TITLE if field == 0 else _LEAD if at + 1 < lead_end else _REST
                    marked[size] = word << 34 | (np.int64(ids[at + 1]) + 1) << 2 | part
                    size += 1
        ordered = np.sort(marked[:size])
        before = out
        for at in range(size):
            key, part = ordered[at] >> 2, ordered[at] & 3
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


@kernel
def _slot(key: int, size: int) -> int:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(20)) & np.uint64(size - 1))  # type: ignore[return-value]  # compiled


@kernel
def _fill(slots: np.ndarray, columns: np.ndarray, keys: np.ndarray) -> None:
    """Put each key into the table, with its position as column."""
    for column in range(len(keys)):
        at = _slot(keys[column], len(slots))
        while slots[at] >= 0:
            at = (at + 1) & (len(slots) - 1)
        slots[at] = keys[column]
        columns[at] = column


@kernel
def _look_up(
    keys: np.ndarray, counts: np.ndarray, lengths: np.ndarray, slots: np.ndarray, slot_columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns and counts of the keys that were kept, and how many each article has."""
    columns = np.empty(len(keys), dtype=np.int32)
    kept_counts = np.empty(len(keys), dtype=np.int32)
    kept_lengths = np.zeros(len(lengths), dtype=np.int64)
    start, out = 0, 0
    for article in range(len(lengths)):
        before = out
        for at in range(start, start + lengths[article]):
            slot = _slot(keys[at], len(slots))
            while slots[slot] >= 0 and slots[slot] != keys[at]:
                slot = (slot + 1) & (len(slots) - 1)
            if slots[slot] >= 0:
                columns[out], kept_counts[out] = slot_columns[slot], counts[at]
                out += 1
        start += lengths[article]
        kept_lengths[article] = out - before
    return columns[:out].copy(), kept_counts[:out].copy(), kept_lengths


@kernel
def _write_terms(
    utf8: np.ndarray,
    offsets: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    words: np.ndarray,
    word_offsets: np.ndarray,
) -> None:
    """Write each term's bytes to its place."""
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
