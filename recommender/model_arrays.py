"""The arrays of a model, by the dotted names of their fields."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def arrays_of(record: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a dataclass and its nested dataclasses, each with its dotted field name."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            yield prefix + field.name, value
        elif is_dataclass(value):
            yield from arrays_of(value, f"{prefix}{field.name}.")


def restored(record: type, prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the array and dataclass fields of a dataclass; `arrays` has the arrays by dotted field name."""
    values: dict[str, Any] = {}
    for field in fields(record):
        if field.type is np.ndarray:
            values[field.name] = arrays[prefix + field.name]
        elif isinstance(field.type, type) and is_dataclass(field.type):
            values[field.name] = field.type(**restored(field.type, f"{prefix}{field.name}.", arrays))
    return values
