"""The state file: the last known withdrawals and rules, for when the store or the rules file is unusable."""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from recommender.synced_files import write_synced

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedState:
    """What decides that an article is never shown."""

    version: int = 0  # of the store
    withdrawn: dict[str, int] = field(default_factory=dict)  # microseconds of each withdrawal, by article id
    rules: tuple[tuple[str, str], ...] = ()  # of the store: ids and JSON, in order
    file_rules: tuple[tuple[str, str], ...] = ()  # of the rules file, likewise

    @classmethod
    def read(cls, path: Path) -> "SavedState | None":
        """Return the content of the file; None if there is no file, or none that can be read."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rules, file_rules = (
                tuple((str(rule_id), str(text)) for rule_id, text in pairs)
                for pairs in (content["rules"], content.get("file_rules", ()))
            )
            withdrawn = {str(article_id): int(at) for article_id, at in content["withdrawn"].items()}
            return cls(int(content["version"]), withdrawn, rules, file_rules)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            _log.error("cannot read the state file %s: %r", path, error)
            return None

    def write(self, path: Path) -> None:
        """Replace the file atomically and sync it. Raises OSError."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        content = {
            "version": self.version,
            "withdrawn": self.withdrawn,
            "rules": self.rules,
            "file_rules": self.file_rules,
        }
        try:
            write_synced(temporary, [json.dumps(content, ensure_ascii=False).encode()])
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
