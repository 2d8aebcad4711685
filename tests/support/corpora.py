"""Small corpus files for tests."""

import json
from pathlib import Path


def jsonl(path: Path, *rows: object) -> Path:
    """Write the rows to a file of JSON lines and return its path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
