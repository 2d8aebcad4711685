"""The file of rules, read again when it changes. An invalid file does not replace a valid one."""

import logging
import re
import tomllib
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from recommender.serving.rules.schema import (
    MAX_SHOWN_CHARS,
    Rule,
    RuleFault,
    RulesError,
    counted_faults,
    read_set,
    shown_value,
)

_log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1 << 20
_MAX_REASON_CHARS = 500
_MAX_FAULTS = 1000  # in a file; a thousand more do not help its author

# The parser takes quadratic time for keys with many parts, such as a.b.c. Strings are blanked first.
_STRING = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_LONG_KEY = re.compile(r'(?<![\w-])(?:[\w-]++|"")(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"")){8,}')

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


def read_file(path: str | Path) -> tuple[Rule, ...]:
    """Return the rules of a TOML file, which are `[[rule]]` tables.

    Raises RulesError with all faults, or the first thousand. A file that would take long to read is invalid:
    one over 1 MiB, or with keys of many parts.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        given = _parsed(content)
        names = (name for name in given if name != "rule")
        faults = [
            RuleFault("the file", name, shown_value(given[name]), "rule")
            for name in islice(names, _MAX_FAULTS)
        ]
        rules, more = _rules_in(given.get("rule", []))
    except OSError as error:
        raise RulesError(f"{path}: {error.strerror}") from None
    except RecursionError:
        raise RulesError(
            f"{path} is nested too deeply; the fields of a rule are texts and lists of texts"
        ) from None
    except RulesError as error:
        raise RulesError(f"{path}: {error}") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number with too many digits
        raise RulesError(f"{path} is not TOML: {str(error)[:_MAX_REASON_CHARS]}") from None
    faults = [*faults, *more][:_MAX_FAULTS]
    if faults:
        raise RulesError(f"{path}: {counted_faults(len(faults))}", faults)
    return rules


def _parsed(content: bytes) -> dict[str, Any]:
    """Return the content of a TOML file. Raises RulesError for one that would take long to parse, too."""
    if len(content) > MAX_FILE_BYTES:
        raise RulesError(f"it is larger than {MAX_FILE_BYTES} bytes; remove expired rules")
    text = content.decode()
    if (key := _LONG_KEY.search(_STRING.sub('""', text))) is not None:
        raise RulesError(f"the key {key[0][:MAX_SHOWN_CHARS]!r} has too many parts; allowed: rule")
    return tomllib.loads(text)


def _rules_in(tables: object) -> tuple[tuple[Rule, ...], tuple[RuleFault, ...]]:
    """Return the rules of a file, and their faults."""
    if not isinstance(tables, list):
        return (), (RuleFault("the file", "rule", shown_value(tables), "[[rule]], a table for each rule"),)
    try:
        return read_set(tables, _MAX_FAULTS), ()
    except RulesError as error:
        return (), error.faults
