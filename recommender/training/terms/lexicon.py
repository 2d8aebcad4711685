"""The words of a corpus, numbered in order of appearance: a compiled equivalent of `text.words`."""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np

from recommender.columns import Strings
from recommender.text import MAX_WORD_CHARS, MIN_WORD_CHARS, fold, unspaced_runs, word_runs
from recommender.training.kernels import (
    Bools,
    Int32s,
    Int64s,
    OutInt32s,
    OutInt64s,
    OutUint8s,
    OutUint64Rows,
    Uint8s,
    Uint64Rows,
    inner,
    kernel,
)
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
        written, word_ends, ends = _split(
            utf8, starts, stops, _foldings()[0], self._kinds, MIN_WORD_CHARS, MAX_WORD_CHARS
        )
        return self._numbers(written, word_ends), ends

    def number(self, words: Sequence[str]) -> np.ndarray:
        """Return the numbers of these words, (m,) int32; unknown words are added."""
        joined = text_block(["\n".join(words).encode(errors="surrogatepass")])
        return self.scan(joined, len(joined.utf8))[0]

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bytes of all words, uint8, and their starts and the last end, (words + 1,) int64."""
        words, size = self._size.tolist()
        return self._letters[:size], self._starts[: words + 1]

    def add(self, utf8: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Add the words of another lexicon, as `packed`, and return the number of each, (words,) int32."""
        return self._numbers(utf8, starts)

    def words(self, numbers: np.ndarray) -> list[str]:
        """Return the words with these numbers."""
        letters = self._letters.data
        starts, ends = self._starts[numbers].tolist(), self._starts[numbers + 1].tolist()
        return [str(letters[a:b], "utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True)]

    def ranked(self) -> tuple[np.ndarray, Strings]:
        """Return each word's place in the byte order of the words, and the words in that order."""
        rank_of, utf8, offsets = sorted_words(self._letters, self._starts[: len(self) + 1])
        return rank_of, Strings(utf8, offsets)

    def _numbers(self, utf8: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the number of each word utf8[starts[i]:starts[i + 1]], (words,) int32, new ones added."""
        ids = np.empty(len(starts) - 1, dtype=np.int32)
        done = 0
        while True:
            done = _number(utf8, starts, self._slots, self._letters, self._starts, self._size, ids, done)
            if done == len(ids):
                return ids
            self._grow()

    def _allocate(self, words: int, size: int) -> None:
        self._slots = np.zeros((1 << (2 * words - 1).bit_length(), 2), dtype=np.uint64)  # a power of two
        self._starts = np.zeros(words + 1, dtype=np.int64)
        self._letters = np.zeros(size, dtype=np.uint8)

    def _grow(self) -> None:
        words, size = self._size.tolist()
        slots, starts, letters = self._slots, self._starts, self._letters
        self._allocate(2 * len(starts), 2 * len(letters) + _LONGEST_WORD)
        self._starts[: words + 1] = starts[: words + 1]
        self._letters[:size] = letters[:size]
        _rehash(slots, self._slots)


_FOLDED_BY_TABLE = 0x10000  # code points; the others are rare
_IGNORED = -1
_LONG = 1 << 63
_LONGEST_WORD = 4 * MAX_WORD_CHARS  # bytes


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
def _stops(utf8: Uint8s, bounds: Int64s, longest: int, special: Bools) -> tuple[np.ndarray, np.ndarray]:
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
def _split(  # noqa: C901, PLR0912, PLR0915 one loop over characters, one compiled function
    utf8: Uint8s,
    starts: Int64s,
    stops: Int64s,
    folded: Int32s,
    kinds: Uint8s,
    shortest: int,
    longest: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split texts into folded words.

    Returns the bytes of all words, the start of each word and the end of the last, (words + 1,) int64, and
    the number of words up to the end of each text, (texts,) int64.
    """
    # In unspaced scripts each letter is in two words, and a letter of three bytes may fold to one of four.
    words = np.empty(3 * len(utf8) + 8 * longest, dtype=np.uint8)
    word_ends = np.zeros(len(utf8) + 2, dtype=np.int64)
    ends = np.empty(len(starts), dtype=np.int64)
    size = out = np.int64(0)
    for text in range(len(starts)):
        at, end = starts[text], stops[text]
        length = 0  # of the current word in a spaced script; letters beyond the longest are only counted
        used = size  # the end of its bytes
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
            if now == _WORD and run != 1:
                if length < longest:
                    if code < 0x80:  # noqa: PLR2004 ASCII, without a call
                        words[used] = code
                        used += 1
                    else:
                        used = _append(words, used, code)
                length += 1
                run = 0
                continue
            word_end = size
            if length > 0:
                if shortest <= length <= longest:
                    word_end = used
            elif now == _UNSPACED and run > 0:
                word_end = _append(words, _append(words, size, before), code)
            elif now != _UNSPACED and run == 1:
                word_end = _append(words, size, before)
            if word_end > size:
                out += 1
                word_ends[out] = word_end
                size = word_end
            length, used = 0, size
            if now == _WORD:  # the first letter after a single character of an unspaced script
                length, used = 1, _append(words, size, code)
            run = run + 1 if now == _UNSPACED else 0
            before = code
        ends[text] = out
    return words[:size].copy(), word_ends[: out + 1].copy(), ends


@inner
def _append(word: np.ndarray, size: np.int64, code: int) -> np.int64:
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
def _number(  # noqa: C901, PLR0912 a call for each word would count references to the arrays
    utf8: Uint8s,
    word_starts: Int64s,
    slots: OutUint64Rows,
    letters: OutUint8s,
    starts: OutInt64s,
    size: OutInt64s,
    ids: OutInt32s,
    done: int,
) -> int:
    """Write the numbers of words `done`, done + 1, … and add new words; return the first that may not fit.

    A slot contains the key of a word and its number + 1, or 0. The key of a word of up to eight bytes is the
    word, so that one access to memory is enough. That of a longer word is a hash, and `_LONG` is set in the
    number.
    """
    mask = np.uint64(len(slots) - 1)
    for word in range(done, len(ids)):
        first, beyond = word_starts[word], word_starts[word + 1]
        if size[0] + 1 >= len(starts) or size[1] + beyond - first > len(letters):
            return word
        key, long = np.uint64(0), np.uint64(0)
        for at in range(min(beyond - first, 8)):
            key |= np.uint64(utf8[first + at]) << np.uint64(8 * at)
        if beyond - first > 8:  # noqa: PLR2004 the bytes of a key
            long = np.uint64(_LONG)
            for at in range(first + 8, beyond):
                key = (key ^ np.uint64(utf8[at])) * np.uint64(1099511628211)  # FNV-1a
        slot = _slot(key) & mask  # type: ignore[arg-type]  # compiled
        number = np.int64(-1)
        while number < 0 and slots[slot, 1] != 0:
            if slots[slot, 0] == key and slots[slot, 1] & np.uint64(_LONG) == long:
                number = np.int64(slots[slot, 1] & ~np.uint64(_LONG)) - 1
                if long != 0:
                    place, at = starts[number], first
                    if starts[number + 1] - place == beyond - first:
                        while at < beyond and letters[place] == utf8[at]:
                            place += 1
                            at += 1
                    if at < beyond:
                        number = np.int64(-1)
            slot = (slot + np.uint64(1)) & mask
        if number < 0:
            number = size[0]
            slots[slot, 0], slots[slot, 1] = key, np.uint64(number + 1) | long
            for at in range(first, beyond):
                letters[size[1] + at - first] = utf8[at]
            size[0] += 1
            size[1] += beyond - first
            starts[number + 1] = size[1]
        ids[word] = number
    return len(ids)


@inner
def _slot(key: int) -> int:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(32))  # type: ignore[return-value]  # compiled


@kernel
def _rehash(old: Uint64Rows, slots: OutUint64Rows) -> None:
    """Insert the words of a table into an empty one."""
    mask = np.uint64(len(slots) - 1)
    for at in range(len(old)):
        if old[at, 1] != 0:
            slot = _slot(old[at, 0]) & mask
            while slots[slot, 1] != 0:
                slot = (slot + np.uint64(1)) & mask
            slots[slot, 0], slots[slot, 1] = old[at, 0], old[at, 1]
