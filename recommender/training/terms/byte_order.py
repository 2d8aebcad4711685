"""Sort and look up words by their bytes, without an object for each word."""

import numpy as np

from recommender.columns import Strings
from recommender.training.kernels import Int64s, OutUint8s, Uint8s, kernel


def sorted_words(utf8: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each word's place in byte order, and the words in that order: their bytes and their offsets.

    Word i is utf8[starts[i]:starts[i + 1]]; the places are (words,) int64, the offsets (words + 1,) int64.
    """
    order = byte_order(utf8, starts)
    rank_of = np.empty(len(order), dtype=np.int64)
    rank_of[order] = np.arange(len(order))
    offsets = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(np.diff(starts)[order], out=offsets[1:])
    sorted_utf8 = np.empty(offsets[-1], dtype=np.uint8)
    _gather(utf8, starts, order, sorted_utf8, offsets)
    return rank_of, sorted_utf8, offsets


def byte_order(utf8: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the order of the words by their bytes, (words,) int64; word i is utf8[starts[i]:starts[i + 1]].

    Words without NUL are sorted by eight bytes at a time, from the last to the first: a radix sort.
    """
    lengths = np.diff(starts)
    order = np.zeros(0, dtype=np.int64)
    for first in range((int(lengths.max(initial=1)) - 1) // 8 * 8, -1, -8):
        ending = np.flatnonzero((lengths > first) & (lengths <= first + 8))
        order = np.concatenate([ending, order])
        order = order[np.argsort(_eight_bytes(utf8, starts, order, first), kind="stable")]
    return order


def places_in(strings: Strings, known: Strings) -> np.ndarray:
    """Return the position of each string among those known, (n,) int64, -1 for others.

    Both must be sorted by their bytes.
    """
    return _places(strings.utf8, strings.offsets, known.utf8, known.offsets)


@kernel
def _eight_bytes(utf8: Uint8s, starts: Int64s, words: Int64s, first: int) -> np.ndarray:
    """Return eight bytes of each of these words from byte `first`, as numbers that sort like them."""
    numbers = np.zeros(len(words), dtype=np.uint64)
    for place in range(len(words)):
        start, end = starts[words[place]] + first, starts[words[place] + 1]
        for offset in range(min(8, end - start)):
            numbers[place] |= np.uint64(utf8[start + offset]) << np.uint64(56 - 8 * offset)
    return numbers


@kernel
def _gather(letters: Uint8s, starts: Int64s, order: Int64s, utf8: OutUint8s, offsets: Int64s) -> None:
    """Write the words one after the other in this order."""
    for place in range(len(order)):
        start = starts[order[place]]
        for offset in range(offsets[place + 1] - offsets[place]):
            utf8[offsets[place] + offset] = letters[start + offset]


@kernel
def _places(utf8: Uint8s, offsets: Int64s, known_utf8: Uint8s, known_offsets: Int64s) -> np.ndarray:
    """Return the position of each string among the known ones, (n,) int64, -1 for others; merge both."""
    n, n_known = len(offsets) - 1, len(known_offsets) - 1
    places = np.full(n, -1, dtype=np.int64)
    place = 0
    for string in range(n):
        size = offsets[string + 1] - offsets[string]
        while place < n_known:
            known_size = known_offsets[place + 1] - known_offsets[place]
            difference = np.int64(0)
            for at in range(min(size, known_size)):
                difference = np.int64(known_utf8[known_offsets[place] + at]) - np.int64(
                    utf8[offsets[string] + at]
                )
                if difference != 0:
                    break
            if difference == 0:
                difference = known_size - size
            if difference >= 0:
                if difference == 0:
                    places[string] = place
                break
            place += 1
    return places
