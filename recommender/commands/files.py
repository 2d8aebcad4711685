"""Files that commands write."""

from pathlib import Path

import click


def write(path: str | Path, text: str) -> None:
    """Write a text to a file. Raises ClickException where that cannot be."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
