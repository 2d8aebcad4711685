"""The file of rules, read again when it changes. An invalid file does not replace a valid one."""

import logging
from pathlib import Path

from recommender.serving.rules.schema import Rule, RulesError, read_file

_log = logging.getLogger(__name__)

_Version = tuple[int, int, int] | None


class RulesFile:
    """The rules of a TOML file; no rules without a path. Raises RulesError if the file is invalid."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._version = self._current_version()
        self._rules = () if path is None else read_file(path)
        self.fault: str | None = None  # why the current file is not used

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules of the current file, or of the last valid one."""
        version = self._current_version()
        if self._path is None or version == self._version:
            return self._rules
        self._version = version
        try:
            self._rules, self.fault = read_file(self._path), None
        except RulesError as error:
            self.fault = str(error)
            _log.error("the rules are unchanged, because the new file is invalid: %s", error)
        return self._rules

    def _current_version(self) -> _Version:
        """Return time of change, size and inode, which differ after any change; None without a file."""
        try:
            status = None if self._path is None else self._path.stat()
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)
