"""Clients that are made of the contract by others' tools call the service, and strict checkers take them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from recommender.serving.openapi.document import document
from tests.support.servers import Server, serving

HERE = Path(__file__).parent
KEY = "key-of-the-clients"

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif("RECOMMENDER_TEST_CLIENTS" not in os.environ, reason="`make test-clients` runs it"),
]


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    with serving(
        folder / "log",
        models_dir=published,
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
        write_keys=f"cms:{sha256(KEY.encode()).hexdigest()}:articles+events",
    ) as running:
        yield running


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder with the contract in it."""
    (tmp_path / "openapi.json").write_bytes(document())
    return tmp_path


def run(workshop: Path, *command: str | Path) -> str:
    """Return what a command said, which has to succeed."""
    # The generator of the Python client calls ruff by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=workshop, env=environment, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


def test_a_client_in_python_puts_asks_and_counts(server: Server, workshop: Path) -> None:
    made = ("--output-path", "recommender_client", "--meta", "none", "--fail-on-warning")
    run(workshop, sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", *made)
    shutil.copy(HERE / "in_python.py", workshop)

    # All that is made of the contract. The generator's own client.py, the same for every contract, hands
    # arguments on as objects; it is followed, but not told of.
    strictly = ("--strict", "--config-file=", "--follow-imports=silent")
    parts = ("in_python.py", *(f"recommender_client/{part}" for part in ("api", "models", "types.py")))
    run(workshop, sys.executable, "-m", "mypy", *strictly, *parts)
    run(workshop, sys.executable, "in_python.py", f"http://127.0.0.1:{server.port}", KEY)


def test_a_client_in_typescript_puts_asks_and_counts(server: Server, workshop: Path) -> None:
    for name in ("in_typescript.ts", "package.json", "tsconfig.json"):
        shutil.copy(HERE / name, workshop)
    run(workshop, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
    run(workshop, "npx", "openapi-typescript", "openapi.json", "--output", "schema.d.ts")

    run(workshop, "npx", "tsc", "--project", "tsconfig.json")
    run(workshop, "node", "made/in_typescript.js", f"http://127.0.0.1:{server.port}", KEY)


def test_the_versions_of_the_tools_are_exact() -> None:
    wanted = json.loads((HERE / "package.json").read_text())["devDependencies"]

    assert all(version[0].isdigit() for version in wanted.values())
