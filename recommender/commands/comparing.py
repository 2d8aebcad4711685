"""The command `compare`: recipes on one corpus, with paired differences."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from recommender.commands.output import Reporting, output_options, report
from recommender.options import corpus_options, reading


@click.command(cls=Reporting)
@corpus_options
@click.option(
    "--recipe",
    "recipe_paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Recipe in TOML; repeatable. One recipe is compared with the default recipe.",
)
@click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    help="Labels in CSV: id,story_id or a,b,grade.  [default: parts of articles must find their article]",
)
@click.option("--threads", type=click.IntRange(1, 256), help="Number of threads.  [default: all cores]")
@output_options
def compare(corpus: tuple[Path, ...], recipe_paths: tuple[Path, ...], **options: Any) -> None:
    """Compare recipes on CORPUS: quality, paired differences, time and memory.

    The other recipes are compared with the first one. Nothing is published.
    """
    from recommender.list_tables import comparison_table
    from recommender.recipe import Recipe
    from recommender.terminal import Bars
    from recommender.training.comparison.compare import compare as run
    from recommender.training.evaluation.labels import read_labels
    from recommender.training.readers.corpus import read_articles

    names = [path.stem for path in recipe_paths]
    if len(set(names)) < len(names):
        names = list(map(str, recipe_paths))
    if len(set(names)) < len(names):
        raise click.UsageError("the same recipe is given twice")
    recipes = {name: Recipe.from_toml(path) for name, path in zip(names, recipe_paths, strict=True)}
    if len(recipes) == 1:
        recipes = {"default" if "default" not in recipes else "(default)": Recipe(), **recipes}
    labels = read_labels(options["labels_path"]) if options["labels_path"] else None
    bars = Bars(Console(stderr=True))
    with bars.reading() as advance:
        articles = read_articles(*corpus, progress=advance, **reading(options))
    comparison = run(articles, recipes, labels, threads=options["threads"], progress=bars)

    def records() -> list[dict[str, Any]]:
        differences = comparison.differences.add_prefix("minus_first_")
        rows = comparison.table.join(differences).reset_index().to_dict("records")
        return [{str(key): None if value != value else value for key, value in row.items()} for row in rows]  # noqa: PLR0124 NaN

    report(options, lambda: comparison_table(comparison), records)
