"""The words of a corpus, numbered in order of appearance: a compiled equivalent of `text.words`."""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np

from recommender.columns import Strings
from recommender.text import MAX_WORD_CHARS, MIN_WORD_CHARS, fold, unspaced_runs, word_runs
from recommender.training.kernels import kernel
from recommender.training.terms.byte_order import sorted_words
from recommender.training.terms.texts import TextBlock, code_point, text_block

_SEPARATOR, _WORD, _UNSPACED = 0, 1, 2


class Lexicon:
    """All distinct words so far, numbered in order of appearance, in an open-addressing hash table.

    Words are compared by their letters and not only by their hashes, so a hash collision never merges two
    words.
    """

    def __init__(self) -> None:
        self._allocate(words=1 << 17, size=1 << 20)
        self._kinds = _kinds()
        self._size = np.zeros(2, dtype=np.int64)  # words, bytes

    def __len__(self) -> int:
        """Return how many distinct words there are."""
        return int(self._size[0])

    def scan(self, block: TextBlock, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the word numbers of the texts, folded and joined, and the end of each text's words.

        Only the first `longest` characters of each text are read.
        """
        utf8, starts, stops = _foldable(block, longest)
        ids = np.empty(len(utf8) + 1, dtype=np.int32)
        ends = np.zeros(len(starts), dtype=np.int64)
        done = 0
        while True:
            done = _scan(
                utf8, starts, stops, _foldings()[0], self._kinds, MIN_WORD_CHARS, MAX_WORD_CHARS,
                self._slots, self._letters, self._starts, self._size, ids, ends, done,
            )  # fmt: skip
            if done == len(ends):
                return ids[: ends[-1] if len(ends) else 0].copy(), ends
            most = int(
                stops[done] - starts[done]
            )  # words; in unspaced scripts each letter is in two, of 4 bytes for 3
            self._reserve(most, 3 * most)

    def number(self, words: Sequence[str]) -> np.ndarray:
        """Return the numbers of these words, (m,) int32; unknown words are added."""
        joined = text_block(["\n".join(words).encode(errors="surrogatepass")])
        return self.scan(joined, len(joined.utf8))[0]

    def add(self, other: "Lexicon") -> np.ndarray:
        """Add the words of another lexicon, and return the number of each, (words,) int32."""
        words, size = other._size.tolist()  # noqa: SLF001 of the same class
        self._reserve(words, size)
        tables = self._slots, self._letters, self._starts, self._size
        return _add(other._letters, other._starts, words, *tables)  # noqa: SLF001

    def words(self, numbers: np.ndarray) -> list[str]:
        """Return the words with these numbers."""
        letters = self._letters.data
        starts, ends = self._starts[numbers].tolist(), self._starts[numbers + 1].tolist()
        return [str(letters[a:b], "utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True)]

    def ranked(self) -> tuple[np.ndarray, Strings]:
        """Return each word's place in the byte order of the words, and the words in that order."""
        rank_of, utf8, offsets = sorted_words(self._letters, self._starts[: len(self) + 1])
        return rank_of, Strings(utf8, offsets)

    def _allocate(self, words: int, size: int) -> None:
        self._slots = np.zeros((1 << (2 * words - 1).bit_length(), 2), dtype=np.uint64)  # a power of two
        self._starts = np.zeros(words + 1, dtype=np.int64)
        self._letters = np.zeros(size, dtype=np.uint8)

    def _reserve(self, more_words: int, more_bytes: int) -> None:
        """Enlarge the tables if these may not fit."""
        words, size = self._size.tolist()
        slots, starts, letters = self._slots, self._starts, self._letters
        if words + more_words < len(starts) and size + more_bytes <= len(letters):
            return
        self._allocate(2 * max(len(starts), words + more_words), 2 * max(len(letters), size + more_bytes))
        self._starts[: words + 1] = starts[: words + 1]
        self._letters[:size] = letters[:size]
        _rehash(slots, self._slots)


_FOLDED_BY_TABLE = 0x10000  # code points; the others are rare
_IGNORED = -1
_LONG = 1 << 63


def _foldable(block: TextBlock, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return UTF-8 in which each text is already folded if the table of single characters does not suffice.

    The other arrays are the start and the end of the first `longest` characters of each text.
    """
    stops, is_special = _stops(block.utf8, block.bounds, longest, _special())
    starts = block.bounds[:-1].copy()
    folded = []
    size = len(block.utf8)
    for text in np.flatnonzero(is_special).tolist():
        raw = block.utf8[starts[text] : stops[text]].tobytes()
        folded.append(fold(raw.decode(errors="surrogatepass")).encode(errors="surrogatepass"))
        starts[text], stops[text] = size, size + len(folded[-1])
        size += len(folded[-1])
    parts = [np.frombuffer(bytearray(text), dtype=np.uint8) for text in folded]
    return np.concatenate([block.utf8, *parts]) if parts else block.utf8, starts, stops


@cache
def _foldings() -> tuple[np.ndarray, list[str]]:
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
    return table, others


@cache
def _special() -> np.ndarray:
    """Return which characters of the basic plane the table does not fold, (code points,) bool."""
    special = np.zeros(_FOLDED_BY_TABLE, dtype=bool)
    special[list(map(ord, _foldings()[1]))] = True
    return special


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
def _stops(
    utf8: np.ndarray, bounds: np.ndarray, longest: int, special: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the end of the first `longest` characters of each text, and which have a special one there."""
    stops = np.empty(len(bounds) - 1, dtype=np.int64)
    is_special = np.zeros(len(stops), dtype=np.bool_)
    for text in range(len(stops)):
        at, end = bounds[text], bounds[text + 1]
        if end - at > longest:
            characters = 0
            while at < end:
                characters += (utf8[at] & 0xC0) != 0x80  # noqa: PLR2004 no byte that continues a character
                if characters > longest:
                    break
                at += 1
            at, end = bounds[text], at
        stops[text] = end
        for place in range(np.uint64(at), np.uint64(end)):
            if utf8[place] >= 0xC0:  # noqa: PLR2004 a character beyond ASCII begins
                code, _ = code_point(utf8, np.int64(place))  # type: ignore[arg-type]  # compiled
                if code >= len(special) or special[code]:
                    is_special[text] = True
                    break
    return stops, is_special


@kernel
def _scan(  # noqa: C901, PLR0912, PLR0915 one loop over characters, one compiled function
    utf8: np.ndarray,
    text_starts: np.ndarray,
    text_stops: np.ndarray,
    folded: np.ndarray,
    kinds: np.ndarray,
    shortest: int,
    longest: int,
    slots: np.ndarray,
    letters: np.ndarray,
    starts: np.ndarray,
    size: np.ndarray,
    ids: np.ndarray,
    ends: np.ndarray,
    done: int,
) -> int:
    """Read the words of texts `done`, done + 1, …; return the first text that may not fit the tables."""
    word = np.empty(4 * longest, dtype=np.uint8)
    out = ends[done - 1] if done > 0 else 0
    for text in range(done, len(ends)):
        at, end = text_starts[text], text_stops[text]
        if size[0] + end - at >= len(starts) or size[1] + 3 * (end - at) > len(letters):
            return text
        length = 0  # of the current word in a spaced script; letters beyond the longest are only counted
        used = 0  # its bytes
        run = 0  # characters of the current run in an unspaced script
        before = 0  # its last character
        last = False
        while not last:
            last = at == end
            code, now = 0, np.uint8(_SEPARATOR)
            if not last:
                code = int(utf8[at])
                at += 1
                if code >= 0x80:  # noqa: PLR2004 beyond ASCII
                    code, size_of_code = code_point(utf8, at - 1)
                    at += size_of_code - 1
                if code < len(folded):
                    code = int(folded[code])
                if code == _IGNORED:
                    continue
                now = kinds[code]
            if now == _WORD:
                if length < longest and code < 0x80:  # noqa: PLR2004 ASCII, without a call
                    word[np.uint64(used)] = code
                    used += 1
                elif length < longest:
                    used = _append(word, used, code)
                length += 1
                if run != 1:
                    run = 0
                    continue
            bytes_of_word = 0
            if now != _WORD and length > 0:
                if shortest <= length <= longest:
                    bytes_of_word = used
                length, used = 0, 0
            if now == _UNSPACED and run > 0:
                bytes_of_word = _append(word, _append(word, 0, before), code)
            elif now != _UNSPACED and run == 1:
                bytes_of_word = _append(word, 0, before)
            if bytes_of_word > 0:
                ids[out] = _number(word, 0, bytes_of_word, slots, letters, starts, size)
                out += 1
            if now == _WORD:  # the first letter after a single character of an unspaced script
                used = _append(word, 0, code)
            run = run + 1 if now == _UNSPACED else 0
            before = code
        ends[text] = out
    return len(ends)


@kernel
def _append(word: np.ndarray, size: int, code: int) -> int:
    """Write a character as UTF-8, and return the end."""
    if code < 0x80:  # noqa: PLR2004 the number of bytes follows from the code point, here and below
        word[size] = code
        return size + 1
    if code < 0x800:  # noqa: PLR2004
        word[size], word[size + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return size + 2
    if code < 0x10000:  # noqa: PLR2004
        word[size], word[size + 1], word[size + 2] = (
            0xE0 | code >> 12,
            0x80 | code >> 6 & 0x3F,
            0x80 | code & 0x3F,
        )
        return size + 3
    word[size], word[size + 1] = 0xF0 | code >> 18, 0x80 | code >> 12 & 0x3F
    word[size + 2], word[size + 3] = 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F
    return size + 4


@kernel
def _number(
    word: np.ndarray, first: int, beyond: int,
    slots: np.ndarray, letters: np.ndarray, starts: np.ndarray, size: np.ndarray,
) -> int:  # fmt: skip
    """Return the number of the word in word[first:beyond]; a new word is added.

    A slot contains the key of a word and its number + 1, or 0. The key of a word of up to eight bytes is the
    word, so that one access to memory is enough. That of a longer word is a hash, and `_LONG` is set in the
    number.
    """
    key = np.uint64(0)
    for at in range(min(beyond - first, 8)):
        key |= np.uint64(word[first + at]) << np.uint64(8 * at)
    long = np.uint64(0)
    if beyond - first > 8:  # noqa: PLR2004 the bytes of a key
        long = np.uint64(_LONG)
        for at in range(first + 8, beyond):
            key = (key ^ np.uint64(word[at])) * np.uint64(1099511628211)  # FNV-1a
    mask = np.uint64(len(slots) - 1)
    slot = _slot(key) & mask  # type: ignore[arg-type]  # compiled
    number = np.int64(-1)
    # No return inside the loops: numba would count references to the arrays in each call.
    while number < 0 and slots[slot, 1] != 0:
        if slots[slot, 0] == key and slots[slot, 1] & np.uint64(_LONG) == long:
            known = np.int64(slots[slot, 1] & ~np.uint64(_LONG)) - 1
            if long == 0 or _is_same(word, first, beyond, letters, starts[known], starts[known + 1]):
                number = known
        slot = (slot + np.uint64(1)) & mask
    if number < 0:
        number = size[0]
        slots[slot, 0], slots[slot, 1] = key, np.uint64(number + 1) | long
        for at in range(first, beyond):
            letters[size[1] + at - first] = word[at]
        size[0] += 1
        size[1] += beyond - first
        starts[number + 1] = size[1]
    return number  # type: ignore[return-value]  # compiled


@kernel
def _slot(key: int) -> int:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(32))  # type: ignore[return-value]  # compiled


@kernel
def _is_same(word: np.ndarray, first: int, beyond: int, letters: np.ndarray, start: int, end: int) -> bool:
    same = end - start == beyond - first
    while same and start < end:
        same = letters[start] == word[first]
        start += 1
        first += 1
    return same


@kernel
def _add(
    other_letters: np.ndarray,
    other_starts: np.ndarray,
    words: int,
    slots: np.ndarray,
    letters: np.ndarray,
    starts: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """Return the number of each word of another lexicon; new words are added."""
    numbers = np.empty(words, dtype=np.int32)
    for word in range(words):
        first, beyond = other_starts[word], other_starts[word + 1]
        numbers[word] = _number(other_letters, first, beyond, slots, letters, starts, size)
    return numbers


@kernel
def _rehash(old: np.ndarray, slots: np.ndarray) -> None:
    """Insert the words of a table into an empty one."""
    mask = np.uint64(len(slots) - 1)
    for at in range(len(old)):
        if old[at, 1] != 0:
            slot = _slot(old[at, 0]) & mask
            while slots[slot, 1] != 0:
                slot = (slot + np.uint64(1)) & mask
            slots[slot, 0], slots[slot, 1] = old[at, 0], old[at, 1]
