"""Read the words of a corpus on several threads."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from recommender.article import Article
from recommender.boilerplate import without_lines
from recommender.text import TermRules
from recommender.training.kernels import run_ranges
from recommender.training.terms.lexicon import Lexicon

_BLOCK_CHARS = 4_000_000


def read_words(
    articles: Sequence[Article], rules: TermRules, threads: int, progress: Callable[[int], None]
) -> tuple[Lexicon, np.ndarray, np.ndarray]:
    """Return all words, the word numbers of all titles and bodies, and their offsets, (2 n + 1,) from 0.

    Each thread reads consecutive articles. Words are numbered in order of appearance in any case.
    """

    def read(start: int, end: int) -> tuple[Lexicon, list[np.ndarray], list[np.ndarray]]:
        lexicon = Lexicon()
        ids, lengths = [], []
        for block in _blocks(articles[start:end], rules):
            block_ids, block_ends = lexicon.scan(block)
            ids.append(block_ids)
            lengths.append(np.diff(block_ends, prepend=0))
            progress(len(block) // 2)
        return lexicon, ids, lengths

    (lexicon, all_ids, all_lengths), *others = run_ranges(read, len(articles), threads, ranges_per_thread=1)
    for other, ids, lengths in others:
        number_of = lexicon.number(other.words(np.arange(len(other))))
        all_ids += [number_of[block_ids] for block_ids in ids]
        all_lengths += lengths
    ends = np.zeros(2 * len(articles) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *all_lengths]), out=ends[1:])
    return lexicon, np.concatenate([np.zeros(0, dtype=np.int32), *all_ids]), ends


def _blocks(articles: Sequence[Article], rules: TermRules) -> Iterator[list[str]]:
    """Yield lists of title, body, title, body, …, of a few million characters each."""
    block: list[str] = []
    size = 0
    longest = rules.max_body_chars
    for article in articles:
        body = without_lines(article.body, rules.standing_lines) if rules.standing_lines else article.body
        block += [article.title[:longest], body[:longest]]
        size += len(block[-1]) + len(block[-2])
        if size >= _BLOCK_CHARS:
            yield block
            block, size = [], 0
    if block:
        yield block
