"""Values and types that the tests of the command line share."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

ROWS = [
    {"id": "a", "title": "Harbour ferry stops in winter", "body": "The island waits for the ferry."},
    {"id": "b", "title": "Island ferry timetable", "body": "The ferry sails from the harbour."},
    {"id": "c", "title": "Theft at the castle", "body": "The court heard of a theft."},
]
SAMPLE = files("recommender") / "sample" / "articles.jsonl"
STORIES = files("recommender") / "sample" / "stories.csv"


@dataclass(frozen=True)
class CommandResult:
    """The exit status of a command and what it printed."""

    status: object
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., CommandResult]


def in_a_process(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a separate process and return its exit status and output."""
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
