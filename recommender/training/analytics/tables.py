"""The tables in a text file of an analytics tool: its encoding, separator, comments and headers.

A file may begin with lines such as `# Start date: 20261129`, and contain several tables, each after such
lines. Nothing is guessed that the header does not prove: a separator is used if the header then has the
columns that are needed.
"""

import csv
import io
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recommender.training.analytics.columns import UnknownColumnError, places_of
from recommender.training.formats.files import DELIMITERS, CorpusError, RecordLines, head_of, opened

MAX_FIELD_CHARS = 2**31 - 1
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_SEPARATOR = "sep="  # the first line of a file for Excel


@dataclass(frozen=True)
class Table:
    """A header and the records after it, by their positions in the file, from 1."""

    first: int  # the number of the header
    header: tuple[str, ...]
    comments: tuple[str, ...]  # all comment lines of the file before it
    end: int  # the number of the next header


@dataclass(frozen=True)
class TextFile:
    """A text file with its encoding and separator."""

    path: Path
    encoding: str
    delimiter: str

    @classmethod
    def of(cls, path: Path, mapped: Mapping[str, str]) -> "TextFile":
        """Return a file with the encoding of its beginning and the separator that its header proves.

        If no header has the needed columns, tabs separate the fields of a `.tsv`, and commas of other files.
        """
        head = head_of(path)
        encoding = _encoding(head)
        text = head.decode(encoding, errors="replace")
        first = text.lstrip("\ufeff\r\n ").splitlines()[:1]
        if first and (named := _named_separator(first[0])):
            return cls(path, encoding, named)
        usual = "\t" if ".tsv" in path.suffixes else ","
        candidates = [usual, *(mark for mark in DELIMITERS if mark != usual)]
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip('"').startswith("#")]
        scores = {mark: _score(lines[:1], mark, mapped) for mark in candidates}
        return cls(path, encoding, max(candidates, key=lambda mark: scores[mark]))

    def tables(self) -> list[Table]:
        """Return the tables in the file; the file is read to its end."""
        begins: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = []
        comments: list[str] = []
        is_first = True
        for number, cells in self.records():
            if _is_comment(cells):
                comments.append(self.delimiter.join(cells).strip("# "))
                is_first = True
            elif is_first:
                is_first = False
                if not begins or not any(map(_is_number, cells)):  # a row after a comment has a number
                    begins.append((number, tuple(cell.strip() for cell in cells), tuple(comments)))
        ends = [*(first for first, _, _ in begins[1:]), *([sys.maxsize] if begins else [])]
        return [Table(*begin, end) for begin, end in zip(begins, ends, strict=True)]

    def rows(self, table: Table) -> Iterator[list[str]]:
        """Yield the records of a table, without comments."""
        for number, cells in self.records():
            if table.first < number < table.end and not _is_comment(cells):
                yield cells

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the fields of each line that is not blank, with its number; quoted fields may have lines."""
        csv.field_size_limit(MAX_FIELD_CHARS)
        with self._text() as text:
            record_lines = RecordLines(self.path, text)
            try:
                for number, cells in enumerate(csv.reader(record_lines, delimiter=self.delimiter), 1):
                    record_lines.next_record()
                    is_separator = number == 1 and _named_separator(self.delimiter.join(cells))
                    if any(cell.strip() for cell in cells) and not is_separator:
                        yield number, cells
            except (csv.Error, UnicodeError) as error:
                raise CorpusError(f"{self.path} cannot be read as {self.encoding} text: {error}") from None

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        with opened(self.path) as stream:
            yield _decoded(stream, self.encoding)


def _decoded(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    # Bytes that are not UTF-8 become lone surrogates, which mark the rows that use them.
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")


def _encoding(head: bytes) -> str:
    for mark, encoding in _BOMS.items():
        if head.startswith(mark):
            return encoding
    if head[1:2] == b"\0":
        return "utf-16-le"
    if head[:1] == b"\0":
        return "utf-16-be"
    try:
        getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "windows-1252"  # what Excel writes in Western Europe and America
    return "utf-8-sig"


def _named_separator(line: str) -> str:
    """Return the separator that a line such as `sep=;` names, or nothing."""
    text = line.strip("\r\n").strip('"')
    is_named = text.lower().startswith(_SEPARATOR) and len(text) == len(_SEPARATOR) + 1
    return text[-1] if is_named and text[-1] in DELIMITERS else ""


def _score(header: Iterable[str], delimiter: str, mapped: Mapping[str, str]) -> int:
    """Return how many of our columns a header line has if this separates its fields."""
    for cells in csv.reader(header, delimiter=delimiter):
        names = [cell.strip() for cell in cells]
        try:
            return len(places_of(names, mapped))
        except UnknownColumnError:
            return -1
    return 0


def _is_number(cell: str) -> bool:
    digits = cell.strip().replace(".", "").replace(",", "")
    return digits.isascii() and digits.isdigit()


def _is_comment(cells: list[str]) -> bool:
    """Return whether a line is a comment such as `# All Users`, not a value such as `#12`."""
    return cells[0].strip() == "#" or cells[0].lstrip().startswith(("# ", "#-", "##"))
