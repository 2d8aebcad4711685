"""Workers that share no memory with their client, in one process."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CopyingWorkers:
    """Workers that run calls one after the other, with copies of functions, arguments and results."""

    slots: int

    def held(self, value: object) -> Any:
        return _copy(value)

    def map(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        return (_copy(_copy(function)(*_copy(arguments))) for arguments in calls)


def _copy(value: object) -> Any:
    """Return a copy, whose arrays cannot be written, as it may be on a worker."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(pickled, buffers=[bytes(buffer.raw()) for buffer in buffers])  # noqa: S301 our own
