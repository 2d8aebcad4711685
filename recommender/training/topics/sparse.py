"""Select from sparse rows, and multiply them by a dense matrix on several threads."""

import numpy as np
from scipy.sparse import csr_array

from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32s,
    Int64s,
    OutFloat32Rows,
    kernel,
    run_ranges,
)

_BLOCK = 512  # rows multiplied together: their results fit into the cache of a core


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the `count` largest values, ascending, int32; of equal values the first."""
    if len(values) <= count:
        return np.arange(len(values), dtype=np.int32)
    least = np.partition(values, len(values) - count)[len(values) - count]
    above = values > least
    equal = np.flatnonzero(values == least)[: count - np.count_nonzero(above)]
    above[equal] = True
    return np.flatnonzero(above).astype(np.int32)


def places_of(columns: np.ndarray, n_columns: int) -> np.ndarray:
    """Return the position of each column in `columns`, (n_columns,) int32; -1 for the others."""
    places = np.full(n_columns, -1, dtype=np.int32)
    places[columns] = np.arange(len(columns), dtype=np.int32)
    return places


def selected(matrix: csr_array, rows: np.ndarray, columns: np.ndarray) -> csr_array:
    """Return the entries of these rows in these ascending columns, (len(rows), len(columns)) float32.

    It equals `matrix[rows][:, columns]`, but its cost does not depend on the number of columns selected.
    """
    part = matrix[rows]
    places = places_of(columns, matrix.shape[1])[part.indices]
    inside = places >= 0
    offsets = np.zeros(len(inside) + 1, dtype=np.int64)
    np.cumsum(inside, out=offsets[1:])
    return csr_array(
        (part.data[inside], places[inside], offsets[part.indptr]), shape=(len(rows), len(columns))
    )


def product(
    matrix: csr_array, dense: np.ndarray, threads: int, places: np.ndarray | None = None
) -> np.ndarray:
    """Return `matrix @ dense`, (n, width) float32; each sum is computed in the order of a row's entries.

    `places` has the row of `dense` for each column of the matrix, -1 for a column to ignore; by default, both
    have the same number. The result is the same for any number of threads.
    """
    if places is None:
        places = np.arange(matrix.shape[1], dtype=np.int32)
    result = np.zeros((matrix.shape[0], dense.shape[1]), dtype=np.float32)
    # Always the same types, or the kernel is compiled for each of SciPy's.
    offsets, columns = matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False)
    arrays = (offsets, columns, matrix.data, places, dense)
    list(run_ranges(lambda start, end: _multiply(*arrays, start, end, _BLOCK, result), len(result), threads))
    return result


@kernel
def _multiply(  # noqa: C901  a kernel is one function
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    places: Int32s,
    dense: Float32Rows,
    start: int,
    end: int,
    block: int,
    result: OutFloat32Rows,
) -> None:
    """Add the products of rows start..end to the result.

    The entries of a block of rows are sorted by column, so that each row of `dense` is read once for a block.
    """
    n_places, width = dense.shape
    most = 0
    for first in range(start, end, block):
        most = max(most, offsets[min(first + block, end)] - offsets[first])
    rows_by_place, values_by_place = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.float32)
    ends = np.empty(n_places + 1, dtype=np.int64)
    for first in range(start, end, block):
        last = min(first + block, end)
        ends[:] = 0
        for at in range(offsets[first], offsets[last]):
            if places[columns[at]] >= 0:
                ends[places[columns[at]] + 1] += 1
        for place in range(n_places):
            ends[place + 1] += ends[place]
        for row in range(first, last):
            for at in range(offsets[row], offsets[row + 1]):
                place = places[columns[at]]
                if place >= 0:
                    rows_by_place[ends[place]] = row
                    values_by_place[ends[place]] = values[at]
                    ends[place] += 1
        at = 0
        for place in range(n_places):
            factors = dense[place]
            while at < ends[place]:
                value, total = values_by_place[at], result[rows_by_place[at]]
                for number in range(width):
                    total[number] += value * factors[number]
                at += 1
