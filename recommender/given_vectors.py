"""Vectors that a newsroom computed for its articles, such as embeddings of a language model.

Only their direction counts. They are unit vectors in fixed point, two bytes for each number. In a model, they
are further dense columns beside the latent coordinates. With u their weight and w that of the latent space,
the similarity of two articles is

    (1 - u) x ((1 - w) x cosine of TF-IDF + w x cosine in the latent space) + u x cosine of the vectors

As before, it is one dot product. If an article of the pair has no vector, the last cosine is 0 and the first
two must not be reduced, so the dot product is divided by 1 - u.
"""

import json
import reprlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from recommender.fixed_point import LENGTHS, SCALE, round_matrix, rounded

MOST_NUMBERS = 8192
_DIGITS, _NEAR = 5, 1e-5  # of a number in JSON, more than fixed point has
_TYPES = {int, float, np.float16, np.float32, np.float64}
_BLOCK = 4096  # articles whose columns are joined at a time


class VectorError(ValueError):
    """A value that is not a vector; the message says why."""


@dataclass(frozen=True, slots=True, repr=False)
class GivenVector(Sequence[float]):
    """The direction of a list of numbers, as a vector of about unit length."""

    data: bytes  # little-endian int16, the numbers times 4096

    @classmethod
    def of(cls, value: Any, length: int = 0) -> "GivenVector":
        """Return the direction of a list of numbers, which may be written as JSON.

        Raises VectorError if there are none or too many, if there are not `length` of them (0: any number),
        if one is not a finite number, or if all are 0.
        """
        if length and isinstance(value, Sized) and not isinstance(value, str) and len(value) != length:
            raise VectorError(f"it has {len(value)} numbers, those of the model have {length}")
        if isinstance(value, GivenVector):
            return value
        values = _numbers(value)
        peak = np.abs(values).max()
        if not peak > 0:
            raise VectorError("all its numbers are 0")
        whole = np.rint(np.clip(values, -1, 1) * SCALE)
        if np.abs(whole / SCALE - values).max() < _NEAR and _is_rounded(whole):
            return cls(whole.astype("<i2").tobytes())
        direction = values / peak  # so that no number or square is too large or too small
        length = np.sqrt((direction**2).sum())
        return cls((rounded(direction / length) * SCALE).astype("<i2").tobytes())

    @property
    def array(self) -> np.ndarray:
        """The numbers times 4096, int16."""
        return np.frombuffer(self.data, dtype="<i2")

    def to_list(self) -> list[float]:
        """Return the numbers; `of` returns the same vector for them."""
        return np.round(self.array / SCALE, _DIGITS).tolist()  # type: ignore[no-any-return]

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return len(self.data) // 2

    def __iter__(self) -> Iterator[float]:
        """Yield the numbers."""
        return iter(self.to_list())

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: int | slice) -> float | list[float]:
        """Return one number, or several."""
        return self.to_list()[place]

    def __repr__(self) -> str:
        """Return how many numbers there are, and the first ones."""
        first = ", ".join(f"{number:.3f}" for number in self.to_list()[:3])
        return f"<vector of {len(self)} numbers: {first}, …>"


def _is_rounded(whole: np.ndarray) -> bool:
    """Return whether a unit vector in fixed point has these numbers, times 4096, (n,); it stays as it is."""
    sizes = np.abs(whole)
    shortest, longest = (np.linalg.norm(np.maximum(sizes + change, 0)) for change in (-0.5, 0.5))
    return any(shortest <= SCALE * length <= longest for length in LENGTHS)


def _numbers(value: Any) -> np.ndarray:
    """Return the finite numbers in a value, float64. Raises VectorError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise VectorError("the text is not a JSON list of numbers") from None
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | dict):
        raise VectorError("it must be a list of numbers")
    numbers = list(value)
    if not 1 <= len(numbers) <= MOST_NUMBERS:
        raise VectorError(f"it has {len(numbers)} numbers; 1 to {MOST_NUMBERS} are allowed")
    if not {*map(type, numbers)} <= _TYPES:
        other = next(number for number in numbers if type(number) not in _TYPES)
        raise VectorError(f"it contains {reprlib.repr(other)}, which is not a number")
    try:
        values = np.array(numbers, dtype=np.float64)
    except OverflowError:
        values = np.array([np.inf])
    if not np.isfinite(values).all():
        raise VectorError("it contains a number that is not finite")
    return values


def joined(latent: np.ndarray, given: np.ndarray, share: float) -> np.ndarray:
    """Return latent coordinates and given vectors side by side, (n, n_components + length), in fixed point.

    Both are (n, …), of about unit length; `given` are times 4096. `share` is the weight of the given vectors
    in the dot product of two rows.
    """
    n, width = latent.shape
    dense = np.empty((n, width + given.shape[1]), dtype=np.float32)
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        dense[part, :width] = latent[part] * np.float32(np.sqrt(1 - share))
        dense[part, width:] = given[part] * np.float32(np.sqrt(share) / SCALE)
        dense[part] = round_matrix(dense[part])
    return dense
