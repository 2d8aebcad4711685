"""Open Parquet files and read their records, without unpacking more than the limits.

A small file can unpack to gigabytes: in one page that compresses well, or because a dictionary contains a
long value once and many rows refer to it. The sizes in the footer are checked before a column is read, and
strings are read as dictionaries, so that a value is copied only for the rows that are yielded.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recommender.training.formats.files import CorpusError, limits, opened

BATCH_ROWS = 2048
_ELEMENT_BYTES = 8  # of a list in memory, without its value
MAX_RATIO = 200  # of a large column chunk; text is rarely compressed to a tenth


@contextmanager
def parquet_file(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises CorpusError, inside the context too, if it is truncated or damaged."""
    with opened(path) as stream, _seekable(stream) as source, _damage_reported(path):
        schema = pq.ParquetFile(source).schema
        columns = [schema.column(number) for number in range(len(schema))]
        texts = [column.path for column in columns if _is_text(column)]
        source.seek(0)
        yield pq.ParquetFile(source, pre_buffer=False, read_dictionary=texts)
    pa.default_memory_pool().release_unused()


def records(path: Path, file: pq.ParquetFile, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the values of these columns in each record, a few hundred at a time.

    Raises TooLargeError if the columns unpack to more than the limits.
    """
    check_sizes(path, file, names)
    number, size = 0, 0
    for batch in _decoded_ahead(file.iter_batches(BATCH_ROWS, columns=list(names))):
        columns = [_python_values(path, number, batch.column(name)) for name in names]
        batch_size = sum(_size(column) for column in columns)
        if batch_size > limits().row_bytes:  # else, no row can be too large
            for place, values in enumerate(zip(*columns, strict=True), number + 1):
                limits().check_row(path, f"row {place}", _size(values))
        size += batch_size
        limits().check_file(path, size)
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))
        number += batch.num_rows


def _decoded_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches, and decode each on another thread while the one before it is used."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def table(path: Path, names: Sequence[str]) -> pa.Table:
    """Return those of these columns that a file has. Raises TooLargeError if they unpack to too much."""
    with parquet_file(path) as file:
        present = [name for name in file.schema_arrow.names if name in names]
        check_sizes(path, file, present)
        columns = file.read(present)
        limits().check_file(path, sum(map(_unpacked_bytes, columns.columns)))
        return pa.table({name: _without_dictionary(columns[name]) for name in present})


def check_sizes(path: Path, file: pq.ParquetFile, names: Sequence[str]) -> None:
    """Raise TooLargeError if the footer declares more than the limits for these columns."""
    most, total = limits(), 0
    for group_number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(group_number)
        chunks = [group.column(number) for number in range(group.num_columns)]
        for chunk in chunks:
            if chunk.path_in_schema.partition(".")[0] not in names:
                continue
            unpacked, packed = chunk.total_uncompressed_size, max(chunk.total_compressed_size, 1)
            if "." in chunk.path_in_schema:  # a list; many equal elements may be stored in a few bytes
                unpacked = max(unpacked, chunk.num_values * _ELEMENT_BYTES)
            total += unpacked
            most.check_file(path, total)
            place = f"column {chunk.path_in_schema} of row group {group_number + 1}"
            most.check_row(path, f"a row of {place}", unpacked / max(group.num_rows, 1))
            if chunk.total_uncompressed_size > packed * MAX_RATIO:
                most.check_row(path, f"{place}, which unpacks {unpacked // packed:,} times,", unpacked)


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the stream, or a temporary file with its bytes if it is compressed: Parquet must be seekable."""
    if isinstance(getattr(stream, "raw", None), io.FileIO):
        yield stream
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(stream, unpacked, 1 << 20)
        unpacked.seek(0)
        yield unpacked


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError:  # some are Arrow's exceptions, too
        raise
    except (pa.ArrowException, ValueError) as error:  # ValueError: names in the footer are not valid UTF-8
        raise CorpusError(
            f"{path} is not a complete Parquet file ({error}); it may be truncated: copy it again"
        ) from error


def _python_values(path: Path, first: int, column: pa.Array) -> list[Any]:
    """Return the values of a column; equal strings are one object. `first` is the number of rows before."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        elements = _python_values(path, first, column.values)
        ends = column.offsets.to_pylist()
        lists = [elements[start:end] for start, end in pairwise(ends)]
        return [
            items if valid else None
            for items, valid in zip(lists, column.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_struct(column.type):
        fields = [_python_values(path, first, child) for child in column.flatten()]
        names = [child.name for child in column.type]
        valid = column.is_valid().to_pylist()
        return [
            dict(zip(names, values, strict=True)) if is_valid else None
            for is_valid, *values in zip(valid, *fields, strict=True)
        ]
    if not pa.types.is_dictionary(column.type):
        return _plain_values(column)
    codes, place_of = np.unique(column.indices.fill_null(-1).to_numpy(), return_inverse=True)
    used = column.dictionary.take(pa.array(codes[codes >= 0]))
    longest = pc.max(pc.binary_length(used)).as_py() or 0
    limits().check_row(path, f"a row after row {first}", longest)
    values = [*([None] if codes[:1].tolist() == [-1] else []), *_plain_values(used)]
    return [values[place] for place in place_of.tolist()]


def _plain_values(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except _NO_PYTHON_VALUE:
        return [_python_value(scalar) for scalar in column]


def _python_value(scalar: pa.Scalar) -> Any:
    """Return the value, or a description of a bad value, so that only its own row is refused."""
    try:
        return scalar.as_py()
    except _NO_PYTHON_VALUE:
        if pa.types.is_temporal(scalar.type):
            return f"{scalar.value} {scalar.type}"
        return bytes(scalar.as_buffer()) if isinstance(scalar, pa.StringScalar) else b"not UTF-8"


def _unpacked_bytes(column: pa.ChunkedArray) -> int:
    """Return the total length of the strings in a column that was read as a dictionary, else 0."""
    lengths = (
        pc.sum(pc.binary_length(chunk.dictionary).cast(pa.int64()).take(chunk.indices)).as_py() or 0
        for chunk in column.chunks
        if pa.types.is_dictionary(chunk.type)
    )
    return sum(lengths)


def _without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _is_text(column: pq.ColumnSchema) -> bool:
    return column.physical_type == "BYTE_ARRAY" and column.logical_type.type in {"STRING", "NONE"}


def _size(value: Any) -> int:
    """Return the size of a value in bytes; characters count as one byte."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 8


_NO_PYTHON_VALUE = (ValueError, OverflowError, KeyError, pa.ArrowException)
