"""The command line: thin commands over the library. Results go to stdout, progress and errors to stderr."""

import sys
from collections.abc import Iterable

import click

from recommender.commands.backtest import backtest
from recommender.commands.export_live import export_live
from recommender.commands.importing import importing
from recommender.commands.keys import key
from recommender.commands.lists import related, search, similar, topics
from recommender.commands.models import models
from recommender.commands.rules import rules
from recommender.commands.serve import serve
from recommender.commands.training import evaluate, lint, train

_FAILED, _WRONG_USE = 1, 2
_ERRORS_OF_USE = ("serving.http.problems.Problem", "training.release.previous.BaselineError")
_KNOWN_ERRORS = (  # whose message says all that a user needs
    *("article.InvalidArticleError", "artifact.ArtifactError", "recipe.RecipeError"),
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
        "training.evaluation.labels.LabelsError",
        "training.readers.files.CorpusError",
    ),
    "training.train.TrainingError",
    *_ERRORS_OF_USE,
)
_COMMANDS: list[click.Command] = [
    backtest, evaluate, export_live, importing, key, lint, models, related, rules, search, serve, similar,
    topics, train,
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
    except _loaded(_KNOWN_ERRORS) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(_WRONG_USE if isinstance(error, _loaded(_ERRORS_OF_USE)) else _FAILED)


@click.group(
    commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="recommender")
def cli() -> None:
    """Related articles for news sites: train a model offline, serve it over HTTP."""


def _loaded(names: Iterable[str]) -> tuple[type[Exception], ...]:
    """Return those of the errors whose modules were needed: no other can have been raised."""
    parted = [name.rpartition(".") for name in names]
    found = [(sys.modules.get(f"recommender.{module}"), name) for module, _, name in parted]
    return tuple(getattr(module, name) for module, name in found if module is not None)
