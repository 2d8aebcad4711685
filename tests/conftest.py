"""The sample newsroom, trained and published once for all tests."""

# ruff: noqa: PLC0415  the process that distributes the tests does not need scikit-learn

import fcntl
import gc
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import pytest

from tests.support.sample import NOW

if TYPE_CHECKING:
    from recommender.article import Article
    from recommender.training.train import Trained

_MEMORY = Path("/dev/shm")  # noqa: S108 the folder made there is pytest's own
_ROOM_BYTES = 1 << 30

# Tests write and sync thousands of small files, which need not survive a power cut.
with suppress(OSError):
    if shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would busy-wait and slow down other tests

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("unhurried", parent=hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("unhurried")
hypothesis.settings.register_profile("fast", parent=hypothesis.settings.default, max_examples=15)

Product = TypeVar("Product")


def pytest_collection_finish() -> None:
    """Exempt the imported libraries from garbage collection, which would otherwise scan them all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _shared_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the apps that tests share their own database and state file, and start no polling threads."""
    with pytest.MonkeyPatch.context() as patch:
        _keep_state_in(tmp_path_factory.mktemp("shared"), patch)
        yield


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep a test's database and state file in its own folder, and start no polling threads.

    Settings that the test exports, as `serve` does for its workers, are removed afterwards.
    """
    before = {
        name: value for name, value in os.environ.items() if name.startswith(("RECOMMENDER_", "PROMETHEUS_"))
    }
    _keep_state_in(tmp_path, monkeypatch)
    yield
    for name in [name for name in os.environ if name.startswith(("RECOMMENDER_", "PROMETHEUS_"))]:
        if before.get(name) != os.environ[name]:
            del os.environ[name]
    os.environ.update(before)


def _keep_state_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("RECOMMENDER_DATABASE_URL", f"sqlite:///{folder / 'recommender.db'}")
    patch.setenv("RECOMMENDER_STATE_FILE", str(folder / "recommender-state.json"))
    patch.setenv("RECOMMENDER_LIVE_POLL_SECONDS", "0")


@pytest.fixture(scope="session")
def sample_articles() -> "list[Article]":
    from recommender.training.readers.corpus import read_articles

    with as_file(files("recommender") / "sample" / "articles.jsonl") as path:
        return read_articles(path, now=NOW).articles


@pytest.fixture(scope="session")
def trained(sample_articles: "list[Article]", tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    from recommender.training.train import train

    return once(tmp_path_factory, "trained", lambda _: train(sample_articles, now=NOW))


@pytest.fixture(scope="session")
def trained_with_vectors(
    sample_articles: "list[Article]", tmp_path_factory: pytest.TempPathFactory
) -> "Trained":
    """The first articles of the sample, two of three with a vector."""
    from recommender.recipe import NeighborLists, Recipe
    from recommender.training.train import train
    from tests.support.given_vectors import with_vectors

    recipe, articles = Recipe(neighbors=NeighborLists(k=6)), with_vectors(sample_articles[:100])
    return once(tmp_path_factory, "with vectors", lambda _: train(articles, recipe, now=NOW))


@pytest.fixture(scope="session")
def published(trained: "Trained", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one version; do not change it."""
    from recommender.artifact import publish

    def make(folder: Path) -> Path:
        publish(trained.model, folder, now=NOW, extra_files=trained.extra_files())
        return folder

    return once(tmp_path_factory, "published", make)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Product]) -> Product:
    """Return what `make` returns for a folder, called once for all processes that share the tests."""
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    pickled = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not pickled.exists():
            product = make(shared / name)
            with pickled.open("wb") as file:
                _Pickler(file).dump(product)
            return product
    stored: Product = pickle.loads(pickled.read_bytes())  # noqa: S301 written by this test run
    return stored


class _Pickler(pickle.Pickler):
    """A pickler that also accepts memory views of arrays."""

    def reducer_override(self, value: object) -> Any:
        import numpy as np

        return (memoryview, (np.asarray(value),)) if isinstance(value, memoryview) else NotImplemented


@pytest.fixture
def published_copy(published: Path, tmp_path: Path) -> Path:
    """A models folder with one version, which the test may change."""
    return Path(shutil.copytree(published, tmp_path / "models"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
