"""The command line: thin commands over the library. Results go to stdout, progress and errors to stderr."""

import sys

import click

from recommender.commands.keys import key
from recommender.commands.lists import related, similar, topics
from recommender.commands.models import models
from recommender.commands.rules import rules
from recommender.commands.serve import serve
from recommender.commands.training import evaluate, lint, train
from recommender.commands.views import importing

_FAILED, _WRONG_USE = 1, 2
_COMMANDS: list[click.Command] = [
    evaluate, importing, key, lint, models, related, rules, serve, similar, topics, train,
]  # fmt: skip


def main() -> None:
    """Run the command line; the exit status is 0 done, 1 failed, 2 wrong use, 3 refused by the gate."""
    try:
        cli()
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("recommender"):
            raise
        click.echo(f"error: this needs {missing.name}: pip install 'recommender[train]'", err=True)
        sys.exit(_FAILED)
    except _known_errors() as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(_WRONG_USE if isinstance(error, _wrong_use()) else _FAILED)


@click.group(
    commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="recommender")
def cli() -> None:
    """Related articles for news sites: train a model offline, serve it over HTTP."""


def _wrong_use() -> tuple[type[Exception], ...]:
    from recommender.serving.problems import Problem

    return (Problem, *_loaded_errors(("previous", "BaselineError")))


def _loaded_errors(*named: tuple[str, str]) -> list[type[Exception]]:
    """Return the errors of those modules of training that were needed."""
    modules = [(sys.modules.get(f"recommender.training.{module}"), name) for module, name in named]
    return [getattr(loaded, name) for loaded, name in modules if loaded is not None]


def _known_errors() -> tuple[type[Exception], ...]:
    """Return the errors whose message says all that a user needs."""
    from recommender.article import InvalidArticleError
    from recommender.artifact import ArtifactError
    from recommender.recipe import RecipeError
    from recommender.serving.categories import UnknownCategoryError
    from recommender.serving.problems import Problem
    from recommender.serving.related import UnknownArticleError
    from recommender.serving.rulebook import RulesError
    from recommender.serving.store import StoreError
    from recommender.settings import SettingsError

    training = _loaded_errors(
        ("previous", "BaselineError"), ("corpus", "CorpusError"), ("labels", "LabelsError"),
        ("train", "TrainingError"),
    )  # fmt: skip
    return (
        ArtifactError, InvalidArticleError, Problem, RecipeError, RulesError, SettingsError, StoreError,
        UnknownArticleError, UnknownCategoryError, *training,
    )  # fmt: skip
