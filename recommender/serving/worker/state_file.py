"""The state file: the withdrawals and rules last read from the store, for when the store is down."""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedState:
    """What decides that an article is never shown."""

    version: int = 0  # of the store
    withdrawn: dict[str, int] = field(default_factory=dict)  # microseconds of each withdrawal, by article id
    rules: tuple[tuple[str, str], ...] = ()  # ids and JSON, in order

    @classmethod
    def read(cls, path: Path) -> "SavedState | None":
        """Return the content of the file; None if there is no file, or none that can be read."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rules = tuple((str(rule_id), str(text)) for rule_id, text in content["rules"])
            withdrawn = {str(article_id): int(at) for article_id, at in content["withdrawn"].items()}
            return cls(int(content["version"]), withdrawn, rules)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("cannot read the state file %s: %r", path, error)
            return None

    def write(self, path: Path) -> None:
        """Replace the file atomically and sync it. Raises OSError."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        content = {"version": self.version, "withdrawn": self.withdrawn, "rules": self.rules}
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
