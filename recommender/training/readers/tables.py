"""Rows of CSV and Parquet files, plain or compressed, and their columns by our names."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from recommender.fields import COLUMNS, RefusedError
from recommender.training.readers.files import (
    DELIMITERS,
    CorpusError,
    RawRow,
    RecordLines,
    SourceOptions,
    opened,
)
from recommender.training.readers.parquet import parquet_file, records

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
        _check_columns(path, names, options.columns, delimiter)
        layout = _layout(names, options)
        for number, cells in records:
            if isinstance(cells, RefusedError):
                yield RawRow(number, refused=cells)
            else:
                yield layout.row(number, [None if cell in _MISSING else cell for cell in cells])


def parquet_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the records of a Parquet file, a few hundred at a time; unknown columns are not read.

    Raises CorpusError if the file is truncated or damaged, or lacks a required column.
    """
    with parquet_file(path) as file:
        names = tuple(file.schema_arrow.names)
        _check_columns(path, names, options.columns)
        layout = _layout(names, options)
        places = {**layout.places, **{f"visibility {place}": place for _, place in layout.visibility}}
        wanted = list(dict.fromkeys(names[place] for place in places.values()))
        for number, cells in enumerate(records(path, file, wanted), 1):
            row = layout.row(number, {place: cells[names[place]] for place in places.values()})
            # pandas stores whole numbers as floats if one of them is missing.
            yield replace(row, values=with_names({**row.values, "id": _whole(row.values.get("id"))}))


def row_of(number: int, record: Mapping[str, Any], options: SourceOptions) -> RawRow:
    """Return a record with named fields as a row.

    If the record lacks the name that a column is mapped to, our name is used.
    """
    row = _layout(tuple(record), options).row(number, list(record.values()))
    return replace(row, values=with_names(row.values))


def with_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row; an object among categories, tags or authors is replaced by its name."""
    nested = {
        name: _names_in(values[name]) for name in _NAMED if isinstance(values.get(name), Mapping | list)
    }
    return {**values, **nested}


def name_in(value: Any) -> Any:
    """Return the name in an object such as `{"id": 5, "name": "News"}`, or the value itself."""
    if not isinstance(value, Mapping):
        return value
    return next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), value)


def parquet_row_count(path: Path) -> int:
    """Return the number of records of a Parquet file, from its footer."""
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


_NAMED = ("category", "categories", "tags", "authors")
_NAME_KEYS = ("name", "title", "label", "display_name")
_EXACT_FLOAT = 2**53  # above, different whole numbers are the same float


def _names_in(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("nodes"), list):  # GraphQL
        value = value["nodes"]
    return [name_in(item) for item in value] if isinstance(value, list) else name_in(value)


def _whole(value: Any) -> Any:
    """Return a float that is exactly a whole number as that number, other values unchanged."""
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else value
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT
    return int(value) if is_whole else value


_VISIBILITY = frozenset({"status", "post_password"})  # our columns, whatever the file calls them
_MISSING = frozenset({"", "NaN", "nan"})  # how pandas writes a missing value


@dataclass(frozen=True, slots=True)
class _Layout:
    """The positions of our columns and of the visibility columns, and the columns that we do not use."""

    places: Mapping[str, int]
    visibility: tuple[tuple[str, int], ...]
    unknown: tuple[str, ...]

    def row(self, number: int, cells: Sequence[Any] | Mapping[int, Any]) -> RawRow:
        values = {name: cells[place] for name, place in self.places.items()}
        return RawRow(number, values, self.unknown, [(name, cells[place]) for name, place in self.visibility])


def _layout(names: tuple[str, ...], options: SourceOptions) -> _Layout:
    about_visibility = tuple(options.decisions.is_visibility_column(name) for name in names)
    return _cached_layout(names, tuple(options.columns.items()), about_visibility)


@lru_cache(maxsize=256)
def _cached_layout(
    names: tuple[str, ...], renamed: tuple[tuple[str, str], ...], about_visibility: tuple[bool, ...]
) -> _Layout:
    theirs = {name for _, name in renamed}
    places = {name: place for place, name in enumerate(names) if name in COLUMNS}
    places |= {ours: names.index(name) for ours, name in renamed if name in names}
    # A column that is mapped to another field says nothing about visibility. Of a repeated name, all count.
    visibility = [
        (name, place) for place, name in enumerate(names) if about_visibility[place] and name not in theirs
    ]
    visibility += [
        (ours, names.index(name)) for ours, name in renamed if name in names and ours in _VISIBILITY
    ]
    unknown = tuple(name for name in names if name not in COLUMNS and name not in theirs)
    return _Layout(places, tuple(visibility), unknown)


def _check_columns(path: Path, names: Sequence[str], columns: Mapping[str, str], delimiter: str = "") -> None:
    """Raise CorpusError unless there is an id, a title or body, and every mapped column."""
    shown = ", ".join(repr(name) for name in names[:30])
    for ours, theirs in columns.items():
        if theirs not in names:
            raise CorpusError(f"{path} has no column {theirs!r} to map to {ours!r}; its columns: {shown}")
    if "id" not in names and "id" not in columns:
        raise CorpusError(f"{path} has no column 'id'; its columns: {shown}; {_cure(names, delimiter)}")
    if not {"title", "body"} & {*names, *columns}:
        raise CorpusError(
            f"{path} has neither a column 'title' nor 'body'; its columns: {shown}; "
            "map one, such as body=content"
        )


def _cure(names: Sequence[str], delimiter: str) -> str:
    for other, word in DELIMITERS.items():
        fields = [name.strip(' "').lower() for name in delimiter.join(names).split(other)]
        if delimiter and other != delimiter and "id" in fields:
            wanted = DELIMITERS[delimiter]
            return f"its fields seem to be separated by {word} ({other!r}); separate them by {wanted}"
    if delimiter and len(names) == 1:
        return f"it has only one column: separate its fields by {DELIMITERS[delimiter]}"
    similar = next((name for name in names if name.lower().strip("_") == "id"), "their_name")
    return f"map one, such as id={similar}"


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
