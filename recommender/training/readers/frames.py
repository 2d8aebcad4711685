"""Rows of data frames: of pandas, and of every library that exports Arrow data, such as polars."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from recommender.training.formats.files import CorpusError, RawRow, SourceOptions
from recommender.training.formats.layout import check_columns
from recommender.training.formats.tables import row_of, whole


@runtime_checkable
class DataFrame(Protocol):
    """A data frame of pandas, polars, pyarrow or any other library that exports Arrow data."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the frame as a stream of Arrow data."""


def frame_rows(frame: DataFrame, name: str, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the rows of a data frame by our column names; an index called `id` is a column, too.

    Raises CorpusError if the object is no table, if a column is there twice, or if a required or mapped
    column is missing.
    """
    names, columns = table_columns(frame, name)
    if twice := next((column for column in names if names.count(column) > 1), None):
        raise CorpusError(f"{name} has two columns {twice!r}; rename or drop one of them")
    check_columns(Path(name), names, options.columns)
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        row = row_of(number, dict(zip(names, map(_plain, cells), strict=True)), options)
        values = {**row.values, "id": whole(row.values.get("id"))}  # a float if one is missing
        yield RawRow(number, values, row.unknown, row.visibility)


def table_columns(frame: DataFrame, name: str) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    """Return the names of a frame's columns, and the values of each; missing values are None.

    Raises CorpusError if the object is no table.
    """
    import pandas as pd  # noqa: PLC0415 loaded only for a data frame

    if isinstance(frame, pd.DataFrame):  # whose columns may mix types, which Arrow refuses
        table = frame.reset_index() if frame.index.name == "id" and "id" not in frame else frame
        columns = [table.iloc[:, place] for place in range(table.shape[1])]
        return tuple(map(str, table.columns)), [
            column.astype(object).where(column.notna(), None).tolist() for column in columns
        ]
    try:
        exported = pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = type(frame).__name__
        raise CorpusError(f"{name} is a {kind} and no table ({error}); pass a whole DataFrame") from None
    return tuple(exported.column_names), [column.to_pylist() for column in exported.columns]


def _plain(value: Any) -> Any:
    """Return a value as Python's own type."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "to_pydatetime"):  # pandas' timestamps, which may have nanoseconds
        return value.to_pydatetime(warn=False)
    return value
