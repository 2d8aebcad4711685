"""Compile the numeric kernels and run them on several threads.

The kernels are in `training`, beside the code that uses them, because serving must not load their compiler.
"""

import ctypes
import functools
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing import get_context
from typing import Annotated, Any, Protocol, TypeVar, cast, get_type_hints

import numba
import numpy as np
from numba.core import event

Function = TypeVar("Function", bound=Callable[..., Any])
Part = TypeVar("Part")


def _array(dtype: Any, dimensions: int, *, read_only: bool) -> Any:
    return numba.types.Array(dtype, dimensions, "C", readonly=read_only)


# The arrays that kernels take: contiguous, with one dimension, or two (…Rows). A kernel only reads an array,
# which may be mapped from a file, unless the name begins with Out.
Bools = Annotated[np.ndarray, _array(numba.boolean, 1, read_only=True)]
BoolRows = Annotated[np.ndarray, _array(numba.boolean, 2, read_only=True)]
Uint8s = Annotated[np.ndarray, _array(numba.uint8, 1, read_only=True)]
Uint32s = Annotated[np.ndarray, _array(numba.uint32, 1, read_only=True)]
Uint64s = Annotated[np.ndarray, _array(numba.uint64, 1, read_only=True)]
Uint64Rows = Annotated[np.ndarray, _array(numba.uint64, 2, read_only=True)]
Int16s = Annotated[np.ndarray, _array(numba.int16, 1, read_only=True)]
Int32s = Annotated[np.ndarray, _array(numba.int32, 1, read_only=True)]
Int32Rows = Annotated[np.ndarray, _array(numba.int32, 2, read_only=True)]
Int64s = Annotated[np.ndarray, _array(numba.int64, 1, read_only=True)]
Int64Rows = Annotated[np.ndarray, _array(numba.int64, 2, read_only=True)]
Float32s = Annotated[np.ndarray, _array(numba.float32, 1, read_only=True)]
Float32Rows = Annotated[np.ndarray, _array(numba.float32, 2, read_only=True)]
Float64s = Annotated[np.ndarray, _array(numba.float64, 1, read_only=True)]
OutBools = Annotated[np.ndarray, _array(numba.boolean, 1, read_only=False)]
OutUint8s = Annotated[np.ndarray, _array(numba.uint8, 1, read_only=False)]
OutUint32s = Annotated[np.ndarray, _array(numba.uint32, 1, read_only=False)]
OutUint64s = Annotated[np.ndarray, _array(numba.uint64, 1, read_only=False)]
OutUint64Rows = Annotated[np.ndarray, _array(numba.uint64, 2, read_only=False)]
OutInt32s = Annotated[np.ndarray, _array(numba.int32, 1, read_only=False)]
OutInt32Rows = Annotated[np.ndarray, _array(numba.int32, 2, read_only=False)]
OutInt64s = Annotated[np.ndarray, _array(numba.int64, 1, read_only=False)]
OutInt64Rows = Annotated[np.ndarray, _array(numba.int64, 2, read_only=False)]
OutFloat32s = Annotated[np.ndarray, _array(numba.float32, 1, read_only=False)]
OutFloat32Rows = Annotated[np.ndarray, _array(numba.float32, 2, read_only=False)]
OutFloat64s = Annotated[np.ndarray, _array(numba.float64, 1, read_only=False)]
OutFloat64Rows = Annotated[np.ndarray, _array(numba.float64, 2, read_only=False)]


def kernel(function: Function) -> Function:
    """Compile a function for the annotated types, and cache the result on disk, if a folder is writable.

    Annotate arrays with the names above. A kernel is compiled on first use, or before by
    `compile_kernels`. A kernel without such names is compiled for the types of each call. Kernels release the
    interpreter's lock, so threads can run them in parallel. Pass values from other modules as arguments: the
    cache on disk is not invalidated when other modules change.
    """
    try:
        dispatcher = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # a read-only installation without a writable home
        dispatcher = numba.njit(nogil=True)(function)
    hints = get_type_hints(function, include_extras=True)
    hints.pop("return", None)
    if not any(hasattr(hint, "__metadata__") for hint in hints.values()):
        return cast("Function", dispatcher)
    types = tuple(_type(function, name, hint) for name, hint in hints.items())
    typed = _Kernel(function, dispatcher, types)
    if "<locals>" not in function.__qualname__:  # another process can import it
        _KERNELS.append(typed)
    return cast("Function", typed)


def inner(function: Function) -> Function:
    """Compile a function into every kernel that calls it; it is not meant to be called from Python."""
    return cast("Function", numba.njit(nogil=True)(function))


def exact_sum(function: Function) -> Function:
    """Compile like `inner` a function whose sums are exact in any order, so that it uses vector units."""
    return cast("Function", numba.njit(nogil=True, fastmath={"reassoc", "contract"})(function))


def compile_kernels(threads: int, started: Callable[[int], Callable[[float], None]]) -> None:
    """Load all kernels of the imported modules from disk, and compile the missing ones in several processes.

    If any is missing, `started` is called with their number; the function that it returns is called with the
    number of kernels just compiled.
    """
    missing = [each for each in _KERNELS if not each.load()]
    if not missing:
        return
    advance = started(len(missing))
    missing.sort(key=lambda each: -each.size)  # the longest first, so that no process ends much later
    others = threads - 1 if all(each.is_cached for each in missing) else 0
    with _uncollected(), _processes(min(others, len(missing) - 1)) as submit:
        futures = [submit(_compile, each) for each in missing]
        # This process begins with the shortest, and meets the others, which begin with the longest.
        for each, future in zip(reversed(missing), reversed(futures), strict=True):
            if future and not future.cancel():
                with suppress(BrokenProcessPool):  # a process ended, such as for lack of memory
                    future.result()
            each.compile()
            advance(1)


_COMPILED_TYPES = {
    int: numba.int64, float: numba.float64, bool: numba.boolean, np.float32: numba.float32
}  # fmt: skip


class _Kernel:
    """A compiled function with a single signature, like a numba dispatcher that compiles nothing else."""

    def __init__(self, function: Callable[..., Any], dispatcher: Any, types: tuple[Any, ...]) -> None:
        functools.update_wrapper(self, function)
        self.__name__: str = function.__name__
        self.size = len(function.__code__.co_code)
        self.is_cached = dispatcher.stats.cache_path is not None
        self._dispatcher, self._types = dispatcher, types
        self._lock, self._is_ready = threading.Lock(), False

    def __call__(self, *arguments: Any) -> Any:
        if not self._is_ready:
            self.compile()
        return self._dispatcher(*arguments)

    def __reduce__(self) -> str:
        """Return the name by which another process imports the kernel."""
        return self.__name__

    def load(self) -> bool:
        """Load the kernel from disk; return whether it was there."""
        try:
            with event.install_listener("numba:compile", _Refusal()):
                self.compile()
        except _NotOnDiskError:
            return False
        return True

    def compile(self) -> None:
        """Load the kernel from disk, or compile it."""
        with self._lock:
            if not self._is_ready:
                self._dispatcher.compile(self._types)
                self._dispatcher.disable_compile()  # other types are refused, not compiled
                self._is_ready = True


_KERNELS: list[_Kernel] = []


class _NotOnDiskError(Exception):
    pass


class _Refusal(event.Listener):
    """Prevents compilation."""

    def on_start(self, event: event.Event) -> None:  # noqa: ARG002 the interface
        raise _NotOnDiskError

    def on_end(self, event: event.Event) -> None:
        pass


def _type(function: Callable[..., Any], name: str, hint: Any) -> Any:
    """Return the compiled type of an argument."""
    named = getattr(hint, "__metadata__", (_COMPILED_TYPES.get(hint),))[0]
    if named is None:
        raise TypeError(f"kernel {function.__name__}: annotate {name} as an array of this module, not {hint}")
    return named


def _compile(each: _Kernel) -> None:
    """Compile a kernel in another process, which caches it on disk."""
    with _uncollected():
        each.compile()


@contextmanager
def _processes(count: int) -> Iterator[Callable[..., Future[None] | None]]:
    """Yield a function that submits a call to one of `count` processes, or returns None if there is none."""
    if count < 1:
        yield lambda *_: None
        return
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Do not search for garbage, which takes a seventh of the time of a compilation, and finds little."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Workers(Protocol):
    """Processes, perhaps on other machines, that run functions of modules that they can import."""

    @property
    def slots(self) -> int:
        """How many calls they can run at once."""

    def held(self, value: object) -> Any:
        """Send them a value, and return a reference to pass to `map` as an argument in its place."""

    def map(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield `function(*arguments)` for each of the calls, in order."""


def release_memory() -> None:
    """Return freed memory to the operating system; glibc keeps what was freed in small pieces."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other libraries have none
        if trim:
            trim(0)


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
