"""Rows of data frames: of pandas, and of every library that exports Arrow data, such as polars."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import pyarrow as pa

from recommender.training.formats.files import CorpusError, RawRow, SourceOptions
from recommender.training.formats.layout import check_columns
from recommender.training.formats.tables import row_of, whole

if TYPE_CHECKING:
    import pandas as pd


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
    names, columns = _columns(frame, name)
    refuse_repeated(name, names)
    check_columns(Path(name), names, options.columns)
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        row = row_of(number, dict(zip(names, map(_plain, cells), strict=True)), options)
        values = {**row.values, "id": whole(row.values.get("id"))}  # a float if one is missing
        yield RawRow(number, values, row.unknown, row.visibility)


def refuse_repeated(name: str, columns: Sequence[Any]) -> None:
    """Raise CorpusError if two columns of a table have the same name."""
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise CorpusError(f"{name} has two columns {twice[0]!r}; rename or drop one of them")


def as_pandas(frame: DataFrame, name: str) -> "pd.DataFrame":
    """Return the columns of a data frame that contain single values, as a frame of pandas.

    Raises CorpusError if the object is no table.
    """
    import pandas as pd  # noqa: PLC0415 loaded only for a data frame

    if isinstance(frame, pd.DataFrame):
        return frame
    table = _arrow_table(frame, name)
    single = [place for place, field in enumerate(table.schema) if not pa.types.is_nested(field.type)]
    return cast("pd.DataFrame", table.select(single).to_pandas(integer_object_nulls=True))


def _columns(frame: DataFrame, name: str) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Return the names and the cells of all columns; a missing cell is None."""
    import pandas as pd  # noqa: PLC0415 loaded only for a data frame

    if not isinstance(frame, pd.DataFrame):
        table = _arrow_table(frame, name)
        # Arrow cannot convert polars' lists of texts to pandas.
        return tuple(table.column_names), [column.to_pylist() for column in table.columns]
    if frame.index.name == "id" and "id" not in frame:
        frame = frame.reset_index()
    objects = [frame.iloc[:, place].astype(object) for place in range(frame.shape[1])]
    cells = [column.where(column.notna(), None).tolist() for column in objects]
    return tuple(map(str, frame.columns)), cells


def _arrow_table(frame: DataFrame, name: str) -> pa.Table:
    try:
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = type(frame).__name__
        raise CorpusError(f"{name} is a {kind} and no table ({error}); pass a whole DataFrame") from None


def _plain(value: Any) -> Any:
    """Return a value as Python's own type."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if hasattr(value, "to_pydatetime"):  # pandas' timestamps, which may have nanoseconds
        return value.to_pydatetime(warn=False)
    return None if isinstance(value, float) and isnan(value) else value
