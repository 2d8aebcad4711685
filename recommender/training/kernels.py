"""How the numeric kernels are compiled and spread over threads."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Part = TypeVar("Part")


def kernel(function: Kernel) -> Kernel:
    """Compile a function on first use, and keep the result on disk where there is a place for it.

    It runs without the interpreter's lock, so that plain threads run kernels side by side. What it takes from
    other modules must be an argument: the copy on disk is not renewed when those change.
    """
    try:
        return cast("Kernel", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # a read-only installation without a writable home
        return cast("Kernel", numba.njit(nogil=True)(function))


def cores() -> int:
    """Return how many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def spread(work: Callable[..., Part], n: int, threads: int, pieces_each: int = 4) -> Iterator[Part]:
    """Yield `work(start, end)` for consecutive ranges that cover 0..n, in order, run on so many threads.

    The ranges depend on n and the number of threads alone, so results are repeatable.
    """
    pieces = max(1, min(n, threads * pieces_each))
    edges = [n * piece // pieces for piece in range(pieces + 1)]
    return run_all(((work, start, end) for start, end in pairwise(edges)), threads)


def run_all(calls: Iterable[tuple[Any, ...]], threads: int) -> Iterator[Any]:
    """Yield the result of each call `(function, *arguments)`, in order, run on so many threads."""
    if threads == 1:
        yield from (function(*arguments) for function, *arguments in calls)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from [future.result() for future in [pool.submit(*call) for call in calls]]
