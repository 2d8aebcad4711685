"""Vectors in fixed point, whose dot products are exact.

Every coordinate is a multiple of 1/4096 and no vector is longer than 1. So every sum of products of two
vectors is a multiple of 2**-24 and at most 1 (Cauchy-Schwarz), and single precision holds all these numbers
exactly. Therefore a score does not depend on the order of the terms, on the number of threads, on the size of
a tile or on the matrix library, and none has to be computed again in double precision. Rounding changes a
cosine by about 0.0001.
"""

import numpy as np

SCALE = 4096
_LENGTH = 0.999  # of a unit vector before rounding, which may make it longer
_SHORTER = 0.9995  # the factor by which a vector shrinks that is longer than 1 after rounding
# The lengths that a unit vector may have before rounding: at first, and after shrinking up to 24 times.
LENGTHS = tuple(_LENGTH * _SHORTER**times for times in range(25))
_BLOCK = 1 << 22  # values rounded at a time


def rounded(vector: np.ndarray) -> np.ndarray:
    """Return a vector of at most unit length in fixed point, float32."""
    return round_rows(vector, np.array([0, len(vector)]))


def round_rows(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the values of vectors of at most unit length in fixed point, float32.

    Vector i has the values offsets[i]:offsets[i + 1]. Its rounded values depend on no other vector.
    """
    result = np.empty(len(values), dtype=np.float32)
    start, n = 0, len(offsets) - 1
    while start < n:
        end = max(start + 1, int(np.searchsorted(offsets, offsets[start] + _BLOCK, side="right")) - 1)
        inside = slice(offsets[start], offsets[end])
        result[inside] = _rounded(values[inside].astype(np.float32), np.diff(offsets[start : end + 1]))
        start = end
    return result


def round_matrix(vectors: np.ndarray) -> np.ndarray:
    """Return the rows of a matrix, of at most unit length, in fixed point, float32."""
    n, width = vectors.shape
    return round_rows(vectors.ravel(), np.arange(n + 1) * width).reshape(n, width)


def is_fixed(values: np.ndarray) -> bool:
    """Return whether all values are multiples of 1/4096."""
    scaled = (values[start : start + _BLOCK] * SCALE for start in range(0, len(values), _BLOCK))
    return all(bool((part == np.rint(part)).all()) for part in scaled)


def _rounded(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    filled = np.flatnonzero(lengths)
    starts = (np.cumsum(lengths) - lengths)[filled]
    factors = np.full(len(filled), SCALE * _LENGTH, dtype=np.float32)
    while True:
        whole = np.rint(values * np.repeat(factors, lengths[filled]))
        if not len(filled):
            return np.asarray(whole)
        too_long = np.add.reduceat(whole**2, starts, dtype=np.float64) > SCALE**2
        if not too_long.any():
            return np.asarray(whole / np.float32(SCALE))
        factors[too_long] *= np.float32(_SHORTER)
