"""Compile the numeric kernels and run them on several threads.

The kernels are in `training`, beside the code that uses them, because serving must not load their compiler.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba
from numba.core import event

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Part = TypeVar("Part")


def kernel(function: Kernel) -> Kernel:
    """Compile a function on first use and cache the result on disk, if a folder is writable.

    Kernels release the interpreter's lock, so threads can run them in parallel. Pass values from other
    modules as arguments: the cache on disk is not invalidated when other modules change.
    """
    return _compiled(function)


def exact_sum(function: Kernel) -> Kernel:
    """Compile like `kernel` a function whose sums are exact in any order, so that they use vector units."""
    return _compiled(function, fastmath={"reassoc", "contract"})


def _compiled(function: Kernel, **options: Any) -> Kernel:
    try:
        return cast("Kernel", numba.njit(cache=True, nogil=True, **options)(function))
    except RuntimeError:  # a read-only installation without a writable home
        return cast("Kernel", numba.njit(nogil=True, **options)(function))


@contextmanager
def compilation_noted(note: Callable[[], None]) -> Iterator[None]:
    """Call `note` when a kernel is first compiled inside the context; those on disk are only loaded."""
    listener = _FirstCompilation(note)
    with event.install_listener("numba:compile", listener):
        yield


class _FirstCompilation(event.Listener):
    def __init__(self, note: Callable[[], None]) -> None:
        self._note: Callable[[], None] | None = note

    def on_start(self, event: event.Event) -> None:  # noqa: ARG002 the interface
        note, self._note = self._note, None
        if note:
            note()

    def on_end(self, event: event.Event) -> None:
        pass


def cores() -> int:
    """Return how many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def run_ranges(work: Callable[..., Part], n: int, threads: int, ranges_per_thread: int = 4) -> Iterator[Part]:
    """Yield `work(start, end)` for consecutive ranges that cover 0..n, in order, run on `threads` threads.

    The ranges depend only on n and the number of threads, so results are reproducible.
    """
    count = max(1, min(n, threads * ranges_per_thread))
    edges = [n * number // count for number in range(count + 1)]
    return run_all(((work, start, end) for start, end in pairwise(edges)), threads)


def run_all(calls: Iterable[tuple[Any, ...]], threads: int) -> Iterator[Any]:
    """Yield the result of each call `(function, *arguments)`, in order, run on `threads` threads."""
    if threads == 1:
        yield from (function(*arguments) for function, *arguments in calls)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from [future.result() for future in [pool.submit(*call) for call in calls]]
