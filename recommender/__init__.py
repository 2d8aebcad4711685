"""Related articles for news sites: trained offline, served in one process.

The names below are the Python API for notebooks. Each name is imported on first use, so `import recommender`
is fast and a web worker never loads the training libraries.

>>> corpus = recommender.read_articles(recommender.sample_file())
>>> trained = recommender.train(corpus)
>>> trained.neighbors_frame(k=9).shape
(2331, 8)
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers, and for the completion of names in editors and notebooks
    from recommender.article import Article, InvalidArticleError
    from recommender.artifact import ArtifactError, open_current, open_version, publish, versions
    from recommender.model import Model
    from recommender.recipe import Recipe, RecipeError
    from recommender.sample_files import sample_file
    from recommender.serving.lists.query import ListQuery
    from recommender.serving.lists.related import Related
    from recommender.training.backtest.click_log import read_events
    from recommender.training.backtest.plots import plot_definitions, plot_half_lives
    from recommender.training.backtest.ranked import rank_trending
    from recommender.training.backtest.replay import BacktestError, BacktestSettings, backtest
    from recommender.training.backtest.report import BacktestReport
    from recommender.training.comparison.compare import Comparison, compare
    from recommender.training.comparison.tune import Tuning, tune
    from recommender.training.estimator import RelatedArticles
    from recommender.training.evaluation import plots
    from recommender.training.evaluation.baselines import ablations, baselines
    from recommender.training.evaluation.error_analysis import worst_misses
    from recommender.training.evaluation.evaluate import EvaluationReport, evaluate
    from recommender.training.evaluation.labels import LabelFile, LabelsError, read_labels
    from recommender.training.evaluation.report import (
        health_table,
        html_report,
        misses_table,
        quality_table,
    )
    from recommender.training.formats.files import CorpusError
    from recommender.training.frames import articles_frame, display_table, neighbors_frame, topics_frame
    from recommender.training.readers.corpus import Corpus, read_articles
    from recommender.training.readers.lint import LintReport, lint
    from recommender.training.train import Trained, TrainingError, train

__all__ = [
    "Article",
    "ArtifactError",
    "BacktestError",
    "BacktestReport",
    "BacktestSettings",
    "Comparison",
    "Corpus",
    "CorpusError",
    "EvaluationReport",
    "InvalidArticleError",
    "LabelFile",
    "LabelsError",
    "LintReport",
    "ListQuery",
    "Model",
    "Recipe",
    "RecipeError",
    "Related",
    "RelatedArticles",
    "Trained",
    "TrainingError",
    "Tuning",
    "ablations",
    "articles_frame",
    "backtest",
    "baselines",
    "compare",
    "display_table",
    "evaluate",
    "health_table",
    "html_report",
    "lint",
    "misses_table",
    "neighbors_frame",
    "open_current",
    "open_version",
    "plot_definitions",
    "plot_half_lives",
    "plots",
    "publish",
    "quality_table",
    "rank_trending",
    "read_articles",
    "read_events",
    "read_labels",
    "sample_file",
    "topics_frame",
    "train",
    "tune",
    "versions",
    "worst_misses",
]

_NAMES_OF = {
    "article": "Article InvalidArticleError",
    "artifact": "ArtifactError open_current open_version publish versions",
    "model": "Model",
    "recipe": "Recipe RecipeError",
    "sample_files": "sample_file",
    "serving.lists.query": "ListQuery",
    "serving.lists.related": "Related",
    "training.backtest.click_log": "read_events",
    "training.backtest.plots": "plot_definitions plot_half_lives",
    "training.backtest.ranked": "rank_trending",
    "training.backtest.replay": "BacktestError BacktestSettings backtest",
    "training.backtest.report": "BacktestReport",
    "training.estimator": "RelatedArticles",
    "training.evaluation": "plots",
    "training.evaluation.baselines": "ablations baselines",
    "training.comparison.compare": "Comparison compare",
    "training.evaluation.error_analysis": "worst_misses",
    "training.evaluation.evaluate": "EvaluationReport evaluate",
    "training.evaluation.labels": "LabelFile LabelsError read_labels",
    "training.evaluation.report": "health_table html_report misses_table quality_table",
    "training.comparison.tune": "Tuning tune",
    "training.formats.files": "CorpusError",
    "training.frames": "articles_frame display_table neighbors_frame topics_frame",
    "training.readers.corpus": "Corpus read_articles",
    "training.readers.lint": "LintReport lint",
    "training.train": "Trained TrainingError train",
}
_HOME = {name: f"recommender.{module}" for module, names in _NAMES_OF.items() for name in names.split()}


def __dir__() -> list[str]:
    """Return the names of the Python API, and those that every module has."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


def _imported(name: str) -> object:
    """Import a name of the Python API from its module, on first use."""
    if name not in _HOME or _is_only_listed(name):
        raise AttributeError(
            f"module 'recommender' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
        )
    from importlib import import_module  # noqa: PLC0415 importing this module must stay cheap

    try:
        module = import_module(_HOME[name])
        return getattr(module, name) if hasattr(module, name) else import_module(f"{_HOME[name]}.{name}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("recommender"):
            raise
        cure = "pip install 'recommender[train]'"
        raise ImportError(f"recommender.{name} needs {missing.name}: {cure}", name=missing.name) from missing


def _is_only_listed(name: str) -> bool:
    """Return whether the caller completes names in a notebook, and this one needs libraries for training.

    Jedi looks at every name that it lists. Loading the libraries takes longer than a notebook waits, so that
    it would list nothing. Without them, it lists the name without its kind.
    """
    home = _HOME[name]
    if home in sys.modules or not home.startswith("recommender.training."):
        return False
    caller = sys._getframe(2)  # noqa: SLF001 the documented way to the caller; of this function's caller
    return str(caller.f_globals.get("__name__")).startswith("jedi.")


if not TYPE_CHECKING:  # a type checker would accept every name
    __getattr__ = _imported
