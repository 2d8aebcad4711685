"""Kernels are compiled once, for their types; work spread over threads covers its range once and in order."""

import os
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules
from threading import get_ident

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

from recommender.training import neighbors, terms, topics
from recommender.training.kernels import Float64s, OutInt32s, inner, kernel, run_all, run_ranges


@given(st.integers(0, 200), st.integers(1, 4), st.integers(1, 20))
@settings(deadline=None)
def test_ranges_cover_everything_once_and_in_order(n: int, threads: int, ranges_per_thread: int) -> None:
    ranges = list(run_ranges(lambda start, end: (start, end), n, threads, ranges_per_thread))

    assert ranges[0][0] == 0
    assert ranges[-1][1] == n
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    assert len(ranges) == max(1, min(n, threads * ranges_per_thread))


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_calls(threads: int) -> None:
    calls = [(pow, number, 2) for number in range(50)]

    assert list(run_all(calls, threads)) == [number**2 for number in range(50)]


def test_a_single_thread_is_the_calling_thread() -> None:
    assert set(run_all([(get_ident,)] * 5, threads=1)) == {get_ident()}
    assert get_ident() not in set(run_all([(get_ident,)] * 5, threads=2))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_one_call_reaches_the_caller(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_all([(divmod, 7, 2), (divmod, 7, 0)], threads))


def test_no_calls_give_no_results() -> None:
    assert list(run_all([], threads=1)) == list(run_all([], threads=2)) == []


@kernel
def total(values: Float64s, factor: float) -> float:
    added = 0.0
    for value in values:
        added += doubled(value) * factor
    return added


@kernel
def write(values: OutInt32s, value: int) -> None:
    values[:] = value


@inner
def doubled(value: float) -> float:
    return 2 * value


def test_a_kernel_is_compiled_and_equals_its_source() -> None:
    values = np.array([0.5, 0.25])

    assert total(values, 3) == total.__wrapped__(values, 3) == 4.5  # type: ignore[attr-defined]


def test_a_kernel_that_only_reads_an_array_accepts_a_read_only_one() -> None:
    values = np.frombuffer(np.ones(3).tobytes())

    assert not values.flags.writeable
    assert total(values, 1.0) == 6


@pytest.mark.parametrize(
    "values",
    [np.zeros(2, dtype=np.int64), np.zeros((2, 2), dtype=np.int32), np.zeros(4, dtype=np.int32)[::2]],
)
def test_a_kernel_refuses_other_types_instead_of_compiling_again(values: np.ndarray) -> None:
    with pytest.raises(TypeError, match="No matching definition"):
        write(values, 1)


def test_an_argument_without_a_type_is_named() -> None:
    def partly(values: Float64s, others: np.ndarray) -> None: ...

    with pytest.raises(TypeError, match="kernel partly: annotate others as an array"):
        kernel(partly)


def test_every_kernel_names_its_types() -> None:
    for package in (terms, topics, neighbors):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(import_module(module.name)).items():
                untyped = isinstance(value, Dispatcher) and value.stats.cache_path is not None
                assert not untyped, f"{module.name}.{name}"


@pytest.mark.slow
def test_training_compiles_nothing_after_all_kernels_are_compiled(tmp_path: Path) -> None:
    assert run_script(tmp_path, COMPILE_ALL).split() == ["True", "True"]
    assert run_script(tmp_path, COMPILE_ALL).split() == ["False", "True"]


@pytest.mark.slow
def test_kernels_whose_process_dies_are_compiled_in_the_calling_process(tmp_path: Path) -> None:
    assert run_script(tmp_path, COMPILE_IN_DYING_PROCESSES).split() == ["2", "2", "0"]


COMPILE_ALL = """
from numba.core import event
from recommender.article import Article
from recommender.training import kernels
from recommender.training.train import train

if __name__ == "__main__":
    found = []
    kernels.compile_kernels(2, lambda count: found.append(count) or (lambda _: None))
    with event.install_recorder("numba:compile") as recorder:
        train([Article(id=str(n), title=f"ferry{n % 7} island{n % 9}") for n in range(60)])
    print(bool(found), not recorder.buffer)
"""

COMPILE_IN_DYING_PROCESSES = """
import os
from recommender.training import kernels
from tests.training.test_kernels import total, write

def die(each):
    os._exit(9)

if __name__ == "__main__":
    kernels._KERNELS[:] = [total, write]
    kernels._compile = die
    found, done = [], []
    kernels.compile_kernels(2, lambda count: found.append(count) or done.append)
    print(*found, sum(done), sum(not each.load() for each in kernels._KERNELS))
"""


def run_script(folder: Path, script: str) -> str:
    """Run a script whose kernels are cached in a folder; return what it prints."""
    path = folder / "script.py"
    path.write_text(script)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(Path.cwd())}
    return subprocess.check_output([sys.executable, path], env=environment, text=True)
