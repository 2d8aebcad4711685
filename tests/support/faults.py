"""Faults: one exception at a chosen line of the code under test, in the thread that gets there first."""

import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
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


_active: list["Fault"] = []  # the fault that counts now, if any


@dataclass(eq=False)
class Fault:
    """Raises InjectedError before the n-th line that is executed in some modules, once.

    It counts only within `active()`, in the calling thread and in threads that started within the `active()`
    of any fault. It stays armed over several uses until it has raised.
    """

    remaining: int  # lines until it raises
    modules: frozenset[str]  # paths of the files
    place: str = ""  # where it was raised: file and line

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count, and raise, in this block."""
        before = sys.gettrace()
        _active.append(self)
        threading.settrace(_enter)
        sys.settrace(_enter)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)
            _active.remove(self)

    def counts(self, code: CodeType) -> bool:
        """Return whether the lines of this function count."""
        return not self.place and code.co_filename in self.modules and code.co_name not in _NOT_COUNTED

    def count(self, frame: FrameType) -> None:
        """Count a line, and raise InjectedError if it is the last."""
        if _line(frame).startswith(_CANNOT_RAISE):
            return
        self.remaining -= 1
        if self.remaining <= 0:
            self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            raise InjectedError(self.place)


def files(*names: str) -> frozenset[str]:
    """Return the paths of modules below the package, given as patterns such as `serving/store/*.py`."""
    return frozenset(str(path) for name in names for path in PACKAGE.glob(name))


def _line(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()


def _enter(frame: FrameType, _event: str, _argument: Any) -> Any:
    return _count if any(fault.counts(frame.f_code) for fault in _active) else None


def _count(frame: FrameType, event: str, _argument: Any) -> Any:
    """Count a line of a thread for the active fault: threads outlive the fault that they started in."""
    if event == "line":
        for fault in _active:
            if fault.counts(frame.f_code):
                fault.count(frame)
    return _count
