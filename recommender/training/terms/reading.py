"""Read the words of a corpus on several threads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recommender.text import TermRules
from recommender.training.kernels import BoolRows, Int32s, Int64s, OutInt32s, kernel, run_all, run_ranges
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

    lexicon: Lexicon
    ids: list[np.ndarray]  # for each block (words,) int32
    ends: list[np.ndarray]  # for each block (2 articles,) int64, the end of each title and body


def read_words(
    texts: Texts,
    langs: np.ndarray,
    names: list[str],
    rules: TermRules,
    threads: int,
    progress: Callable[[int], None],
) -> Words:
    """Return the words of the texts; `langs` has the position of each article's language in `names`.

    Each thread reads consecutive blocks. Words are numbered in order of appearance in any case.
    """
    hashes = key_hashes(rules.standing_lines)

    def read(start: int, end: int) -> _Part:
        part = _Part(Lexicon(), [], [])
        for block in texts.blocks[start:end]:
            _read_block(block, hashes, rules.max_body_chars, part)
            progress(len(block))
        return part

    first, *others = run_ranges(read, len(texts.blocks), threads, ranges_per_thread=1)
    lexicon = first.lexicon
    numbers = [np.arange(len(lexicon), dtype=np.int32), *(lexicon.add(other.lexicon) for other in others)]
    stop = _stop_word_table(names, rules, lexicon)
    lang_parts = iter(np.split(langs, texts.first_rows[1:-1]))
    calls = [
        (_settle, ids, ends, number_of, next(lang_parts), stop)
        for part, number_of in zip((first, *others), numbers, strict=True)
        for ids, ends in zip(part.ids, part.ends, strict=True)
    ]
    lengths = list(run_all(calls, threads))
    ends = np.zeros(2 * len(texts) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *lengths]), out=ends[1:])
    kept = [call[1][: length.sum()] for call, length in zip(calls, lengths, strict=True)]
    return Words(lexicon, np.concatenate([np.zeros(0, dtype=np.int32), *kept]), ends, langs, names)


def _read_block(block: TextBlock, hashes: np.ndarray, longest: int, part: _Part) -> None:
    if len(hashes):
        block = without_lines_of(block, np.ones(len(block), dtype=bool), hashes)
    ids, ends = part.lexicon.scan(block, longest)
    part.ids.append(ids)
    part.ends.append(ends)


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
