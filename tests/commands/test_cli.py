"""The command line: exit statuses, clean stdout, and error messages that name the value and the solution."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path

import pytest

from recommender.artifact import current_version
from recommender.commands.exit_status import _KNOWN_ERRORS
from tests.support.cli import Run, in_a_process

TRAINING_LIBRARIES = (
    "joblib",
    "lxml",
    "numba",
    "pandas",
    "pyarrow",
    "sklearn",
    "stop_words",
)


def without_training_libraries(*commands: Sequence[object]) -> subprocess.CompletedProcess[str]:
    """Run commands in sequence without the train extra."""
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {TRAINING_LIBRARIES}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from recommender.cli import main
from recommender.serving.app import create_app
from recommender.settings import Settings
for command in {[[str(word) for word in command] for command in commands]!r}:
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""
    return in_a_process(sys.executable, "-c", code)


@pytest.mark.slow
def test_the_sample_is_trained_published_and_answers_as_a_process(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("recommender")
    sample = str(files("recommender") / "sample" / "articles.jsonl")

    trained = in_a_process(command, "train", sample, cwd=tmp_path)
    related = in_a_process(sys.executable, "-m", "recommender", "related", "1001", "--json", cwd=tmp_path)

    assert (trained.returncode, related.returncode, related.stderr) == (0, 0, "")
    assert "Articles         259" in trained.stdout
    assert current_version(tmp_path / "models") in trained.stdout
    assert "neighbours" in trained.stderr
    assert json.loads(related.stdout)["returned"] == 9


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "x.jsonl", "--threads", "0"],
        ["train", "x.jsonl", "--max-bad", "2"],
        ["serve", "--port", "99999"],
        ["serve", "--workers", "no"],
        ["related"],
        ["related", "1", "--bogus"],
        ["models", "frobnicate"],
        ["frobnicate"],
    ],
)
def test_a_usage_error_exits_with_2_and_names_the_error(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert arguments[-1] in ended.err or "Missing argument" in ended.err


def test_help_and_version_are_printed(run: Run) -> None:
    assert run("--version").out.endswith(f"version {installed_version('recommender')}\n")
    assert run("-h").status == 0
    for command in ("train", "serve", "related", "similar", "lint", "models"):
        assert run(command, "--help").status == 0
        assert command in run("--help").out


def test_without_a_model_every_command_names_the_command_to_run(run: Run) -> None:
    for command in (["related", "1"], ["similar", "--title", "x"], ["models", "list"], ["models", "verify"]):
        ended = run(*command)

        assert (ended.status, ended.out) == (1, "")
        assert ended.err == "error: no published model in models; run `make train` or `recommender train`\n"


@pytest.mark.parametrize("name", _KNOWN_ERRORS)
def test_every_error_class_is_handled(name: str) -> None:
    module, _, kind = name.rpartition(".")
    error = getattr(import_module(f"recommender.{module}"), kind)

    assert f"{error.__module__}.".startswith(
        f"recommender.{module}."
    )  # otherwise that module may not be imported


@pytest.mark.slow
def test_serving_commands_need_no_training_library(published: Path) -> None:
    options = ["--json", "--models-dir", published]

    ended = without_training_libraries(
        ["related", "1001", *options], ["similar", "--title", "ferry", *options]
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count('"returned": 9,') == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "lint"])
def test_without_the_train_extra_the_error_names_the_package_to_install(corpus: Path, command: str) -> None:
    ended = without_training_libraries([command, corpus])

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"error: \w+ is required: pip install 'recommender\[train\]'\n", ended.stderr)
