"""Exit statuses of the program, and the errors whose messages tell users everything they need."""

import sys
from collections.abc import Iterable

import click

FAILED, USAGE, REFUSED = 1, 2, 3  # REFUSED: by the quality gate

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
        "settings_file.SettingsError",
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


def exit_status(error: BaseException) -> int:
    """Return the exit status of the program if a command ends with this error."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, click.ClickException):
        return error.exit_code
    return USAGE if isinstance(error, _loaded(_USAGE_ERRORS)) else FAILED


def known_errors() -> tuple[type[Exception], ...]:
    """Return the errors that are reported by their message alone."""
    return _loaded(_KNOWN_ERRORS)


def _loaded(names: Iterable[str]) -> tuple[type[Exception], ...]:
    """Return the exception classes whose modules are imported; no other class can have been raised."""
    parts = [name.rpartition(".") for name in names]
    modules = [(sys.modules.get(f"recommender.{module}"), name) for module, _, name in parts]
    return tuple(getattr(module, name) for module, name in modules if module is not None)
