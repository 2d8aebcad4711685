"""Read the words of a corpus on several threads, or on workers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from recommender.text import TermRules
from recommender.training.kernels import (
    BoolRows,
    Int32s,
    Int64s,
    OutInt32s,
    Workers,
    kernel,
    run_all,
    run_ranges,
)
from recommender.training.terms.lexicon import Lexicon
from recommender.training.terms.standing import key_hashes, without_lines_of
from recommender.training.terms.texts import TextBlock, Texts


@dataclass(frozen=True)
class Words:
    """The words of all titles and bodies, without stop words, by their numbers in a lexicon."""

    lexicon: Lexicon
    ids: np.ndarray  # (words,) int32; those of article i are ids[ends[2 i]:ends[2 i + 2]]
    ends: np.ndarray  # (2 n + 1,) int64: 0, then the end of each title and body
    langs: np.ndarray  # (n,) int32, the position of each article's language in `names`
    names: list[str]


@dataclass(frozen=True)
class _Part:
    """The words of consecutive blocks."""

    words: tuple[np.ndarray, np.ndarray]  # all distinct ones, as `Lexicon.packed`
    ids: list[np.ndarray]  # for each block (words,) int32
    ends: list[np.ndarray]  # for each block (2 articles,) int64, the end of each title and body


def read_words(
    texts: Texts,
    langs: np.ndarray,
    names: list[str],
    rules: TermRules,
    threads: int,
    progress: Callable[[int], None],
    workers: Workers | None = None,
) -> Words:
    """Return the words of the texts; `langs` has the position of each article's language in `names`.

    Each thread reads consecutive blocks. A worker receives one block at a time, and returns its words and
    their numbers. Words are numbered in order of appearance in any case.
    """
    hashes = key_hashes(rules.standing_lines)
    lexicon, numbers, blocks = Lexicon(), list[np.ndarray](), list[tuple[np.ndarray, np.ndarray]]()
    if workers:
        parts = _parts_by_workers(texts, hashes, rules.max_body_chars, workers, progress)
    else:
        parts = _parts_by_threads(texts, hashes, rules.max_body_chars, threads, progress)
    for part in parts:
        numbers += [lexicon.add(*part.words)] * len(part.ids)
        # Arrays from another process may be read-only; `_settle` writes to the numbers.
        ids = (np.require(of_block, requirements="W") for of_block in part.ids)
        blocks += zip(ids, part.ends, strict=True)
    stop = _stop_word_table(names, rules, lexicon)
    lang_parts = np.split(langs, texts.first_rows[1:-1])
    calls = [
        (_settle, *block, number_of, part_langs, stop)
        for block, number_of, part_langs in zip(blocks, numbers, lang_parts, strict=True)
    ]
    lengths = list(run_all(calls, threads))
    ends = np.zeros(2 * len(texts) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *lengths]), out=ends[1:])
    kept = [call[1][: length.sum()] for call, length in zip(calls, lengths, strict=True)]
    return Words(lexicon, np.concatenate([np.zeros(0, dtype=np.int32), *kept]), ends, langs, names)


def _parts_by_threads(
    texts: Texts, hashes: np.ndarray, longest: int, threads: int, progress: Callable[[int], None]
) -> Iterator[_Part]:
    def read(start: int, end: int) -> _Part:
        return _read_blocks(texts.blocks[start:end], hashes, longest, progress)

    return run_ranges(read, len(texts.blocks), threads, ranges_per_thread=1)


def _parts_by_workers(
    texts: Texts, hashes: np.ndarray, longest: int, workers: Workers, progress: Callable[[int], None]
) -> Iterator[_Part]:
    calls = (([block], hashes, longest) for block in texts.blocks)
    for block, part in zip(texts.blocks, workers.map(_read_blocks, calls), strict=True):
        progress(len(block))
        yield part


def _read_blocks(
    blocks: list[TextBlock],
    hashes: np.ndarray,
    longest: int,
    progress: Callable[[int], None] = lambda _: None,
) -> _Part:
    """Return the words of the blocks, without the lines of these `key_hashes`."""
    lexicon, ids, ends = Lexicon(), list[np.ndarray](), list[np.ndarray]()
    for block in blocks:
        read = without_lines_of(block, np.ones(len(block), dtype=bool), hashes) if len(hashes) else block
        block_ids, block_ends = lexicon.scan(read, longest)
        ids.append(block_ids)
        ends.append(block_ends)
        progress(len(block))
    return _Part(lexicon.packed(), ids, ends)


def _stop_word_table(names: list[str], rules: TermRules, lexicon: Lexicon) -> np.ndarray:
    """Return which words are stop words of each language, (languages, words) bool."""
    stop_ids = [lexicon.number(sorted(rules.stop_words_of(lang))) for lang in names]
    table = np.zeros((len(names), len(lexicon)), dtype=bool)
    for number, ids in enumerate(stop_ids):
        table[number, ids] = True
    return table


@kernel
def _settle(ids: OutInt32s, ends: Int64s, number_of: Int32s, langs: Int32s, stop: BoolRows) -> np.ndarray:
    """Renumber the words of a block, and remove stop words, in place.

    Returns the number of words in each title and body, (2 articles,) int64.
    """
    lengths = np.empty(len(ends), dtype=np.int64)
    start, out = 0, 0
    for text in range(len(ends)):
        before = out
        for at in range(start, ends[text]):
            word = number_of[ids[at]]
            if not stop[langs[text // 2], word]:
                ids[out] = word
                out += 1
        start = ends[text]
        lengths[text] = out - before
    return lengths
