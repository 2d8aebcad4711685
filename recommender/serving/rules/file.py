"""The file of rules as one worker follows it: read again when it changes, and never left for a broken one."""

import logging
from pathlib import Path

from recommender.serving.rules.schema import Rule, RulesError, read_file

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int] | None


class RulesFile:
    """The rules of a TOML file; without a path there are none. Raises RulesError for one that is wrong."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._stamp = self._look()
        self._rules = () if path is None else read_file(path)
        self.fault: str | None = None  # what is wrong with the file since it changed

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules of the file as it is now, or as it last was without fault."""
        stamp = self._look()
        if self._path is None or stamp == self._stamp:
            return self._rules
        self._stamp = stamp
        try:
            self._rules, self.fault = read_file(self._path), None
        except RulesError as error:
            self.fault = str(error)
            _log.error("the rules stay as they were: %s", error)
        return self._rules

    def _look(self) -> _Stamp:
        """Return what tells one state of the file from the next."""
        try:
            facts = None if self._path is None else self._path.stat()
        except OSError:
            return None
        return None if facts is None else (facts.st_mtime_ns, facts.st_size, facts.st_ino)
