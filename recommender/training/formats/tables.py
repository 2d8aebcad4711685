"""Rows of Parquet files and of records with named fields, by our names."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from recommender.training.formats.files import RawRow, SourceOptions
from recommender.training.formats.layout import check_columns, layout_of
from recommender.training.formats.parquet import parquet_file, records


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
        sources = [(ours, names[place]) for ours, place in layout.places.items()]
        about_visibility = [(name, names[place]) for name, place in layout.visibility]
        for number, cells in enumerate(records(path, file, wanted), 1):
            values = with_names({ours: cells[theirs] for ours, theirs in sources})
            values["id"] = whole(values.get("id"))  # pandas makes floats of them if one is missing
            visibility = [(name, cells[theirs]) for name, theirs in about_visibility]
            yield RawRow(number, values, layout.unknown, visibility)


def row_of(number: int, record: Mapping[str, Any], options: SourceOptions) -> RawRow:
    """Return a record with named fields as a row.

    If the record lacks the name that a column is mapped to, our name is used.
    """
    row = layout_of(tuple(record), options).row(number, list(record.values()))
    return RawRow(number, with_names(row.values), row.unknown, row.visibility)


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


def whole(value: Any) -> Any:
    """Return a float that is exactly a whole number as that number, other values unchanged."""
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else value
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT
    return int(value) if is_whole else value


_NAMED = ("category", "categories", "tags", "authors")
_NAME_KEYS = ("name", "title", "label", "display_name")
_EXACT_FLOAT = 2**53  # above, different whole numbers are the same float


def _names_in(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("nodes"), list):  # GraphQL
        value = value["nodes"]
    return [name_in(item) for item in value] if isinstance(value, list) else name_in(value)
