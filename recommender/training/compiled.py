"""How the numeric kernels are compiled and spread over threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Part = TypeVar("Part")

# Compiled on first use and kept on disk; nogil, so that plain threads run kernels side by side.
kernel = cast("Callable[[Kernel], Kernel]", numba.njit(cache=True, nogil=True))


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
