"""The sample newsroom that is installed with the package."""

from importlib.resources import files
from pathlib import Path


def sample_file(name: str = "articles.jsonl") -> Path:
    """Return the path of a file of the sample newsroom.

    `articles.jsonl`; `stories.csv` (labels); `recipe.toml`; `views.parquet` (four days of views, made up).
    Raises FileNotFoundError for another name.

    >>> recommender.sample_file("stories.csv").name
    'stories.csv'
    """
    folder = Path(str(files("recommender") / "sample"))
    names = sorted(path.name for path in folder.iterdir())
    if name not in names:
        raise FileNotFoundError(f"the sample has no file {name!r}; its files are {', '.join(names)}")
    return folder / name
