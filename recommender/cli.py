"""The command line: thin commands over the library. Results go to stdout, progress and errors to stderr."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from recommender.commands.backtest import backtest
from recommender.commands.comparing import compare
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

_FAILED, _USAGE = 1, 2
_USAGE_ERRORS = (
    "recipe.RecipeError",
    "serving.http.problems.Problem",
    "training.evaluation.labels.LabelsError",
    "training.release.previous.BaselineError",
    "visibility.UndecidedError",
)
_KNOWN_ERRORS = (  # their messages tell users everything they need
    *("article.InvalidArticleError", "artifact.ArtifactError"),
    *(
        "settings.SettingsError",
        "serving.index.categories.UnknownCategoryError",
        "serving.worker.follower.NotReadyError",
    ),
    *(
        "serving.lists.related.UnknownArticleError",
        "serving.rules.schema.RulesError",
        "serving.store.StoreError",
    ),
    *(
        "training.backtest.replay.BacktestError",
        "training.formats.files.CorpusError",
    ),
    *("training.cluster.ClusterError", "training.train.TrainingError"),
    *_USAGE_ERRORS,
)
_COMMANDS: list[click.Command] = [
    backtest, compare, evaluate, export_live, importing, key, lint, models, related, rules, search, serve,
    similar, topics, train,
]  # fmt: skip


def main() -> None:
    """Run the command line. Exit status: 0 success, 1 failure, 2 usage error, 3 refused by the gate."""
    try:
        cli()
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("recommender"):
            raise
        extra = "cluster" if missing.name in {"dask", "distributed"} else "train"
        click.echo(f"error: {missing.name} is required: pip install 'recommender[{extra}]'", err=True)
        sys.exit(_FAILED)
    except _loaded(_KNOWN_ERRORS) as error:
        echo(f"error: {error}", err=True)
        sys.exit(_USAGE if isinstance(error, _loaded(_USAGE_ERRORS)) else _FAILED)


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


def _loaded(names: Iterable[str]) -> tuple[type[Exception], ...]:
    """Return the exception classes whose modules are imported; no other class can have been raised."""
    parts = [name.rpartition(".") for name in names]
    modules = [(sys.modules.get(f"recommender.{module}"), name) for module, _, name in parts]
    return tuple(getattr(module, name) for module, name in modules if module is not None)
