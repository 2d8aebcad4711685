"""Fixtures that run the command line in this process, in an empty folder."""

import json
import sys
from pathlib import Path

import pytest

from recommender.cli import main
from tests.support.cli import ROWS, CommandResult, Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Return a function that runs the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def command(*arguments: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["recommender", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return CommandResult(ended.value.code, *capsys.readouterr())

    return command


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path
