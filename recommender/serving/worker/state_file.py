"""The withdrawals and rules that a worker last saw, in a small file, for when there is no database."""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedState:
    """What must not be forgotten: it decides what is never shown."""

    version: int = 0  # of the store
    withdrawn: dict[str, int] = field(default_factory=dict)  # ids, each with the moment in microseconds
    rules: tuple[tuple[str, str], ...] = ()  # ids and JSON, in order

    @classmethod
    def read(cls, path: Path) -> "SavedState | None":
        """Return what the file holds; None where there is none, or none that can be read."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            rules = tuple((str(each), str(text)) for each, text in found["rules"])
            withdrawn = {str(each): int(at) for each, at in found["withdrawn"].items()}
            return cls(int(found["version"]), withdrawn, rules)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("what was last seen of the database is lost: %s: %r", path, error)
            return None

    def write(self, path: Path) -> None:
        """Put this in place of the file in one step, synced. Raises OSError."""
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        told = {"version": self.version, "withdrawn": self.withdrawn, "rules": self.rules}
        try:
            with aside.open("w", encoding="utf-8") as file:
                json.dump(told, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
