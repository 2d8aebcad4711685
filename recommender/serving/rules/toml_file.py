"""TOML from people: a file that would take long to parse is refused."""

import re
import tomllib
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 1 << 20
_MAX_SHOWN_CHARS = 100
# The parser takes quadratic time for keys with many parts, such as a.b.c. Strings are blanked first.
_STRING = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_LONG_KEY = re.compile(r'(?<![\w-])(?:[\w-]++|"")(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"")){8,}')
_DOTTED_TABLE = re.compile(r"^[ \t]*+\[[^\]\n.]*+\.[^\]\n]*+", re.MULTILINE)
_MAX_COMMAS = 150_000  # between values


class CostlyFileError(ValueError):
    """A file would take long to parse; the message says why."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises OSError, ValueError, RecursionError and CostlyFileError."""
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise CostlyFileError(f"it is larger than {MAX_FILE_BYTES} bytes; remove expired rules")
    text = content.decode()
    without_strings = _STRING.sub('""', text)
    if (key := _LONG_KEY.search(without_strings) or _DOTTED_TABLE.search(without_strings)) is not None:
        raise CostlyFileError(f"the key {key[0][:_MAX_SHOWN_CHARS]!r} has too many parts; allowed: rule")
    if without_strings.count(",") > _MAX_COMMAS:
        raise CostlyFileError(f"it has more than {_MAX_COMMAS} values")
    return tomllib.loads(text)
