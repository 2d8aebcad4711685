"""The command line as its tests run it: in this process, in an empty folder."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from recommender.cli import main

ROWS = [
    {"id": "a", "title": "Harbour ferry stops in winter", "body": "The island waits for the ferry."},
    {"id": "b", "title": "Island ferry timetable", "body": "The ferry sails from the harbour."},
    {"id": "c", "title": "Theft at the castle", "body": "The court heard of a theft."},
]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: object
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Return a function that runs the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["recommender", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return command


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def in_a_process(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)


STORIES = files("recommender") / "sample" / "stories.csv"


SAMPLE = files("recommender") / "sample" / "articles.jsonl"
