"""Clients generated from the OpenAPI document work, and pass strict type checkers."""

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
    pytest.mark.skipif(
        "RECOMMENDER_TEST_CLIENTS" not in os.environ, reason="run it with `make test-clients`"
    ),
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
def folder(tmp_path: Path) -> Path:
    """A folder that contains the OpenAPI document."""
    (tmp_path / "openapi.json").write_bytes(document())
    return tmp_path


def run(folder: Path, *command: str | Path) -> str:
    """Return the output of a command, which must succeed."""
    # The generator of the Python client runs ruff from PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_a_generated_python_client_works(server: Server, folder: Path) -> None:
    options = ("--output-path", "recommender_client", "--meta", "none", "--fail-on-warning")
    run(folder, sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", *options)
    shutil.copy(HERE / "in_python.py", folder)

    # Check everything generated from the document. The generator's client.py is the same for every document
    # and passes arguments on as objects; mypy follows it but reports no errors in it.
    strict = ("--strict", "--config-file=", "--follow-imports=silent")
    parts = ("in_python.py", *(f"recommender_client/{part}" for part in ("api", "models", "types.py")))
    run(folder, sys.executable, "-m", "mypy", *strict, *parts)
    run(folder, sys.executable, "in_python.py", f"http://127.0.0.1:{server.port}", KEY)


def test_the_generated_typescript_types_work(server: Server, folder: Path) -> None:
    for name in ("in_typescript.ts", "package.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    run(folder, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
    run(folder, "npx", "openapi-typescript", "openapi.json", "--output", "schema.d.ts")

    run(folder, "npx", "tsc", "--project", "tsconfig.json")
    run(folder, "node", "made/in_typescript.js", f"http://127.0.0.1:{server.port}", KEY)


def test_the_versions_of_the_tools_are_pinned() -> None:
    wanted = json.loads((HERE / "package.json").read_text())["devDependencies"]

    assert all(version[0].isdigit() for version in wanted.values())
