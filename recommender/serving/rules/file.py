"""The file of rules, read again when it changes. An invalid file does not replace a valid one."""

import logging
from pathlib import Path
from typing import Literal

from recommender.serving.rules.schema import Rule, RulesError, read_file

_log = logging.getLogger(__name__)

_Version = tuple[int, int, int] | None


class RulesFile:
    """The rules of a TOML file; no rules without a path.

    If the file is invalid at the start, the rules are `last_known`, those of an earlier process.
    """

    def __init__(self, path: Path | None = None, last_known: tuple[Rule, ...] = ()) -> None:
        self._path = path
        self._rules: tuple[Rule, ...] = () if path is None else last_known
        self._version: _Version | Literal["unread"] = "unread"
        self.fault: str | None = None  # why the current file is not used
        self.rules()

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules of the current file, or of the last valid one."""
        version = self._current_version()
        if self._path is None or version == self._version:
            return self._rules
        rules, fault = self._rules, None
        try:
            rules = read_file(self._path)
        except RulesError as error:
            fault = str(error)
            _log.error("the rules are unchanged, because the new file is invalid: %s", error)
        self._rules, self.fault, self._version = rules, fault, version
        return self._rules

    def _current_version(self) -> _Version:
        """Return time of change, size and inode, which differ after any change; None without a file."""
        try:
            status = None if self._path is None else self._path.stat()
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)
