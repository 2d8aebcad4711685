"""Rows of CSV files, plain or compressed."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from recommender.fields import RefusedError
from recommender.training.readers.files import CorpusError, RawRow, RecordLines, SourceOptions, opened
from recommender.training.readers.layout import check_columns, layout_of

MAX_FIELD_CHARS = 2**31 - 1  # the csv module's default, 131,072 characters, is too short for long articles


def csv_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the records of a CSV file (`.tsv`: separated by tabs), numbered by their first line.

    Empty fields and NaN are missing values. A record with too few or too many fields, a stray quote or bytes
    that are not UTF-8 is refused. Raises CorpusError if the header lacks a required column, or if a quote is
    never closed.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    with opened(path) as stream, _utf8(stream) as text:
        records = _csv_records(path, RecordLines(path, text), delimiter)
        _, header = next(records, (0, []))
        if isinstance(header, RefusedError):
            raise CorpusError(f"{path}: the header cannot be read ({header})")
        if not header:
            return
        names = tuple(name.strip() for name in header)
        check_columns(path, names, options.columns, delimiter)
        layout = layout_of(names, options)
        for number, cells in records:
            if isinstance(cells, RefusedError):
                yield RawRow(number, refused=cells)
            else:
                yield layout.row(number, [None if cell in _MISSING else cell for cell in cells])


_MISSING = frozenset({"", "NaN", "nan"})  # how pandas writes a missing value


def _utf8(stream: BinaryIO) -> io.TextIOWrapper:
    # Bytes that are not UTF-8 become lone surrogates, which valid UTF-8 never
    # produces, so they mark the bad rows.
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv_records(
    path: Path, text: RecordLines, delimiter: str
) -> Iterator[tuple[int, list[str] | RefusedError]]:
    """Yield each record, or the error of a broken record, with its first line's number; header first."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    width = 0
    while True:
        number = reader.line_num + 1
        text.next_record()
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                width = width or len(cells)
                yield number, _checked_cells(cells, width)
        except RefusedError as error:
            yield number, error
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise CorpusError(
                    f"{path}: a quote opened in line {number} or later is never closed"
                ) from None
            yield number, RefusedError("broken CSV", str(error))


def _checked_cells(cells: list[str], width: int) -> list[str]:
    if len(cells) != width:
        raise RefusedError("broken CSV", f"{len(cells)} fields where the header has {width}")
    for cell in cells:
        if not cell.isascii() and (undecoded := _NOT_UTF8.search(cell)):
            code = ord(undecoded[0]) - 0xDC00
            raise RefusedError("not UTF-8", f"byte {code:#04x} in {cell[: undecoded.start()][-40:]!r}…")
    return cells


_NOT_UTF8 = re.compile("[\udc80-\udcff]")
