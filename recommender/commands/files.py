"""Write files for commands."""

from pathlib import Path

import click


def write(path: str | Path, text: str) -> None:
    """Write text to a file. Raises ClickException if the file cannot be written."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
