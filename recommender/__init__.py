"""Related articles for news sites: trained offline, served in one process.

The names below are the Python API for notebooks. Each name is imported on first use, so `import recommender`
is fast and a web worker never loads the training libraries.
"""

from typing import Any

_HOME = {
    "Article": "recommender.article",
    "Model": "recommender.model",
    "Recipe": "recommender.recipe",
    "evaluate": "recommender.training.evaluation.evaluate",
    "open_current": "recommender.artifact",
    "publish": "recommender.artifact",
    "read_articles": "recommender.training.readers.corpus",
    "train": "recommender.training.train",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Import a name of the Python API from its module, on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'recommender' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 importing this module must stay cheap

    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("recommender"):
            raise
        cure = "pip install 'recommender[train]'"
        raise ImportError(f"recommender.{name} needs {missing.name}: {cure}", name=missing.name) from missing
