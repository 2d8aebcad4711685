"""The commands of the Dockerfile work in an empty folder: `make test-image`."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.guide import ROOT
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(not os.environ.get("RECOMMENDER_TEST_IMAGE"), reason="takes minutes: make test-image"),
]
_MAX_SERVE_BYTES = 220_000_000
_FOLDERS = ("/src", "/wheels", "/constraints.txt", "/opt/recommender", "/srv/recommender")


def instructions(stage: str, name: str) -> Iterator[str]:
    """Yield the arguments of the instructions with a name in a stage of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (part,) = re.findall(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM |\Z)", text, re.DOTALL | re.MULTILINE)
    yield from re.findall(rf"^{name} (.*)$", part, re.MULTILINE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the image's files, with what the Dockerfile copies into it."""
    root = tmp_path_factory.mktemp("image")
    for folder in ("src", "opt", "srv/recommender/models", "srv/recommender/state"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "constraints.txt", root)
    for copied in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / copied, root / "src")
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "recommender", root / "src" / "recommender", ignore=leave)
    return root


def inside(root: Path, text: str) -> str:
    """Return a text in which the folders of the image are below the root."""
    return re.sub("|".join(map(re.escape, _FOLDERS)), lambda match: f"{root}{match[0]}", text)


def environment(root: Path) -> dict[str, str]:
    pairs = re.findall(r"(\w+)=(\S+)", inside(root, " ".join(instructions("user", "ENV"))))
    own = dict(pairs)
    path = own.pop("PATH").replace("$PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return {**os.environ, **own, "PATH": path, "HOME": str(root / "srv/recommender")}


def build(root: Path, stage: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for run in instructions(stage, "RUN"):
        done = subprocess.run(
            ["sh", "-c", inside(root, run)],
            cwd=root / "src", env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not done.returncode, done.stdout + done.stderr


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_the_commands_of_the_images_build_train_and_serve(root: Path) -> None:
    build(root, "wheel")
    build(root, "serve-packages")
    assert size(root / "opt/recommender") <= _MAX_SERVE_BYTES
    missing = command(root, "train", "articles.jsonl")
    assert (missing.returncode, "pip install 'recommender[train]'" in missing.stderr) == (1, True)
    serve_only = shutil.copytree(root / "opt/recommender", root / "serve-only", symlinks=True)

    build(root, "train-packages")
    sample = root / "src/recommender/sample/articles.jsonl"
    trained = command(root, "train", str(sample), "--models-dir", "models")
    assert trained.returncode == 0, trained.stderr

    shutil.rmtree(root / "opt/recommender")
    serve_only.rename(root / "opt/recommender")
    port = free_port()
    (words,) = instructions("serve", "CMD")
    here = {"8000": str(port), "0.0.0.0": "127.0.0.1"}  # noqa: S104 in a container only
    arguments = [here.get(word, word) for word in json.loads(words)]
    (health,) = instructions("serve", "HEALTHCHECK")
    check = json.loads(health.partition("CMD ")[2].replace("8000", str(port)))
    service = subprocess.Popen(
        ["recommender", *arguments], cwd=root / "srv/recommender", env=environment(root)
    )
    try:
        eventually(
            lambda: (
                subprocess.run(check, env=environment(root), check=False, capture_output=True).returncode == 0
            )
        )
    finally:
        service.terminate()
        service.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def command(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as the entry point of an image does."""
    (entry,) = instructions("user", "ENTRYPOINT")
    return subprocess.run(
        [*json.loads(entry), *arguments],
        cwd=root / "srv/recommender", env=environment(root), capture_output=True, text=True, check=False,
    )  # fmt: skip
