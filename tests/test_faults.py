"""A complete version stays in service, whatever fails while another is published."""

import errno
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.artifact import ArtifactError, current_version, open_current, open_version, publish, versions
from recommender.recipe import Recipe
from recommender.training.train import Trained, train
from tests.support.sample import NOW

LATER = datetime(2027, 1, 2, tzinfo=UTC)
PAGE = 4096
LAST_CALLS = 12  # from the last array's fsync to the fsync that makes CURRENT last
MOMENTS = 28

# Runs the command line with so many more bytes of address space than it has after loading its libraries.
LIMITED = r"""
import resource, sys
from pathlib import Path
import recommender.terminal, recommender.training.release.release
from recommender.cli import main

pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv.pop(1)),) * 2)
main()
"""

# After reading a line from stdin, publishes one folder's current model to another and prints the calls that
# change the disk. It kills itself before call number `turn` (0: never), or in the middle of it if that is a
# write.
PUBLISHER = r"""
import io, json, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from recommender.artifact import open_current, publish

source, target, turn, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
calls, really_open = [], io.open

def count(call, place):
    name = os.path.basename(os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else place)
    calls.append(f"{call} {'BUILDING' if name.startswith('.building-') else name}")
    if len(calls) == turn:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(name):
    function = getattr(os, name)
    def call(place, *more, **named):
        count(name, place)
        return function(place, *more, **named)
    setattr(os, name, call)

class Raw(io.FileIO):
    def write(self, content):
        content = memoryview(content)
        half = super().write(content[: len(content) // 2])
        count("write", self.name)
        return half + super().write(content[half:])

def open_to_write(path, mode="r", *more, **named):
    if mode not in {"wb", "xb"}:
        return really_open(path, mode, *more, **named)
    count("open", path)
    return io.BufferedWriter(Raw(path, mode))

model = open_current(source)
for name in ("fsync", "mkdir", "rename", "replace"):
    counted(name)
io.open = open_to_write
sys.stdin.readline()
for _ in range(times):
    extra = {"notes.txt": lambda path: path.write_bytes(b"written by a function")}
    publish(model, target, now=datetime(2027, 1, 2, tzinfo=UTC), extra_files=extra)
print(json.dumps(calls))
"""


def publisher(source: Path, target: Path, slot: int = 0, times: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUBLISHER, str(source), str(target), str(slot), str(times)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def small(sample_articles: list[Article]) -> Trained:
    whole_words = Recipe.model_validate({"terms": {"piece_weight": 0.0}})  # two of them fit on the disk
    return train(sample_articles[:12], whole_words, now=NOW)


@pytest.fixture(scope="module")
def small_models(small: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a different model than `published`."""
    folder = tmp_path_factory.mktemp("small")
    publish(small.model, folder, now=NOW)
    return folder


@pytest.fixture(scope="module")
def calls(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The calls during one publish that change the disk, in order."""
    folder = tmp_path_factory.mktemp("calls") / "counted"
    printed, _ = publisher(small_models, folder).communicate("\n")
    return [str(call) for call in json.loads(printed)]


def assert_in_service(models_dir: Path, version: str) -> None:
    """Check that the version is current and complete, and that no unfinished version is left."""
    assert open_current(models_dir).manifest.version == version
    assert not list(models_dir.glob(".building-*"))


def refusal(trained: Trained, models_dir: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        publish(trained.model, models_dir, now=LATER, extra_files=trained.extra_files())
    return str(refused.value)


@pytest.mark.slow
def test_all_files_are_synced_before_the_version_and_then_current_appear(calls: list[str]) -> None:
    renamed = calls.index("rename BUILDING")
    written = [call.split()[1] for call in calls[:renamed] if call.startswith("open")]

    assert calls[0] == "mkdir counted"
    assert calls[1].startswith("fsync ")  # the folder that now holds it
    assert calls[2:4] == ["mkdir BUILDING", "open articles.ids.utf8.npy"]
    assert len(written) > 50
    assert {f"fsync {name}" for name in written} <= set(calls[:renamed])
    assert calls[renamed - 7 :] == [
        "open manifest.json", "write manifest.json", "fsync manifest.json",
        "open manifest.sha256", "write manifest.sha256", "fsync manifest.sha256", "fsync BUILDING",
        "rename BUILDING", "fsync counted",
        "open CURRENT.new", "write CURRENT.new", "fsync CURRENT.new", "replace CURRENT.new", "fsync counted",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_publish_killed_at_any_point_leaves_a_version_that_opens(
    published_copy: Path, small_models: Path, calls: list[str], trained: Trained, moment: int
) -> None:
    early, spread = len(calls) - LAST_CALLS, MOMENTS - LAST_CALLS
    slot = 1 + moment * early // spread if moment < spread else early + 1 + moment - spread
    old = current_version(published_copy)

    killed = publisher(small_models, published_copy, slot)
    killed.communicate("\n")

    assert killed.returncode == -signal.SIGKILL
    replaced = "replace CURRENT.new" in calls[: slot - 1]
    assert (open_current(published_copy).manifest.version == old) is not replaced
    assert_in_service(published_copy, publish(trained.model, published_copy, now=LATER))


@pytest.mark.slow
def test_processes_that_publish_at_the_same_time_all_publish(
    published_copy: Path, small_models: Path, published: Path
) -> None:
    old = current_version(published_copy)
    running = [publisher(source, published_copy, times=5) for source in (published, small_models) * 2]

    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    opened = set()
    while any(process.poll() is None for process in running):
        opened.add(open_current(published_copy).manifest.version)
    ended = [process.communicate() and process.returncode for process in running]

    assert ended == [0, 0, 0, 0]
    assert len(versions(published_copy)) == 21
    for version in versions(published_copy):
        assert open_version(published_copy, version).manifest.version == version
    assert opened <= {*versions(published_copy), old}
    assert len(opened) > 1
    assert_in_service(published_copy, current_version(published_copy))


def test_a_full_disk_leaves_the_old_version_in_service(
    full_disk: Path, small: Trained, trained: Trained
) -> None:
    old = publish(small.model, full_disk, now=NOW)

    message = refusal(trained, full_disk)

    assert message.startswith(f"cannot publish to {full_disk}")
    assert message.endswith("; the current version stays in service")
    assert_in_service(full_disk, old)
    assert_in_service(full_disk, publish(small.model, full_disk, now=LATER))


def test_the_message_about_a_full_disk_says_so(full_disk: Path, trained: Trained) -> None:
    assert "No space left on device" in refusal(trained, full_disk)


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_page_leaves_a_version_that_opens(
    full_disk: Path, small: Trained
) -> None:
    current = old = publish(small.model, full_disk, now=NOW)
    pages = -1

    while current == old:
        pages += 1
        fill(full_disk, leave=pages * PAGE)
        try:
            current = publish(small.model, full_disk, now=LATER)
        except ArtifactError:
            assert_in_service(full_disk, old)

    assert pages > 50
    assert_in_service(full_disk, current)


def fill(disk: Path, leave: int) -> None:
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * PAGE - leave
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)


@pytest.mark.parametrize("call", ["fsync", "rename", "replace", "mkdir"])
def test_a_disk_that_fails_leaves_the_old_version_in_service(
    trained: Trained, published_copy: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    old = current_version(published_copy)
    monkeypatch.setattr(os, call, fail)

    message = refusal(trained, published_copy)

    assert (
        message
        == f"cannot publish to {published_copy}: Input/output error; the current version stays in service"
    )
    assert_in_service(published_copy, old)


def test_a_file_that_cannot_be_written_is_named(trained: Trained, published_copy: Path) -> None:
    def fill_up(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    old = current_version(published_copy)

    with pytest.raises(
        ArtifactError, match=r"cannot publish to .*/half\.bin: No space left on device; the current"
    ):
        publish(trained.model, published_copy, now=LATER, extra_files={"half.bin": fill_up})

    assert_in_service(published_copy, old)


def test_an_error_in_a_writer_is_raised(trained: Trained, published_copy: Path) -> None:
    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    old = current_version(published_copy)

    with pytest.raises(KeyboardInterrupt):
        publish(trained.model, published_copy, now=LATER, extra_files={"x": interrupt})

    assert_in_service(published_copy, old)


def test_a_file_instead_of_the_folder_is_named(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")

    for folder in (tmp_path / "models", tmp_path / "models" / "deeper"):
        assert refusal(trained, folder).startswith(f"cannot publish to {folder}: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing can be denied to root")
def test_a_folder_without_write_permission_is_named(trained: Trained, published_copy: Path) -> None:
    old = current_version(published_copy)
    (published_copy / ".lock").unlink()
    published_copy.chmod(0o500)

    assert refusal(trained, published_copy).startswith(
        f"cannot publish to {published_copy / '.lock'}: Permission"
    )

    published_copy.chmod(0o700)
    assert_in_service(published_copy, old)


def test_the_files_of_a_killed_run_are_removed(trained: Trained, published_copy: Path) -> None:
    abandoned = published_copy / ".building-0123456789abcdef"
    abandoned.mkdir()
    (abandoned / "vectors.values.npy").write_bytes(b"half")
    (published_copy / "CURRENT.new").write_bytes(b"ha")

    version = publish(trained.model, published_copy, now=LATER)

    assert_in_service(published_copy, version)
    assert sorted(path.name for path in published_copy.iterdir()) == sorted(
        [".lock", "CURRENT", *versions(published_copy)]
    )


@pytest.mark.slow
def test_a_training_without_enough_memory_says_so_and_changes_nothing(
    sample_articles: list[Article], tmp_path: Path
) -> None:
    models, corpus = tmp_path / "models", tmp_path / "corpus.jsonl"
    before = publish(train(sample_articles[:60], now=NOW).model, models, now=NOW)
    # One large allocation fails, not one of the many small ones, after which some libraries in C++ abort.
    corpus.write_text(json.dumps({"id": "1", "title": "one", "body": "word " * 60_000_000}) + "\n")

    ended = subprocess.run(
        [
            *(sys.executable, "-c", LIMITED, "100000000"),
            *("train", corpus, "--models-dir", models, "--max-row-mib", "1000"),
        ],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith("error: not enough memory")
    assert current_version(models) == before
    assert [path.name for path in models.glob(".building-*")] == []
