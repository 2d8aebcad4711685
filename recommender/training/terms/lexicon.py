"""The words of a corpus, numbered in order of appearance: a compiled equivalent of `text.words`."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from recommender.text import MAX_WORD_CHARS, MIN_WORD_CHARS, beyond_ascii, fold, unspaced_runs, word_runs
from recommender.training.kernels import (
    Int32s,
    Int64s,
    OutInt32s,
    OutInt64s,
    OutUint32s,
    OutUint64s,
    Uint8s,
    Uint64s,
    inner,
    kernel,
)

_SEPARATOR, _WORD, _UNSPACED = 0, 1, 2


class Lexicon:
    """All distinct words so far, numbered in order of appearance, in an open-addressing hash table.

    Words are compared by their letters and not only by their hashes, so a hash collision never merges two
    words.
    """

    def __init__(self) -> None:
        self._allocate(words=1 << 17, chars=1 << 21)
        self._kinds = _kinds()
        self._size = np.zeros(2, dtype=np.int64)  # words, characters

    def __len__(self) -> int:
        """Return how many distinct words there are."""
        return int(self._size[0])

    def scan(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the word numbers of the texts, folded and joined, and the end of each text's words."""
        return self._scan(list(map(_encoded, texts)))

    def _scan(self, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        bounds = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(list(map(len, texts)), out=bounds[1:])
        utf8 = np.frombuffer(b"".join(texts), dtype=np.uint8)
        ids = np.empty(len(utf8) + 1, dtype=np.int32)
        ends = np.zeros(len(texts), dtype=np.int64)
        done = 0
        while True:
            done = _scan(
                utf8, bounds, _foldings()[0], self._kinds, MIN_WORD_CHARS, MAX_WORD_CHARS,
                self._slots, self._hashes, self._letters,
                self._starts, self._size, ids, ends, done,
            )  # fmt: skip
            if done == len(ends):
                return ids[: ends[-1] if len(ends) else 0].copy(), ends
            self._grow(int(bounds[done + 1] - bounds[done]))

    def number(self, words: Sequence[str]) -> np.ndarray:
        """Return the numbers of these words, (m,) int32; unknown words are added."""
        ids, _ = self._scan(["\n".join(words).encode(errors="surrogatepass")])
        return ids

    def words(self, numbers: np.ndarray) -> list[str]:
        """Return the words with these numbers."""
        letters = self._letters[: self._starts[len(self)]].tobytes().decode("utf-32-le", "surrogatepass")
        starts, ends = self._starts[numbers].tolist(), self._starts[numbers + 1].tolist()
        return [letters[a:b] for a, b in zip(starts, ends, strict=True)]

    def ranked(self) -> tuple[np.ndarray, list[str]]:
        """Return each word's place in the byte order of the words, and the words in that order."""
        starts = self._starts[: len(self) + 1].tolist()
        letters = self._letters[: starts[-1]].tobytes().decode("utf-32-le", "surrogatepass")
        words = [letters[a:b] for a, b in pairwise(starts)]
        order = sorted(range(len(words)), key=words.__getitem__)  # code points sort like their UTF-8 bytes
        rank_of = np.empty(len(words), dtype=np.int64)
        rank_of[order] = np.arange(len(words))
        return rank_of, [words[number] for number in order]

    def _allocate(self, words: int, chars: int) -> None:
        self._slots = np.full(1 << (4 * words - 1).bit_length(), -1, dtype=np.int32)  # a power of two
        self._hashes = np.zeros(words, dtype=np.uint64)
        self._starts = np.zeros(words + 1, dtype=np.int64)
        self._letters = np.zeros(chars, dtype=np.uint32)

    def _grow(self, coming: int) -> None:
        """Enlarge the tables for a piece of `coming` characters."""
        old = self._hashes, self._starts, self._letters
        words, chars = int(self._size[0]), int(self._size[1])
        # A piece of m characters has at most m words, and these have at most 2 m characters.
        self._allocate(2 * max(len(old[0]), words + coming), 2 * max(len(old[2]), chars + 2 * coming))
        self._hashes[:words] = old[0][:words]
        self._starts[: words + 1] = old[1][: words + 1]
        self._letters[:chars] = old[2][:chars]
        _rehash(self._slots, self._hashes, words)


_FOLDED_BY_TABLE = 0x10000  # code points; the others are rare
_IGNORED = -1


def _encoded(text: str) -> bytes:
    """Return the UTF-8 of a text, already folded if the table of single characters does not suffice."""
    needs_context = _foldings()[1].search(beyond_ascii(text))
    return (fold(text) if needs_context else text).encode(errors="surrogatepass")


@cache
def _foldings() -> tuple[np.ndarray, re.Pattern[str]]:
    """Return what each character of the basic plane folds to, (code points,) int32, and all other characters.

    The others interact with their neighbours, or fold to several characters.
    """
    characters = [chr(code) for code in range(_FOLDED_BY_TABLE)]
    # A line feed does not combine with its neighbours, so that many characters are folded in one call.
    folded = [*map(str.lower, characters[:0x80]), *fold("\n".join(characters[0x80:])).split("\n")]
    decomposed = (unicodedata.decomposition(character).split() for character in characters)
    seconds = {chr(int(pair[1], 16)) for pair in decomposed if len(pair) == 2 and pair[0][0] != "<"}  # noqa: PLR2004 a pair
    seconds |= {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}  # Hangul
    others = [
        character
        for character, result in zip(characters, folded, strict=True)
        if len(result) > 1 or character in seconds or unicodedata.combining(character)
    ]
    table = np.array([ord(result) if len(result) == 1 else _IGNORED for result in folded], dtype=np.int32)
    table[list(map(ord, others))] = list(map(ord, others))
    return table, re.compile(f"[{re.escape(''.join(others))}{chr(_FOLDED_BY_TABLE)}-{chr(0x10FFFF)}]")


@cache
def _kinds() -> np.ndarray:
    """Return the kind of each code point by the rules of `text.words`, (code points,) uint8."""
    characters = np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    kinds = np.full(len(characters), _SEPARATOR, dtype=np.uint8)
    for run in word_runs().finditer(characters.replace("_", " ")):
        kinds[run.start() : run.end()] = _WORD
    for run in unspaced_runs().finditer(characters):
        kinds_of_run = kinds[run.start() : run.end()]
        kinds_of_run[kinds_of_run == _WORD] = _UNSPACED
    return kinds


@kernel
def _scan(  # noqa: C901, PLR0912 one loop over characters, one compiled function
    utf8: Uint8s,
    bounds: Int64s,
    folded: Int32s,
    kinds: Uint8s,
    shortest: int,
    longest: int,
    slots: OutInt32s,
    hashes: OutUint64s,
    letters: OutUint32s,
    starts: OutInt64s,
    size: OutInt64s,
    ids: OutInt32s,
    ends: OutInt64s,
    done: int,
) -> int:
    """Read the words of texts `done`, done + 1, …; return the first text that may not fit the tables."""
    word = np.empty(longest, dtype=np.uint32)
    out = ends[done - 1] if done > 0 else 0
    for piece in range(done, len(ends)):
        chars = bounds[piece + 1] - bounds[piece]
        if size[0] + chars > len(hashes) or size[1] + 2 * chars > len(letters):
            return piece
        length = 0  # of the current word in a spaced script; letters beyond the longest are only counted
        run = 0  # characters of the current run in an unspaced script
        before = np.uint32(0)  # its last character
        at, end = bounds[piece], bounds[piece + 1]
        last = False
        while not last:
            last = at == end
            code, now = 0, np.uint8(_SEPARATOR)
            if not last:
                code, size_of_code = _code_point(utf8, at)
                at += size_of_code
                if code < len(folded):
                    code = int(folded[code])
                if code == _IGNORED:
                    continue
                now = kinds[code]
            size_of_word = 0
            if now != _WORD and length > 0:
                if shortest <= length <= longest:
                    size_of_word = length
                length = 0
            if now == _UNSPACED and run > 0:
                word[0], word[1] = before, code
                size_of_word = 2
            elif now != _UNSPACED and run == 1:
                word[0] = before
                size_of_word = 1
            if size_of_word > 0:
                ids[out] = _number(word, size_of_word, slots, hashes, letters, starts, size)
                out += 1
            run = run + 1 if now == _UNSPACED else 0
            before = np.uint32(code)
            if now == _WORD:
                if length < longest:
                    word[length] = code
                length += 1
        ends[piece] = out
    return len(ends)


@inner
def _code_point(utf8: np.ndarray, at: int) -> tuple[int, int]:
    """Return the code point that begins at a byte, and its length in bytes."""
    first = int(utf8[at])
    if first < 0x80:  # noqa: PLR2004 the first byte says how many follow, here and below
        return first, 1
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4  # noqa: PLR2004
    code = first & (0x7F >> length)
    for offset in range(1, length):
        code = code << 6 | int(utf8[at + offset]) & 0x3F
    return code, length


@inner
def _number(
    word: np.ndarray,
    length: int,
    slots: np.ndarray,
    hashes: np.ndarray,
    letters: np.ndarray,
    starts: np.ndarray,
    size: np.ndarray,
) -> int:
    """Return the number of a word; a new word is added."""
    value = np.uint64(14695981039346656037)  # FNV-1a over code points
    for i in range(length):
        value = (value ^ np.uint64(word[i])) * np.uint64(1099511628211)
    mask = np.uint64(len(slots) - 1)
    at = (value ^ (value >> np.uint64(29))) & mask
    while slots[at] >= 0:
        known = slots[at]
        if hashes[known] == value and starts[known + 1] - starts[known] == length:
            same = True
            for i in range(length):
                if letters[starts[known] + i] != word[i]:
                    same = False
                    break
            if same:
                return int(known)
        at = (at + np.uint64(1)) & mask
    new = size[0]
    slots[at] = new
    hashes[new] = value
    for i in range(length):
        letters[size[1] + i] = word[i]
    size[0] += 1
    size[1] += length
    starts[new + 1] = size[1]
    return int(new)


@kernel
def _rehash(slots: OutInt32s, hashes: Uint64s, words: int) -> None:
    """Insert the known words into an empty table."""
    mask = np.uint64(len(slots) - 1)
    for number in range(words):
        value = hashes[number]
        at = (value ^ (value >> np.uint64(29))) & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = number
