"""Models are copied to a registry and from it; what is broken, partial or hostile is refused."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from recommender.artifact import (
    ArtifactError,
    current_version,
    open_current,
    publish,
    roll_back,
    versions,
)
from recommender.registry import Copied, RegistryFollower, pull, push
from recommender.storage import ConflictError, Storage, StorageError
from tests.support.newsroom import NOW, build_model, newsroom

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with two versions; do not change it."""
    folder = tmp_path_factory.mktemp("models")
    for hours in range(2):
        publish(build_model(newsroom()), folder, now=NOW + timedelta(hours=hours))
    return folder


@pytest.fixture
def source(trained_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_models, tmp_path / "source"))


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture(scope="module")
def pushed(trained_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `registry` of two versions, and a `target` that has pulled the older one."""
    folder = tmp_path_factory.mktemp("pushed")
    url, (older, newer) = (folder / "registry").as_uri(), versions(trained_models)
    push(trained_models, url, older)
    pull(folder / "target", url)
    push(trained_models, url, newer)
    return folder


@pytest.fixture
def target(pushed: Path, registry: Path, tmp_path: Path) -> Path:
    """A models folder that has pulled the older version; the newer one is the current one of the registry."""
    shutil.copytree(pushed / "registry", registry)
    return Path(shutil.copytree(pushed / "target", tmp_path / "target"))


@pytest.mark.parametrize("make_url", [lambda folder: f"file://{folder}", lambda folder: f"memory://{folder}"])
def test_a_pushed_version_is_pulled_unchanged_and_files_are_copied_once(
    source: Path, registry: Path, tmp_path: Path, make_url: Callable[[Path], str]
) -> None:
    url, (older, newer) = make_url(registry), versions(source)

    pushed = [push(source, url, version) for version in (newer, older, newer)]
    pulled = [pull(tmp_path / "target", url) for _ in range(2)]

    assert [copied.files > 1 for copied in pushed] == [True, True, False]
    assert pulled == [Copied(newer, pushed[0].files - 1, pulled[0].bytes), Copied(newer, 0, 0)]
    assert versions(tmp_path / "target") == [newer]
    assert open_current(tmp_path / "target").manifest == open_current(source).manifest
    assert sorted(path.name for path in (tmp_path / "target").iterdir()) == [
        *(".lock", ".pull-lock"), newer, "CURRENT",
    ]  # fmt: skip


def change_manifest(version: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest as somebody would who may write to the registry: with its checksums."""
    manifest = json.loads((version / "manifest.json").read_text())
    change(manifest)
    content = json.dumps(manifest).encode()
    (version / "manifest.json").write_bytes(content)
    (version.parent / "CURRENT").write_text(f"{version.name} {sha256(content).hexdigest()}\n")


def with_file(name: str) -> Callable[[Path], None]:
    def change(version: Path) -> None:
        (version.parent / "evil.npy").write_bytes(b"evil")
        files = {name: sha256(b"evil").hexdigest()}
        change_manifest(version, lambda manifest: manifest["files"].update(files))  # type: ignore[attr-defined]

    return change


def alter_array(version: Path) -> None:
    path = version / "vectors.latent.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def write_large_manifest(version: Path) -> None:
    with (version / "manifest.json").open("r+") as file:
        file.truncate(1 << 30)  # takes no space


def alter_manifest(version: Path) -> None:
    (version / "manifest.json").write_bytes((version / "manifest.json").read_bytes() + b" ")


def put_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


REFUSED: dict[str, Callable[[Path], object]] = {
    "CURRENT is not a regular file": lambda version: put_fifo(version.parent / "CURRENT"),
    "neighbors.rows.npy does not exist": lambda version: put_fifo(version / "neighbors.rows.npy"),
    "vectors.latent.npy was altered": alter_array,
    "vectors.latent.npy does not exist: the version is not complete": lambda version: (
        version / "vectors.latent.npy"
    ).unlink(),
    "manifest.json does not exist": lambda version: (version / "manifest.json").unlink(),
    "manifest.json does not match its sha256": alter_manifest,
    "manifest.json is larger than 16,777,216 bytes": write_large_manifest,
    "forbidden name: '../evil.npy'": with_file("../evil.npy"),
    "forbidden name: '.hidden'": with_file(".hidden"),
    "forbidden name: 'manifest.sha256'": with_file("manifest.sha256"),
    "has 1,0": lambda version: change_manifest(
        version,
        lambda manifest: manifest["files"].update(dict.fromkeys(map(str, range(1000)), "")),  # type: ignore[attr-defined]
    ),
    "has format 99": lambda version: change_manifest(version, lambda manifest: manifest.update(format=99)),
    "belongs to version x": lambda version: change_manifest(
        version, lambda manifest: manifest.update(version="x")
    ),
    "20200101T000000Z-00000000/manifest.json does not exist": lambda version: (
        version.parent / "CURRENT"
    ).write_text(f"20200101T000000Z-00000000 {'0' * 64}\n"),
    "does not name a version: '../../etc": lambda version: (version.parent / "CURRENT").write_text(
        f"../../etc {'0' * 64}\n"
    ),
    "CURRENT is larger than 200 bytes": lambda version: (version.parent / "CURRENT").write_text("x" * 201),
    "no published model in file://": lambda version: (version.parent / "CURRENT").unlink(),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_version_that_is_not_as_pushed_is_refused_and_the_last_one_stays(
    target: Path, registry: Path, message: str
) -> None:
    before = sorted(path.name for path in target.iterdir())
    REFUSED[message](registry / versions(registry)[-1])

    with pytest.raises(ArtifactError) as refused:
        pull(target, registry.as_uri())

    assert message in str(refused.value)
    assert str(target) not in str(refused.value)  # but the place that must be repaired
    assert sorted(path.name for path in target.iterdir()) == before
    assert open_current(target).manifest.version == before[2]


@pytest.mark.usefixtures("target")
def test_a_version_that_does_not_fit_on_the_disk_is_not_copied(registry: Path, full_disk: Path) -> None:
    with pytest.raises(ArtifactError, match=r"the version has 0 MiB, and .* has room for -6"):
        pull(full_disk, registry.as_uri())

    assert versions(full_disk) == []


def test_a_version_that_was_damaged_here_is_replaced(target: Path, registry: Path) -> None:
    pull(target, registry.as_uri())
    alter_array(target / current_version(target))

    pull(target, registry.as_uri())

    assert open_current(target).manifest.version == versions(registry)[-1]


def test_a_version_is_never_replaced_by_another_model_of_its_name(
    source: Path, target: Path, registry: Path
) -> None:
    newer = versions(source)[-1]
    shutil.rmtree(source / newer)
    publish(build_model(newsroom()[1:]), source, now=NOW + timedelta(hours=1))
    content = (registry / "CURRENT").read_bytes()
    push(source, (registry / "other").as_uri())
    pull(target, registry.as_uri())

    with pytest.raises(ArtifactError, match=f"{newer} is another model; versions in a registry never change"):
        push(source, registry.as_uri())
    with pytest.raises(ArtifactError, match=f"{newer} is another model than the version of that name in the"):
        pull(target, (registry / "other").as_uri())

    assert (registry / "CURRENT").read_bytes() == content
    assert open_current(target).manifest == open_current(registry).manifest


def test_an_interrupted_push_is_continued(source: Path, registry: Path) -> None:
    push(source, registry.as_uri())
    version = registry / versions(source)[-1]
    for name in ("manifest.json", "vectors.latent.npy"):
        (version / name).unlink()
    (version / "articles.minutes.npy").write_bytes(b"a part")
    (registry / "CURRENT").unlink()

    assert push(source, registry.as_uri()).files == 3
    assert open_current(registry).manifest == open_current(source).manifest


def test_a_damaged_version_is_not_pushed(source: Path, registry: Path) -> None:
    alter_array(source / versions(source)[-1])

    with pytest.raises(ArtifactError, match=r"vectors.latent.npy was altered after publishing"):
        push(source, registry.as_uri())
    assert not registry.exists()


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_file_that_somebody_else_changed_is_not_replaced(registry: Path, scheme: str) -> None:
    storage = Storage(f"{scheme}://{registry}")
    storage.replace("CURRENT", b"1", None)
    before = storage.read("CURRENT", 10)
    storage.replace("CURRENT", b"2", before)

    for stale in (before, None):
        with pytest.raises(ConflictError, match="CURRENT was changed in the meantime"):
            storage.replace("CURRENT", b"3", stale)
    assert storage.read("CURRENT", 10).content == b"2"


def test_several_pulls_at_once_copy_a_version_once(target: Path, registry: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        copied = list(pool.map(lambda _: pull(target, registry.as_uri()), range(4)))

    assert sorted(result.files > 0 for result in copied) == [False, False, False, True]
    assert open_current(target).manifest.version == versions(registry)[-1]


def test_a_follower_pulls_what_is_current_and_tries_a_refused_version_again_later(
    source: Path, target: Path, registry: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older, newer = versions(source)
    follower = RegistryFollower(target, registry.as_uri())
    array = registry / newer / "vectors.latent.npy"
    content = array.read_bytes()
    array.unlink()
    for _ in range(2):
        follower.run_once()
    array.write_bytes(content)
    follower.run_once()  # is not due
    assert current_version(target) == older
    [record] = caplog.records
    assert record.message == (
        f"no new model from the registry: {registry.as_uri()}/{newer}/vectors.latent.npy does not exist: "
        "the version is not complete; push it again"
    )

    follower._retry_at = 0.0
    follower.run_once()
    assert current_version(target) == newer

    shutil.move(registry, registry.with_name("away"))
    follower.run_once()
    shutil.move(registry.with_name("away"), registry)
    roll_back(source)
    push(source, registry.as_uri())
    follower.run_once()
    assert current_version(target) == older


def test_an_error_of_a_library_is_shown_without_the_credentials() -> None:
    storage = Storage("sftp://me:p%40ss@host/models?key=abc")

    with pytest.raises(StorageError) as shown, storage._errors("read", "CURRENT"):
        raise RuntimeError("login of me:p@ss failed with p%40ss, key abc")

    assert str(shown.value) == (
        "cannot read sftp://***@host/models?***/CURRENT: login of *** failed with ***, key ***"
    )
    assert shown.value.__suppress_context__
