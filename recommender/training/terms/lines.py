"""Compiled kernels that find lines and sentences of bodies by the hashes of their keys, and cut them out.

They have the meaning of `boilerplate.line_keys` and `boilerplate.without_lines`, which the service uses; a
property test compares both. A key is compared by its 64-bit hash: among ten million lines, two different
lines have equal hashes with a probability of 3 in a million.
"""

import numpy as np

from recommender.training.kernels import Bools, Int64s, Uint8s, Uint64s, inner, kernel
from recommender.training.terms.texts import code_point

# Which characters are white space; there are none beyond.
WHITE = np.array([chr(code).isspace() for code in range(0x3001)])

_LINE_FEED = 10
_ZERO = 48
_FULL_STOP, _EXCLAMATION, _QUESTION = 0x2E, 0x21, 0x3F  # end a sentence before white space
_WIDE_FULL_STOP, _WIDE_EXCLAMATION, _WIDE_QUESTION = 0x3002, 0xFF01, 0xFF1F  # end a sentence


@kernel
def line_spans(utf8: Uint8s, bounds: Int64s) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the lines of the bodies of a block, without blank ones.

    For each line: the hash of its key, the number of its article in the block, its first byte and its end.
    """
    most = len(bounds) // 2
    for byte in utf8:
        most += byte == _LINE_FEED
    hashes = np.empty(most, dtype=np.uint64)
    articles = np.empty(most, dtype=np.int32)
    starts, ends = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    out = 0
    for article in range(len(bounds) // 2):
        start, beyond = bounds[2 * article + 1], bounds[2 * article + 2]
        while start <= beyond:
            value, length, end = key_hash(utf8, start, beyond)
            if length > 0:
                hashes[out], articles[out], starts[out], ends[out] = value, article, start, end
                out += 1
            start = end + 1
    return hashes[:out].copy(), articles[:out].copy(), starts[:out].copy(), ends[:out].copy()


@kernel
def sentence_spans(  # noqa: C901 one loop over lines, one compiled function
    utf8: Uint8s, bounds: Int64s, white: Bools, last: int, edge: int, shortest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the sentences in the first line and the `last` lines of the bodies of a block, as `line_spans`.

    Blank lines do not count. Lines are cut to the first and the last `edge` characters of the body. Keys have
    at least `shortest` bytes.
    """
    most = 2 * len(utf8) // shortest + 1  # both ends of a body may be the same
    hashes = np.empty(most, dtype=np.uint64)
    articles = np.empty(most, dtype=np.int32)
    starts, ends = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    out = 0
    for article in range(len(bounds) // 2):
        start, beyond = bounds[2 * article + 1], bounds[2 * article + 2]
        head, head_end = _first_line(utf8, start, beyond, white)
        if head_end - start > edge:
            head_end = min(head_end, _cut_after(utf8, start, beyond, edge))
        tail = _last_lines(utf8, start, beyond, white, last)
        if beyond - tail > edge:
            tail = max(tail, _cut_before(utf8, start, beyond, edge))
        if tail <= head:  # all is read as the first line already
            tail = head_end + 1
        for side in range(2):
            at, end = (head, head_end) if side == 0 else (tail, beyond)
            while at <= end:
                line_end = _line_end(utf8, at, end)
                if is_blank(utf8, at, line_end, white):
                    at = -1
                while at >= 0:
                    stop, after = _sentence(utf8, at, line_end, white)
                    if stop - at >= shortest:
                        value, length, _ = key_hash(utf8, at, stop)
                        if length >= shortest:
                            hashes[out], articles[out], starts[out], ends[out] = value, article, at, stop
                            out += 1
                    at = after
                at = line_end + 1
    return hashes[:out].copy(), articles[:out].copy(), starts[:out].copy(), ends[:out].copy()


@kernel
def without_keys(
    utf8: Uint8s,
    bounds: Int64s,
    chosen: Bools,
    keys: Uint64s,
    white: Bools,
    last: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the texts of a block and their bounds, with the `chosen` bodies cut as by `without_lines`.

    `keys` are the hashes of keys, ascending.
    """
    out = np.empty(
        len(utf8) + len(utf8) // 3, dtype=np.uint8
    )  # a space may be added after each wide full stop
    new_bounds = np.zeros(len(bounds), dtype=np.int64)
    most = 1
    for byte in utf8:
        most += byte == _LINE_FEED
    lines = np.empty((most, 3), dtype=np.int64)
    at = bounds[0]  # 0; a literal would compile what is called a second time
    for text in range(len(bounds) - 1):
        start, end = bounds[text], bounds[text + 1]
        before = at
        if text % 2 == 1 and chosen[text // 2]:
            at = _write_rest(utf8, start, end, keys, white, last, lines, out, at)
        if is_blank(out, before, at, white):
            at = _copy(utf8, start, end, out, before)
        new_bounds[text + 1] = at
    return out[:at].copy(), new_bounds


@inner
def key_hash(utf8: np.ndarray, start: int, end: int) -> tuple[int, int, int]:
    """Return the hash of the key of the line at a place, the length of the key in bytes, and the line's end.

    The hash is FNV-1a, uint64.
    """
    line_end = _line_end(utf8, start, end)
    end = line_end
    while start < end and _is_ascii_space(utf8[start]):
        start += 1
    while start < end and _is_ascii_space(utf8[end - 1]):
        end -= 1
    value = np.uint64(14695981039346656037)
    length = end - start
    in_number = False
    for at in range(np.uint64(start), np.uint64(end)):  # an index that may be negative takes longer
        byte = np.uint64(utf8[at])
        if byte - np.uint64(_ZERO) <= np.uint64(9):  # a digit; one branch, seldom taken
            if in_number:
                length -= 1
                continue
            byte, in_number = np.uint64(_ZERO), True
        else:
            in_number = False
        value = (value ^ byte) * np.uint64(1099511628211)
    return value, length, line_end  # type: ignore[return-value]  # compiled


@inner
def is_blank(utf8: np.ndarray, start: int, end: int, white: np.ndarray) -> bool:
    """Return whether there is nothing but white space."""
    while start < end:
        code, size = code_point(utf8, start)
        if code >= len(white) or not white[code]:
            return False
        start += size
    return True


@inner
def _is_ascii_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13  # noqa: PLR2004 what `bytes.strip` removes


@inner
def _line_end(utf8: np.ndarray, at: int, end: int) -> int:
    place, beyond = np.uint64(at), np.uint64(end)
    while place < beyond and utf8[place] != _LINE_FEED:
        place += np.uint64(1)
    return np.int64(place)  # type: ignore[return-value]  # compiled


@inner
def _is_inside(utf8: np.ndarray, at: int) -> bool:
    """Return whether a byte continues a character."""
    return bool((utf8[at] & 0xC0) == 0x80)  # noqa: PLR2004


@inner
def _cut_after(utf8: np.ndarray, start: int, end: int, characters: int) -> int:
    """Return the end of the first characters of a text."""
    if end - start <= characters:
        return end
    at = start
    while at < end:
        if not _is_inside(utf8, at):
            if characters == 0:
                break
            characters -= 1
        at += 1
    return at


@inner
def _cut_before(utf8: np.ndarray, start: int, end: int, characters: int) -> int:
    """Return the start of the last characters of a text."""
    at = end
    while at > start and characters > 0:
        at -= 1
        if not _is_inside(utf8, at):
            characters -= 1
    return at


@inner
def _first_line(utf8: np.ndarray, start: int, end: int, white: np.ndarray) -> tuple[int, int]:
    """Return the first line that is not blank; the last line, if all are blank."""
    while True:
        line_end = _line_end(utf8, start, end)
        if line_end == end or not is_blank(utf8, start, line_end, white):
            return start, line_end
        start = line_end + 1


@inner
def _last_lines(utf8: np.ndarray, start: int, end: int, white: np.ndarray, lines: int) -> int:
    """Return the start of the last lines that are not blank."""
    at = end
    while at > start:
        line_end = at
        while at > start and utf8[at - 1] != _LINE_FEED:
            at -= 1
        if not is_blank(utf8, at, line_end, white):
            lines -= 1
            if lines == 0:
                return at
        at -= 1
    return start


@inner
def _sentence(utf8: np.ndarray, at: int, end: int, white: np.ndarray) -> tuple[int, int]:
    """Return the end of the sentence at a place in a line, and the start of the next, or -1."""
    may_end = False
    while at < end:
        code, size = int(utf8[at]), 1
        if code >= 0x80:  # noqa: PLR2004 beyond ASCII
            code, size = code_point(utf8, at)
        if may_end and code < len(white) and white[code]:
            stop = at
            while at < end:
                code, size = code_point(utf8, at)
                if code >= len(white) or not white[code]:
                    break
                at += size
            return stop, at
        at += size
        if code in (_WIDE_FULL_STOP, _WIDE_EXCLAMATION, _WIDE_QUESTION):
            return at, at
        may_end = code in (_FULL_STOP, _EXCLAMATION, _QUESTION)
    return end, -1


@inner
def _contains(keys: np.ndarray, value: int) -> bool:
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < value:
            low = middle + 1
        else:
            high = middle
    return bool(low < len(keys) and keys[low] == value)


@inner
def _copy(utf8: np.ndarray, start: int, end: int, out: np.ndarray, at: int) -> int:
    source, target = np.uint64(start), np.uint64(at)
    for offset in range(np.uint64(end - start)):
        out[target + offset] = utf8[source + offset]
    return at + end - start


@inner
def _write_rest(
    utf8: np.ndarray,
    start: int,
    end: int,
    keys: np.ndarray,
    white: np.ndarray,
    last: int,
    lines: np.ndarray,
    out: np.ndarray,
    at: int,
) -> int:
    """Write a body without the lines, and the sentences of its edges, that have a key; return the end.

    `lines` has space for the start and the end of each line, and its number among those that are not blank.
    """
    size, filled = 0, 0
    while start <= end:
        value, _, line_end = key_hash(utf8, start, end)
        if not _contains(keys, value):
            lines[size, 0], lines[size, 1], lines[size, 2] = start, line_end, -1
            if not is_blank(utf8, start, line_end, white):
                lines[size, 2] = filled
                filled += 1
            size += 1
        start = line_end + 1
    for line in range(size):
        if line > 0:
            out[at] = _LINE_FEED
            at += 1
        number = lines[line, 2]
        if number >= 0 and (number == 0 or number >= filled - last):
            at = _write_sentences(utf8, lines[line, 0], lines[line, 1], keys, white, out, at)
        else:
            at = _copy(utf8, lines[line, 0], lines[line, 1], out, at)
    return at


@inner
def _write_sentences(
    utf8: np.ndarray, start: int, end: int, keys: np.ndarray, white: np.ndarray, out: np.ndarray, at: int
) -> int:
    """Write a line without the sentences that have a key, joined by spaces; return the end."""
    before, place = at, start
    is_whole, is_first = True, True
    while place >= 0:
        stop, after = _sentence(utf8, place, end, white)
        if _contains(keys, key_hash(utf8, place, stop)[0]):
            is_whole = False
        else:
            if not is_first:
                out[at] = 32
                at += 1
            at = _copy(utf8, place, stop, out, at)
            is_first = False
        place = after
    return _copy(utf8, start, end, out, before) if is_whole else at
