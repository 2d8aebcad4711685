"""The command line: thin commands over the library. Results go to stdout, progress and errors to stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from recommender.commands.backtest import backtest
from recommender.commands.comparing import compare
from recommender.commands.doctor import doctor
from recommender.commands.exit_status import exit_status, known_errors
from recommender.commands.export_live import export_live
from recommender.commands.files import echo
from recommender.commands.importing import importing
from recommender.commands.keys import key
from recommender.commands.lists import related, search, similar, topics
from recommender.commands.models import models
from recommender.commands.rules import rules
from recommender.commands.serve import serve
from recommender.commands.training import evaluate, lint, train
from recommender.printable import plain

_COMMANDS: list[click.Command] = [
    backtest, compare, doctor, evaluate, export_live, importing, key, lint, models, related, rules, search,
    serve, similar, topics, train,
]  # fmt: skip
_EXTRAS = {"dask": "cluster", "distributed": "cluster", "opentelemetry": "tracing"}


def main() -> None:
    """Run the command line. Exit status: 0 success, 1 failure, 2 usage error, 3 refused by the gate."""
    try:
        cli()
    except Exception as error:
        message = _message_of(error)
        if message is None:
            raise
        echo(f"error: {message}", err=True)
        sys.exit(exit_status(error))


def _message_of(error: Exception) -> str | None:
    """Return what users need to know about an error; None if only its traceback can help."""
    if isinstance(error, ModuleNotFoundError):
        library = (error.name or "").partition(".")[0]
        cure = f"is required: pip install 'recommender[{_EXTRAS.get(library, 'train')}]'"
        return None if library == "recommender" else f"{error.name} {cure}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    if isinstance(error, ImportError):  # such as a library that does not fit into memory
        return f"a library cannot be loaded: {error}"
    if isinstance(error, known_errors()):
        return str(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "not enough memory, or too many processes, to start a thread"
    return None


class _Cli(click.Group):
    """A group whose errors are printed without control characters."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Return the context of a call."""
        with _plain_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _plain_errors():
            return super().invoke(ctx)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.message = plain(error.message)  # type: ignore[misc]  # final for subclasses only
        raise


@click.group(
    cls=_Cli,
    commands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="recommender")
def cli() -> None:
    """Related articles for news sites: train a model offline and serve it over HTTP."""
