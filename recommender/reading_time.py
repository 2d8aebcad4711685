"""How long people read a text, for one text and for all texts of a column at once."""

from itertools import pairwise

import numpy as np

from recommender.columns import Strings
from recommender.text import beyond_ascii, unspaced_runs

WORDS_PER_MINUTE = 230  # silent reading of non-fiction: Brysbaert 2019
CHARACTERS_PER_MINUTE = 500  # the same, for scripts without spaces


def reading_minutes(text: str) -> int:
    """Return the reading time of a text in whole minutes, at least 1."""
    return max(1, round(exact_minutes(text)))


def exact_minutes(text: str) -> float:
    """Return the reading time of a text in minutes, not rounded."""
    unspaced = sum(map(len, unspaced_runs().findall(beyond_ascii(text))))
    spaced = len((unspaced_runs().sub(" ", text) if unspaced else text).split())
    return spaced / WORDS_PER_MINUTE + unspaced / CHARACTERS_PER_MINUTE


def all_reading_minutes(texts: Strings) -> np.ndarray:
    """Return the reading time of each text in whole minutes, (n,) int32, equal to `reading_minutes`.

    Words are counted in the UTF-8 bytes of many texts at once. Texts in scripts without spaces, or with other
    spaces than those of ASCII, are read one by one.
    """
    minutes = np.ones(len(texts), dtype=np.int32)
    for first, end in _chunks(texts.offsets):
        offsets = texts.offsets[first : end + 1] - texts.offsets[first]
        utf8 = texts.utf8[texts.offsets[first] : texts.offsets[end]]
        kinds = np.frombuffer(utf8.tobytes().translate(_KIND_OF_BYTE), dtype=np.uint8)
        starts = _word_starts(kinds, offsets)
        counts = np.array([np.count_nonzero(starts[a:b]) for a, b in pairwise(offsets.tolist())])
        minutes[first:end] = np.maximum(1, np.rint(counts / WORDS_PER_MINUTE))
        unusual = np.searchsorted(offsets, _unusual_places(utf8, kinds), side="right") - 1
        for row in (np.unique(unusual) + first).tolist():
            minutes[row] = reading_minutes(texts[row])
    return minutes


_CHUNK_BYTES = 1 << 22
_SPACE, _RARE, _TWO_BYTES, _THREE_BYTES = 1, 2, 3, 4  # kinds of bytes; all others are 0
_KIND_OF_BYTE = bytes(
    _SPACE if chr(byte).isspace() and byte < 0x80  # noqa: PLR2004 the end of ASCII
    # The first bytes of a no-break space, of dashes and quotes, and of scripts in which words are rarer.
    else {0xC2: _TWO_BYTES, 0xE2: _THREE_BYTES}.get(byte, _RARE if byte >= 0xE0 else 0)  # noqa: PLR2004
    for byte in range(256)
)  # fmt: skip
_OTHER_SPACES = [
    chr(code).encode() for code in (0x85, 0xA0, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F)
]


def _chunks(offsets: np.ndarray) -> list[tuple[int, int]]:
    """Return ranges of texts that have some megabytes together, or consist of one text."""
    ranges, first, n = [], 0, len(offsets) - 1
    while first < n:
        end = int(np.searchsorted(offsets, offsets[first] + _CHUNK_BYTES, side="right")) - 1
        ranges.append((first, min(max(end, first + 1), n)))
        first = ranges[-1][1]
    return ranges


def _word_starts(kinds: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return which bytes are no space and follow a space or begin a text, (bytes,) bool."""
    is_space = kinds == _SPACE
    starts: np.ndarray = ~is_space
    starts[1:] &= is_space[:-1]
    beginnings = offsets[:-1][offsets[:-1] < offsets[1:]]
    starts[beginnings] = ~is_space[beginnings]
    return starts


def _unusual_places(utf8: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the places of characters that may not be parts of words between spaces of ASCII."""
    places = np.flatnonzero(kinds >= _RARE)
    found = [places[kinds[places] == _RARE]]
    for kind, size in ((_TWO_BYTES, 2), (_THREE_BYTES, 3)):
        characters = places[kinds[places] == kind]
        codes = sum(utf8[characters + at].astype(np.int64) << (8 * at) for at in range(size))
        spaces = [int.from_bytes(space, "little") for space in _OTHER_SPACES if len(space) == size]
        found.append(characters[np.isin(codes, spaces)])
    return np.concatenate(found)
