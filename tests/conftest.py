"""The sample newsroom, trained and published once for all tests."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.training.corpus import read_articles
from recommender.training.train import Trained, train

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)  # after the newest article of the sample


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the database and the state of a test in its own folder, and its apps without threads."""
    monkeypatch.setenv("RECOMMENDER_DATABASE_URL", f"sqlite:///{tmp_path / 'recommender.db'}")
    monkeypatch.setenv("RECOMMENDER_STATE_FILE", str(tmp_path / "recommender-state.json"))
    monkeypatch.setenv("RECOMMENDER_LIVE_POLL_SECONDS", "0")


@pytest.fixture(scope="session")
def sample_articles() -> list[Article]:
    with as_file(files("recommender") / "sample" / "articles.jsonl") as path:
        return read_articles(path, now=NOW).articles


@pytest.fixture(scope="session")
def trained(sample_articles: list[Article]) -> Trained:
    return train(sample_articles, now=NOW)


@pytest.fixture(scope="session")
def published(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one version; do not change it."""
    folder = tmp_path_factory.mktemp("published")
    publish(trained.model, folder, now=NOW, extra_files=trained.extra_files())
    return folder


@pytest.fixture
def published_copy(published: Path, tmp_path: Path) -> Path:
    """A models folder with one version, for one test to spoil."""
    return Path(shutil.copytree(published, tmp_path / "models"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
