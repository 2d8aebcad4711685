"""Text columns in flat arrays that can be memory-mapped: a string, a name or several names for each row.

Articles are sorted by the UTF-8 bytes of their ids, and terms by their bytes. So the row of an id, or the
column of a term, is found by binary search in the mapped bytes. No worker builds a dictionary of them, and
all workers share the memory of the mapped file. A name that many rows share, such as a category or an author,
is stored once; rows contain its code.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

import numpy as np

_JOINED = 256  # strings at a time
_BLOCK = 64  # strings; a search compares the first string of each block, then looks into one block
# The same in a search for many strings, the longest string in it, and how many are searched for at a time.
_BULK_BLOCK, _BULK_BYTES, _BULK = 32, 24, 1024


@dataclass(frozen=True)
class Strings(Sequence[str]):
    """An immutable sequence of strings, stored as concatenated UTF-8 bytes."""

    utf8: np.ndarray  # (bytes,) uint8
    offsets: np.ndarray  # (n + 1,) int64; string i is utf8[offsets[i]:offsets[i + 1]]

    @classmethod
    def of(cls, strings: Iterable[str]) -> "Strings":
        """Return the strings as a column. None is not allowed; use an empty string for a missing value."""
        utf8, lengths, following = bytearray(), array("q", [0]), map(str.encode, strings)
        while some := list(islice(following, _JOINED)):  # joining all would need the memory twice
            utf8 += b"".join(some)
            lengths.extend(map(len, some))
        return cls(np.frombuffer(utf8, dtype=np.uint8), np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        """Return how many strings there are."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # no slices: nobody needs them
        """Return the string of a row."""
        starts = self._starts
        if row < 0:
            row = range(len(self))[row]
        return str(self._memory[starts[row] : starts[row + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        """Yield the strings in order."""
        whole = self._memory
        return (bytes(whole[a:b]).decode() for a, b in pairwise(self.offsets.tolist()))

    def bytes_at(self, row: int) -> bytes:
        """Return the UTF-8 bytes of a row, which must not be negative."""
        starts = self._starts
        return bytes(self._memory[starts[row] : starts[row + 1]])

    def find(self, string: str) -> int | None:
        """Return the row of a string, or None if it is missing; the strings must be sorted by their bytes."""
        return self.find_bytes(string.encode(errors="surrogatepass"))

    def find_bytes(self, wanted: bytes) -> int | None:
        """Return the row of these UTF-8 bytes, or None; the strings must be sorted by their bytes."""
        start, end = self._block(wanted)
        starts, size = self._starts, len(wanted)
        base = starts[start]
        block = bytes(self._memory[base : starts[end]])
        # Searching the joined strings of a block in C is four times as fast as a binary search in Python.
        place = block.find(wanted)
        while place >= 0:
            row = bisect_left(starts, base + place, start, end)
            # Of equal places, an empty string comes first.
            while row < end and starts[row] == base + place:
                if starts[row + 1] == base + place + size:
                    return row
                row += 1
            place = block.find(wanted, place + 1)
        return None

    def find_all(self, wanted: Sequence[str]) -> np.ndarray:
        """Return the row of each string, (m,) int64, -1 if it is missing.

        The strings of the column must be sorted by their bytes, without NUL. It takes a quarter of the
        time of `find` for each string. Sorted strings are found fastest.
        """
        encoded = [string.encode(errors="surrogatepass") for string in wanted]
        found = np.full(len(encoded), -1, dtype=np.int64)
        longest = _BULK_BYTES if len(self) else 0
        in_bulk = [place for place, string in enumerate(encoded) if 0 < len(string) <= longest]
        for place, string in enumerate(encoded):
            if not 0 < len(string) <= longest and (row := self.find_bytes(string)) is not None:
                found[place] = row
        for start in range(0, len(in_bulk), _BULK):
            places = in_bulk[start : start + _BULK]
            found[places] = self._find_short([encoded[place] for place in places])
        return found

    def _find_short(self, wanted: Sequence[bytes]) -> np.ndarray:
        """Return the row of each string of 1 to 24 bytes, -1 if it is missing."""
        keys = np.array(wanted, dtype=f"S{_BULK_BYTES}")
        lengths = np.fromiter(map(len, wanted), dtype=np.int64, count=len(wanted))
        firsts = _BULK_BLOCK * np.maximum(np.searchsorted(self._bulk_firsts, keys, side="right") - 1, 0)
        starts = self.offsets[np.minimum(firsts[:, None] + np.arange(_BULK_BLOCK + 1), len(self))]
        # In each block, compare only the strings of the same length that end with the same byte.
        number, place = np.nonzero(np.diff(starts) == lengths[:, None])
        starts, characters = starts[number, place], keys.view(np.uint8).reshape(-1, _BULK_BYTES)
        last = lengths[number] - 1
        alike = self.utf8[starts + last] == characters[number, last]
        number, place, starts = number[alike], place[alike], starts[alike]
        column = np.arange(_BULK_BYTES)
        texts = self.utf8[np.minimum(starts[:, None] + column, len(self.utf8) - 1)]
        is_after = column >= lengths[number][:, None]
        equal = ((texts == characters[number]) | is_after).all(axis=1)
        rows = np.full(len(wanted), -1, dtype=np.int64)
        rows[number[equal]] = firsts[number[equal]] + place[equal]
        return rows

    def beginning_with(self, start: str) -> range:
        """Return the rows of the strings with this prefix; the strings must be sorted by their bytes."""
        prefix, rows = start.encode(errors="surrogatepass"), range(len(self))
        first = bisect_left(rows, prefix, *self._block(prefix), key=self.bytes_at)
        size = len(prefix)
        return range(first, bisect_right(rows, prefix, lo=first, key=lambda row: self.bytes_at(row)[:size]))

    def _block(self, wanted: bytes) -> tuple[int, int]:
        """Return the first row, and the row after the last, of the block that would contain these bytes."""
        start = _BLOCK * max(bisect_right(self._firsts, wanted) - 1, 0)
        return start, min(start + _BLOCK, len(self))

    @cached_property
    def _firsts(self) -> list[bytes]:
        """The first string of each block."""
        return [self.bytes_at(row) for row in range(0, len(self), _BLOCK)]

    @cached_property
    def _bulk_firsts(self) -> np.ndarray:
        """The first string of each block of `find_all`, cut where it is longer than any string in there."""
        firsts = [self.bytes_at(row)[: _BULK_BYTES + 1] for row in range(0, len(self), _BULK_BLOCK)]
        return np.array(firsts, dtype=f"S{_BULK_BYTES + 1}")

    # Indexing a memoryview is three times as fast as indexing the array, and one search does it 40 times.
    @cached_property
    def _memory(self) -> memoryview:
        return self.utf8.data

    @cached_property
    def _starts(self) -> memoryview:
        return self.offsets.data


@dataclass(frozen=True)
class Labels:
    """For each row any number of names from a shared list, in the row's own order."""

    names: Strings  # distinct, sorted by their bytes
    offsets: np.ndarray  # (n + 1,) int64
    codes: np.ndarray  # (labels,) int32, positions in `names`

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]]) -> "Labels":
        """Return the names of each row as a column."""
        names = sorted({name for row in rows for name in row}, key=str.encode)
        code_of = {name: code for code, name in enumerate(names)}
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        codes = np.array([code_of[name] for row in rows for name in row], dtype=np.int32)
        return cls(Strings.of(names), offsets, codes)

    def continued(self, rows: Sequence[Sequence[str]]) -> "Labels":
        """Return this column with more rows appended."""
        more = Labels.of(rows)
        names, head, tail = _merged(self.names, more.names)
        return Labels(
            names,
            np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]]),
            np.concatenate([head[self.codes], tail[more.codes]]),
        )

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> tuple[str, ...]:
        """Return the names of a row, in its order."""
        return tuple(self.names[code] for code in self.codes_at(row))

    def codes_at(self, row: int) -> list[int]:
        """Return the codes of a row, in its order."""
        codes: list[int] = self.codes[self.offsets[row] : self.offsets[row + 1]].tolist()
        return codes

    def rows_with(self, codes: Iterable[int]) -> np.ndarray:
        """Return a mask of the rows that have any of these codes, (n,) bool."""
        wanted = np.zeros(len(self.names), dtype=bool)
        wanted[list(codes)] = True
        hits = np.flatnonzero(wanted[self.codes])
        mask = np.zeros(len(self), dtype=bool)
        mask[np.searchsorted(self.offsets, hits, side="right") - 1] = True
        return mask


@dataclass(frozen=True)
class Choice:
    """For each row at most one name from a shared list."""

    names: Strings  # distinct, sorted by their bytes
    codes: np.ndarray  # (n,) int32, positions in `names`, -1 for none

    @classmethod
    def of(cls, rows: Sequence[str | None]) -> "Choice":
        """Return the name of each row as a column."""
        names = sorted({name for name in rows if name is not None}, key=str.encode)
        code_of = {name: code for code, name in enumerate(names)}
        codes = [-1 if name is None else code_of[name] for name in rows]
        return cls(Strings.of(names), np.array(codes, dtype=np.int32))

    def continued(self, rows: Sequence[str | None]) -> "Choice":
        """Return this column with more rows appended."""
        more = Choice.of(rows)
        names, head, tail = _merged(self.names, more.names)
        # Code -1 (no name) must map to -1, and as an index it selects the last entry.
        none = np.array([-1], dtype=np.int32)
        head, tail = np.concatenate([head, none]), np.concatenate([tail, none])
        return Choice(names, np.concatenate([head[self.codes], tail[more.codes]]))

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.codes)

    def __getitem__(self, row: int) -> str | None:
        """Return the name of a row, or None."""
        code = int(self.codes[row])
        return None if code < 0 else self.names[code]


def _merged(head: Strings, tail: Strings) -> tuple[Strings, np.ndarray, np.ndarray]:
    """Return the sorted union of two name lists, and the new code of each name of either list."""
    names = sorted({*head, *tail}, key=str.encode)
    code_of = {name: code for code, name in enumerate(names)}
    codes = [np.array([code_of[name] for name in column], dtype=np.int32) for column in (head, tail)]
    return Strings.of(names), codes[0], codes[1]
