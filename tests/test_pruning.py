"""Old versions are removed, and the current one and those in use are not."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recommender.artifact import (
    ArtifactError,
    NothingPublishedError,
    current_version,
    open_current,
    publish,
    roll_back,
    versions,
)
from recommender.history import version_facts
from recommender.pruning import prune
from tests.support.newsroom import NOW, build_model, newsroom

AGES = (50, 40, 20, 10, 0)  # days


@pytest.fixture
def models(tmp_path: Path) -> Path:
    model = build_model(newsroom())
    for days in AGES:
        publish(model, tmp_path / "models", now=NOW - timedelta(days=days))
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("options", "removed_days"),
    [
        ({}, []),
        ({"keep": 1}, [50, 40]),
        ({"keep": 4, "keep_days": 0}, [50]),
        ({"keep": 1, "keep_days": 0}, [50, 40, 20, 10]),
        ({"keep": 1, "keep_days": 0, "dry_run": True}, []),
        ({"keep": 1, "keep_days": 99_999}, []),
    ],
)
def test_versions_are_removed_that_are_neither_new_nor_young(
    models: Path, options: dict[str, Any], removed_days: list[int]
) -> None:
    before = versions(models)

    pruned = prune(models, now=NOW, **options)

    gone = [name for name, days in zip(before, AGES, strict=True) if days in removed_days]
    assert versions(models) == [name for name in before if name not in gone]
    if "dry_run" not in options:
        assert [decision.version for decision in pruned.decisions if not decision.kept_because] == gone
    assert open_current(models).manifest.version == before[-1]
    assert list(models.glob(".building-*")) == []


def test_the_current_version_and_those_in_use_are_kept(models: Path) -> None:
    oldest, second, *_, newest = versions(models)
    roll_back(models, second)
    asked = []

    def in_use() -> Mapping[str, str]:
        asked.append(current_version(models))
        return {oldest: "used by 2 live articles", "20000101T000000Z-00000000": "gone already"}

    pruned = prune(models, now=NOW, keep=1, keep_days=0, in_use=in_use)

    assert versions(models) == [oldest, second, newest]
    assert [decision.kept_because for decision in pruned.decisions] == [
        "used by 2 live articles",
        "current",
        "",
        "",
        "one of the newest 1",
    ]
    assert asked == [second]


def test_nothing_is_removed_if_the_current_version_is_damaged(models: Path) -> None:
    before = versions(models)
    titles = models / before[-1] / "articles.titles.utf8.npy"
    titles.write_bytes(titles.read_bytes()[:-1] + b"!")

    with pytest.raises(ArtifactError, match="was altered after publishing"):
        prune(models, now=NOW, keep=1, keep_days=0)
    (models / "CURRENT").write_text("nonsense")
    with pytest.raises(ArtifactError, match="CURRENT does not name an existing version"):
        prune(models, now=NOW, keep=1, keep_days=0)

    assert versions(models) == before
    assert [version.current for version in version_facts(models)] == [False] * len(before)


def test_the_rest_of_a_killed_prune_and_old_reports_are_removed(models: Path) -> None:
    rest, refused, elsewhere = models / ".building-ab", models / ".refused", models.parent / "elsewhere"
    for folder in (rest, refused, elsewhere):
        folder.mkdir()
    (rest / "articles.ids.utf8.npy").touch()
    (elsewhere / "precious").touch()
    (models / ".building-link").symlink_to(elsewhere)
    for name in ("20260101T000000Z-4f3aa08c-2.json", "20260228T000000Z-4f3aa08c.json", "notes.json"):
        (refused / name).touch()

    assert prune(models, now=NOW).refused_reports == 1

    assert sorted(path.name for path in refused.iterdir()) == ["20260228T000000Z-4f3aa08c.json", "notes.json"]
    assert list(models.glob(".building-*")) == []
    assert (elsewhere / "precious").exists()


def test_a_model_that_is_mapped_can_be_used_after_its_version_was_removed(models: Path) -> None:
    model = open_current(models)
    publish(model, models, now=NOW + timedelta(days=1))

    prune(models, now=NOW + timedelta(days=2), keep=1, keep_days=0)

    assert len(versions(models)) == 1
    assert sorted(model.articles.titles) == sorted(article.title for article in newsroom())


def test_without_a_model_pruning_is_an_error_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError):
        prune(tmp_path / "none", now=NOW)
    with pytest.raises(ValueError, match="keep=0: at least the newest"):
        prune(tmp_path / "none", now=NOW, keep=0)
    assert list(tmp_path.iterdir()) == []
