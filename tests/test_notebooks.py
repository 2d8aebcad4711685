"""The notebooks use public names only, use only the shared palette, and run on the sample."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import recommender

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_there_are_six_notebooks() -> None:
    assert [notebook.name[0] for notebook in NOTEBOOKS] == list("123456")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_public_names_only_and_the_palette(notebook: Path) -> None:
    code = code_of(notebook)
    imported = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in imported if isinstance(node, ast.ImportFrom)}
    names = {
        alias.name
        for node in imported
        if isinstance(node, ast.ImportFrom) and node.module == "recommender"
        for alias in node.names
    }

    assert {module for module in modules if module.startswith("recommender")} == {"recommender"}
    assert names | set(re.findall(r"\brecommender\.(\w+)", code)) <= set(recommender.__all__)
    assert not re.findall(r"#[0-9a-f]{6}|tab10|colormap|cmap", code)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_results(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]

    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_sample(notebook: Path, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"CORPUS", "LABELS", "EVENTS"}
    }
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "--log-level", "ERROR"]

    done = subprocess.run(
        [*command, "--output-dir", tmp_path, notebook],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Warning" not in (tmp_path / f"{notebook.stem}.html").read_text(encoding="utf-8")
