"""Rolling back: an earlier version is verified, becomes current atomically, and running workers open it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.artifact import (
    ArtifactError,
    NothingPublishedError,
    current_version,
    open_current,
    publish,
    roll_back,
    versions,
)
from recommender.model import microseconds
from recommender.serving.store import ArticleRow, Store
from recommender.serving.worker.follower import Follower
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

LATER = Article(id="later", title="Storm floods the harbour", published_at=NOW, updated_at=NOW)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with three versions; the newest has one more article. Do not change it."""
    folder = tmp_path_factory.mktemp("models")
    for hours, articles in enumerate([newsroom(), newsroom(), [*newsroom(), LATER]]):
        publish(build_model(articles), folder, now=NOW + timedelta(hours=hours))
    return folder


@pytest.fixture
def models(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "models"))


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def test_the_version_before_is_current_again(models: Path) -> None:
    oldest, middle, _ = versions(models)

    assert roll_back(models) == current_version(models) == middle
    assert roll_back(models) == current_version(models) == oldest
    assert open_current(models).manifest.version == oldest


def test_any_version_can_be_named_including_newer_ones(models: Path) -> None:
    oldest, _, newest = versions(models)

    assert roll_back(models, oldest) == current_version(models) == oldest
    assert roll_back(models, newest) == current_version(models) == newest


def test_there_is_no_version_before_the_oldest(models: Path) -> None:
    oldest = roll_back(models, versions(models)[0])

    with pytest.raises(ArtifactError, match=f"nothing to roll back to: {oldest} is the oldest version in "):
        roll_back(models)
    assert current_version(models) == oldest


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("20200101T000000Z-00000000", "no version '20200101T000000Z-00000000' in "),
        ("../models", "no version '../models' in "),
        ("", "is already the current version in "),
    ],
)
def test_an_impossible_version_is_refused_with_the_reason(models: Path, wanted: str, message: str) -> None:
    current = current_version(models)

    with pytest.raises(ArtifactError, match=message):
        roll_back(models, wanted or current)
    assert current_version(models) == current


@pytest.mark.parametrize(
    "damaged", ["articles.titles.utf8.npy", "vectors.latent.npy", "manifest.json", "manifest.sha256"]
)
def test_an_altered_version_is_not_put_in_service(models: Path, damaged: str) -> None:
    _, middle, newest = versions(models)
    damage(models / middle / damaged)

    with pytest.raises(ArtifactError, match=f"{middle}.*: restore"):
        roll_back(models)
    assert open_current(models).manifest.version == newest


def test_a_named_version_becomes_current_if_current_is_damaged(models: Path) -> None:
    newest = versions(models)[-1]
    (models / "CURRENT").write_text("nonsense")

    with pytest.raises(ArtifactError, match="CURRENT does not name an existing version"):
        roll_back(models)
    assert roll_back(models, newest) == current_version(models) == newest


@pytest.mark.parametrize("make", [Path.mkdir, lambda _: None])
def test_without_a_model_rolling_back_is_an_error(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "none")

    with pytest.raises(NothingPublishedError, match="no published model in "):
        roll_back(tmp_path / "none")


def test_a_folder_that_cannot_be_written_is_named(models: Path) -> None:
    (models / "CURRENT.new").mkdir()

    with pytest.raises(ArtifactError, match=r"cannot roll back in .*: Is a directory; the current version"):
        roll_back(models)


@pytest.fixture
def live(models: Path) -> Follower:
    settings = Settings(models_dir=models, live_poll_seconds=0)
    store = Store(settings.database_url)
    payload = LATER.to_json().encode()
    store.put_articles([ArticleRow("later", microseconds(NOW), withdrawn=False, payload=payload)])
    store.withdraw("9", microseconds(NOW))
    return Follower(settings, store)


def test_a_running_worker_opens_it_and_keeps_articles_of_the_newer_version(
    live: Follower, models: Path
) -> None:
    assert live.snapshot.live_shown == 0  # the model has it
    assert live.snapshot.articles.find("later") is not None

    roll_back(models)
    live.refresh()

    assert live.snapshot.model.manifest.version == versions(models)[1]
    assert live.snapshot.model.articles.ids.find("later") is None
    assert live.snapshot.live_shown == 1
    assert live.snapshot.articles.titles[live.snapshot.articles.find("later") or 0] == LATER.title


def test_withdrawn_articles_stay_withdrawn(live: Follower, models: Path) -> None:
    roll_back(models)
    live.refresh()

    assert "9" in live.snapshot.withdrawn
    documents = live.snapshot.articles
    assert "9" not in {documents.ids[row] for row in documents.newest.tolist()}


def test_an_article_corrected_in_the_newer_version_keeps_its_correction(models: Path) -> None:
    corrected = replace(newsroom()[0], title="As corrected", updated_at=NOW)
    publish(build_model([corrected, *newsroom()[1:]]), models, now=NOW + timedelta(hours=3))
    settings = Settings(models_dir=models, live_poll_seconds=0)
    store = Store(settings.database_url)
    row = ArticleRow(corrected.id, microseconds(NOW), withdrawn=False, payload=corrected.to_json().encode())
    store.put_articles([row])

    roll_back(models)

    documents = Follower(settings, store).snapshot.articles
    assert documents.titles[documents.find(corrected.id) or 0] == "As corrected"
