"""The words of a snapshot by their letters, which finds what a misspelt word may mean.

A search looks for words that differ from the typed one by one or two typos: a letter added, left out or
replaced, or two neighbouring letters exchanged. Comparing the sets of letters as bit masks excludes nearly
all words. The distances of the others are computed together. With 37,554 news articles, the 76,000 words take
3 MB, and a search with a typo takes 10 ms. A deletion dictionary (SymSpell) would store dozens of entries
for each word, and rapidfuzz would need all words as Python objects.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from recommender.columns import Strings
from recommender.embedding import Vocabulary

_SPACE, _CONTINUATION = 0x20, 0x80
_ELLIPSIS_START = 0xE2  # first byte of the ellipsis in pieces of words; hardly any letter begins with it
_MAX_CHAR_BYTES = 4
_FEWEST_CHARS = 4  # shorter words have too many neighbours
_FEWEST_CHARS_FOR_TWO = 8  # in words of this length there may be two typos
_MOST = 5  # candidates


@dataclass(frozen=True)
class Spellings:
    """Words, each with the set of its letters and with how many articles contain it."""

    words: Strings  # in any order
    letters: np.ndarray  # (n,) uint64; bit b is set if a byte of the word is b modulo 64
    sizes: np.ndarray  # (n,) int64, characters
    is_ascii: np.ndarray  # (n,) bool
    counts: np.ndarray  # (n,) int64, articles

    @classmethod
    def of(cls, words: Strings, counts: np.ndarray) -> "Spellings":
        """Return the spellings of words; an entry that is a pair or a piece of words is left out."""
        lengths = np.diff(words.offsets)
        is_word = lengths > 0
        places = np.flatnonzero((words.utf8 == _SPACE) | (words.utf8 == _ELLIPSIS_START))
        is_word[np.searchsorted(words.offsets, places, side="right") - 1] = False
        utf8, lengths = words.utf8[np.repeat(is_word, lengths)], lengths[is_word]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        if not len(lengths):
            nothing = np.zeros(0, dtype=np.int64)
            return cls(Strings.of(()), nothing.astype(np.uint64), nothing, nothing > 0, nothing)
        bits = np.left_shift(np.uint64(1), (utf8 & 63).astype(np.uint64))
        sizes = np.add.reduceat((utf8 & 0xC0) != _CONTINUATION, starts[:-1], dtype=np.int64)
        return cls(
            words=Strings(utf8, starts),
            letters=np.bitwise_or.reduceat(bits, starts[:-1]),
            sizes=sizes,
            is_ascii=sizes == lengths,
            counts=np.asarray(counts, dtype=np.int64)[is_word],
        )

    def near(self, word: str, typos: int, *, is_prefix: bool) -> list[tuple[int, bool, bool, int, str]]:
        """Return the words that differ from a word by at most so many typos, best first.

        With `is_prefix`, so may the beginning of a longer word with the same first letter. Each is a tuple of
        what it is ordered by: the typos, whether the first letter differs, whether other letters do, minus
        the articles, the word.
        """
        rows = self._plausible(word, typos, is_prefix=is_prefix)
        if not len(rows):
            return []
        candidates = [self.words[row] for row in rows.tolist()]
        letters = sorted(word)  # exchanged letters are the most frequent typo
        distances = _distances(word, candidates, self.sizes[rows], is_prefix=is_prefix)
        near = [
            (distance, candidate[0] != word[0], sorted(candidate) != letters, -count, candidate)
            for distance, count, candidate in zip(
                distances.tolist(), self.counts[rows].tolist(), candidates, strict=True
            )
            if distance <= typos and not (is_prefix and candidate[0] != word[0])
        ]
        return sorted(near)

    def _plausible(self, word: str, typos: int, *, is_prefix: bool) -> np.ndarray:
        """Return the rows of words whose length and letters permit so few typos."""
        utf8 = word.encode()
        letters = np.uint64(0)
        for byte in utf8:
            letters |= np.uint64(1 << (byte & 63))
        may_lack = sum(sorted(len(char.encode()) for char in word)[-typos:])
        may_add = np.where(self.is_ascii, typos, _MAX_CHAR_BYTES * typos)
        is_plausible = np.bitwise_count(letters & ~self.letters) <= may_lack
        is_plausible &= self.sizes >= len(word) - typos
        if not is_prefix:
            is_plausible &= np.bitwise_count(self.letters & ~letters) <= may_add
            is_plausible &= self.sizes <= len(word) + typos
        return np.flatnonzero(is_plausible)


class SpellingIndex:
    """The spellings of a model's words, built when someone first searches for an unknown word.

    They are its terms and, for a stem, the word that it represents most often: many typos are in the ending.
    """

    def __init__(self) -> None:
        self._words: tuple[Spellings, Spellings] | None = None
        self._lock = Lock()

    def suggestions(
        self,
        word: str,
        vocabulary: Vocabulary,
        counts: np.ndarray,
        titles: Iterable[Spellings],
        *,
        is_prefix: bool,
    ) -> Iterator[str]:
        """Yield words of texts and titles that a misspelt word may mean, the most likely ones first.

        `counts` are the articles with each term, `titles` the words of titles. A word with a digit, or a
        short one, has no suggestions.
        """
        if len(word) < _FEWEST_CHARS or any(map(str.isdigit, word)):
            return
        spellings = [*self._of_model(vocabulary, counts), *titles]
        tries = [(1, False), *([(1, True)] if is_prefix else [])]
        tries += [(2, False)] if len(word) >= _FEWEST_CHARS_FOR_TWO else []
        for typos, may_be_longer in tries:
            near = sorted(
                candidate
                for spelling in spellings
                for candidate in spelling.near(word, typos, is_prefix=may_be_longer)
            )
            spelt = (vocabulary.spelt(candidate[-1]) for candidate in near)
            yield from list(dict.fromkeys(spelt))[:_MOST]

    def _of_model(self, vocabulary: Vocabulary, counts: np.ndarray) -> tuple[Spellings, Spellings]:
        if self._words is None:
            with self._lock:
                if self._words is None:
                    rows = vocabulary.terms.find_all(vocabulary.stems)
                    of_stems = np.where(rows < 0, 0, counts[rows])
                    terms = Spellings.of(vocabulary.terms, counts)
                    self._words = terms, Spellings.of(vocabulary.forms, of_stems)
        return self._words


def _distances(word: str, candidates: Sequence[str], sizes: np.ndarray, *, is_prefix: bool) -> np.ndarray:
    """Return how many typos lead from each candidate to the word, (n,) int64.

    This is the optimal string alignment distance. With `is_prefix`, it is that of the closest beginning of
    the candidate.
    """
    width = int(sizes.max())
    letters = np.array(candidates, dtype=f"U{width}").view(np.uint32).reshape(len(candidates), width).T
    typed = np.array([word]).view(np.uint32)
    before_last = last = np.repeat(np.arange(width + 1)[:, None], len(candidates), axis=1)
    for i, letter in enumerate(typed):
        current = np.empty_like(last)
        current[0] = i + 1
        for j in range(width):
            current[j + 1] = np.minimum(last[j] + (letters[j] != letter), last[j + 1] + 1)
            np.minimum(current[j + 1], current[j] + 1, out=current[j + 1])
            if i and j:
                is_exchange = (letters[j] == typed[i - 1]) & (letters[j - 1] == letter)
                exchanged = np.where(is_exchange, before_last[j - 1] + 1, current[j + 1])
                np.minimum(current[j + 1], exchanged, out=current[j + 1])
        before_last, last = last, current
    return np.asarray(last.min(axis=0) if is_prefix else last[sizes, np.arange(len(candidates))])
