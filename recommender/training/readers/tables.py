"""Rows of JSON lines and Parquet files, plain or compressed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recommender.fields import RefusedError
from recommender.training.readers.files import (
    CorpusError,
    RawRow,
    SourceOptions,
    head_of,
    lines,
    opened,
)
from recommender.training.readers.layout import check_columns, layout_of
from recommender.training.readers.parquet import parquet_file, records


def jsonl_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the object on each line; blank lines are skipped, a line that is not an object is refused.

    If an object lacks the name that a column is mapped to, our name is used. Raises CorpusError if the file
    is one JSON array, or if no object has a mapped name.
    """
    if head_of(path).removeprefix(_BOM).lstrip().startswith(b"["):
        raise CorpusError(f"{path} is one JSON array; write one object per line: jq -c '.[]' {path.name}")
    unseen = set(options.columns.values())
    with opened(path) as stream:
        for number, line in enumerate(lines(path, stream), 1):
            if line.isspace():
                continue
            try:
                fields = _json_object(line)
            except RefusedError as error:
                yield RawRow(number, refused=error)
            else:
                unseen.difference_update(fields)
                yield layout_of(tuple(fields), options).row(number, list(fields.values()))
    if unseen:
        raise CorpusError(f"{path} has no field {min(unseen)!r} in any line; correct the column mapping")


def parquet_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the records of a Parquet file, a few hundred at a time; unknown columns are not read.

    Raises CorpusError if the file is truncated or damaged, or lacks a required column.
    """
    with parquet_file(path) as file:
        names = tuple(file.schema_arrow.names)
        check_columns(path, names, options.columns)
        layout = layout_of(names, options)
        places = {**layout.places, **{f"visibility {place}": place for _, place in layout.visibility}}
        wanted = list(dict.fromkeys(names[place] for place in places.values()))
        for number, cells in enumerate(records(path, file, wanted), 1):
            yield layout.row(number, {place: cells[names[place]] for place in places.values()})


def parquet_row_count(path: Path) -> int:
    """Return the number of records of a Parquet file, from its footer."""
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


_BOM = b"\xef\xbb\xbf"


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.removeprefix(_BOM).decode())
    except UnicodeDecodeError as error:
        raise RefusedError(
            "not UTF-8", f"byte {error.start + 1} of the line is {line[error.start]:#04x}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RefusedError("not JSON", f"{error}: {line[:60]!r}") from None
    if not isinstance(value, dict):
        raise RefusedError("no JSON object", f"the line is {line[:60]!r}")
    return value
