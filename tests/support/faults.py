"""Faults: one exception at a chosen line of the code under test, in the thread that gets there first."""

import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import recommender

PACKAGE = Path(recommender.__file__).parent
# A `with` line also counts when its block ends, where an exception would keep the lock.
_CANNOT_RAISE = ("try:", "with ")
# An exception in a finalizer is lost, and would only be a warning. `_settle` runs in the thread that writes,
# and after it has answered its caller no change is left to interrupt; what it calls is counted.
_NOT_COUNTED = ("__del__", "_settle")


class InjectedError(Exception):
    """Raised by the test, not by the code under test."""


@dataclass(eq=False)
class Fault:
    """Raises InjectedError before the n-th line that is executed in some modules, once.

    It counts only within `active()`, in the calling thread and in threads that start there. It stays
    armed over several uses until it has raised.
    """

    remaining: int  # lines until it raises
    modules: frozenset[str]  # paths of the files
    place: str = ""  # where it was raised: file and line

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count, and raise, in this block."""
        before = sys.gettrace()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        is_counted = code.co_filename in self.modules and code.co_name not in _NOT_COUNTED
        return self._count if is_counted and not self.place else None

    def _count(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line" and not self.place and not _line(frame).startswith(_CANNOT_RAISE):
            self.remaining -= 1
            if self.remaining <= 0:
                self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                raise InjectedError(self.place)
        return self._count


def files(*names: str) -> frozenset[str]:
    """Return the paths of modules below the package, given as patterns such as `serving/store/*.py`."""
    return frozenset(str(path) for name in names for path in PACKAGE.glob(name))


def _line(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
