"""Write files, and print messages, for commands."""

from pathlib import Path

import click

from recommender.printable import plain, plain_json


def echo(message: object, *, err: bool = False) -> None:
    """Print a message, with control characters in it escaped."""
    click.echo(plain(str(message)), err=err)


def echo_json(text: str, *, nl: bool = True) -> None:
    """Print JSON, with control characters in its strings escaped."""
    click.echo(plain_json(text), nl=nl)


def write(path: str | Path, text: str) -> None:
    """Write text to a file. Raises ClickException if the file cannot be written."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
