"""Learn the standing lines of a whole corpus, and leave them out: see `boilerplate` for what they are.

A corpus has millions of lines. Compiled kernels read them in flat blocks of UTF-8, and only their hashes and
places are stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from recommender.boilerplate import LAST_LINES, key_of
from recommender.training.kernels import Int64s, Uint8s, kernel, run_all
from recommender.training.terms.lines import WHITE, key_hash, line_spans, sentence_spans, without_keys
from recommender.training.terms.texts import TextBlock, Texts, text_block

MAX_LINES = 1000  # that recur and that a model contains, the most frequent ones
MAX_TITLES = 20_000  # titles of other articles that a model contains
_LEAST_BODIES = 5  # with the line, and
_LEAST_SHARE = 0.01  # of all distinct bodies
_LEAST_TITLE = 15  # bytes; a shorter title may be a heading in another article
_LEAST_SENTENCE = 20  # bytes
_EDGE = 3_000  # characters at each end of a body in which the sentences of its first and last lines are read


def without_standing_lines(texts: Texts, threads: int) -> tuple[list[str], Texts]:
    """Return the keys of standing lines and sentences, and the texts with bodies without them.

    These are the lines that are in 5 distinct bodies and in 1 % of them, the most frequent first; then those
    that are the title of another article; then the sentences that are in as many of the remaining bodies.
    """
    firsts = texts.first_bodies(threads)
    at_least = max(_LEAST_BODIES, ceil(_LEAST_SHARE * int(firsts.sum())))
    lines = _Spans.of(
        texts, run_all([(line_spans, block.utf8, block.bounds) for block in texts.blocks], threads)
    )
    keys = lines.recurring(firsts, at_least)[:MAX_LINES]
    keys += sorted(lines.titles_of_others().difference(keys))[:MAX_TITLES]
    others = _without_lines(texts, keys, threads, lines.rows_with(keys)) if keys else texts
    calls = [
        (sentence_spans, block.utf8, block.bounds, WHITE, LAST_LINES, _EDGE, _LEAST_SENTENCE)
        for block in others.blocks
    ]
    sentences = _Spans.of(others, run_all(calls, threads))
    more = sentences.recurring(others.first_bodies(threads), at_least)[:MAX_LINES]
    if not (keys or more):
        return [], texts
    # All at once and in all bodies, as in serving. A short sentence may have the key of a line.
    return keys + more, _without_lines(texts, keys + more, threads, np.ones(len(texts), dtype=bool))


def _without_lines(texts: Texts, keys: Iterable[str], threads: int, chosen: np.ndarray) -> Texts:
    """Return the texts without these lines, in the bodies `chosen` by an (n,) bool."""
    hashes = key_hashes(keys)
    parts = np.split(chosen, texts.first_rows[1:-1])
    calls = [(without_lines_of, *part, hashes) for part in zip(texts.blocks, parts, strict=True)]
    return Texts(list(run_all(calls, threads)))


def without_lines_of(block: TextBlock, chosen: np.ndarray, hashes: np.ndarray) -> TextBlock:
    """Return a block without the lines of these `key_hashes` in the bodies `chosen` by an (articles,) bool.

    Bodies are cut as by `boilerplate.without_lines`.
    """
    if not chosen.any():
        return block
    cut = without_keys(block.utf8, block.bounds, chosen, hashes, WHITE, LAST_LINES)
    return TextBlock(*cut)


def key_hashes(keys: Iterable[str]) -> np.ndarray:
    """Return the distinct hashes of these keys, ascending."""
    block = text_block([part for key in keys for part in (key.encode(errors="surrogatepass"), b"")])
    return np.unique(_title_hashes(block.utf8, block.bounds)[0])


@dataclass(frozen=True)
class _Spans:
    """Lines or sentences of the bodies of a corpus, in order."""

    texts: Texts
    hashes: np.ndarray  # (m,) uint64, of their keys
    rows: np.ndarray  # (m,) int64, of their articles
    starts: np.ndarray  # (m,) int32, the first byte in its block
    ends: np.ndarray  # (m,) int32

    @classmethod
    def of(cls, texts: Texts, parts: Iterable[tuple[np.ndarray, ...]]) -> "_Spans":
        """Join the spans of all blocks."""
        blocks = list(parts)
        first_rows = texts.first_rows.tolist()
        rows = [first + part[1].astype(np.int64) for first, part in zip(first_rows, blocks, strict=False)]
        hashes, _, starts, ends = zip(*blocks, strict=True)
        return cls(texts, *map(np.concatenate, (hashes, rows, starts, ends)))

    def recurring(self, counted: np.ndarray, at_least: int) -> list[str]:
        """Return the keys that are in `at_least` of the bodies counted by an (n,) bool, most frequent first.

        Keys with equal counts are in alphabetical order.
        """
        lines = np.flatnonzero(counted[self.rows])
        lines = lines[np.argsort(self.hashes[lines], kind="stable")]
        hashes, rows = self.hashes[lines], self.rows[lines]
        is_new = np.append(len(lines) > 0, hashes[1:] != hashes[:-1])
        in_new_body = is_new | np.append(len(lines) > 0, rows[1:] != rows[:-1])
        firsts = np.flatnonzero(is_new)
        counts = np.add.reduceat(in_new_body, firsts, dtype=np.int64) if len(firsts) else firsts
        frequent = np.flatnonzero(counts >= at_least)
        keys = [
            (self._key(line), count)
            for line, count in zip(lines[firsts[frequent]], counts[frequent], strict=True)
        ]
        return [key for key, _ in sorted(keys, key=lambda pair: (-pair[1], pair[0]))]

    def titles_of_others(self) -> set[str]:
        """Return the keys of lines that are the title of another article."""
        titles = [_title_hashes(block.utf8, block.bounds) for block in self.texts.blocks]
        hashes, sizes = map(np.concatenate, zip(*titles, strict=True))
        long = np.unique(hashes[sizes >= _LEAST_TITLE])
        linked = np.flatnonzero(_is_in(self.hashes, long))
        linked = linked[self.hashes[linked] != hashes[self.rows[linked]]]
        _, firsts = np.unique(self.hashes[linked], return_index=True)
        return {self._key(line) for line in linked[firsts]}

    def rows_with(self, keys: Sequence[str]) -> np.ndarray:
        """Return which articles have any of these keys, (n,) bool."""
        mask = np.zeros(len(self.texts), dtype=bool)
        mask[self.rows[_is_in(self.hashes, key_hashes(keys))]] = True
        return mask

    def _key(self, line: int) -> str:
        first_rows = self.texts.first_rows
        block = self.texts.blocks[int(np.searchsorted(first_rows, self.rows[line], side="right")) - 1]
        return key_of(block.utf8[self.starts[line] : self.ends[line]].tobytes())


def _is_in(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which hashes are among those known, which are ascending."""
    if not len(known):
        return np.zeros(len(hashes), dtype=bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes)


@kernel
def _title_hashes(utf8: Uint8s, bounds: Int64s) -> tuple[np.ndarray, np.ndarray]:
    """Return the hash of the key of each title of a block, and the length of the key in bytes."""
    titles = len(bounds) // 2
    hashes, sizes = np.empty(titles, dtype=np.uint64), np.empty(titles, dtype=np.int64)
    for title in range(titles):
        start, end = bounds[2 * title], bounds[2 * title + 1]
        value, size, line_end = key_hash(utf8, start, end)
        while size == 0 and line_end < end:  # a blank first line
            value, size, line_end = key_hash(utf8, line_end + 1, end)
        rest = 0
        while rest == 0 and line_end < end:
            _, rest, line_end = key_hash(utf8, line_end + 1, end)
        hashes[title], sizes[title] = value, 0 if rest > 0 else size  # no line equals a title of two lines
    return hashes, sizes
