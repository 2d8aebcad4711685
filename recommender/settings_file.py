"""The TOML file of settings: read it, and write the half-life of trending to it."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from recommender.synced_files import write_synced


class SettingsError(ValueError):
    """A setting is invalid; the message names the variable, its value and the allowed values."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a file. Raises SettingsError if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def write_half_life(path: str | Path, window: str, minutes: float) -> None:
    """Write the half-life of a window to a settings file; create it if needed, keep its other content.

    Raises SettingsError if the file cannot be read or written, or if the setting spans several lines.
    """
    path, name = Path(path), "trending_half_lives"
    settings = read_toml(path) if path.exists() else {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known: Any = words(settings.get(name, ()))
    half_life_of = dict(map(pair, known)) | {window: f"{minutes:g}"}
    line = f'{name} = "{" ".join(map("=".join, half_life_of.items()))}"'
    changed, replacements = re.subn(rf"(?m)^{name}[ \t]*=.*$", line, text)
    try:
        tomllib.loads(changed)
        _replace(path, changed if replacements else f"{line}\n{text}")
    except tomllib.TOMLDecodeError:
        raise SettingsError(f"{name} in {path} spans several lines; write it on one line: {line}") from None
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from error


def words(value: object) -> object:
    """Split a string at spaces and commas; return other values unchanged."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def pair(word: str) -> tuple[str, str]:
    """Return the name and the value in a word such as `view=1`."""
    name, _, value = word.partition("=")
    return name, value


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically, and keep its permissions. Raises OSError."""
    path = path.resolve()  # a link stays a link
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        write_synced(aside, [text.encode()])
        if path.exists():
            aside.chmod(path.stat().st_mode & 0o7777)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
