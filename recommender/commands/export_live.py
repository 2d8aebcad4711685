"""The command `export-live`, and the messages about live articles that training prints."""

from pathlib import Path
from typing import Any

import click

from recommender.commands.files import echo, echo_json, write


@click.command("export-live")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
def export_live(output: str | None) -> None:
    """Export the live articles of the database as JSONL for train.

    Withdrawn articles are left out.
    """
    from recommender.commands.live_articles import as_line

    live = read_live()
    lines = "".join(f"{as_line(article)}\n" for article in live.articles.values())
    if output is None or output == "-":
        echo_json(lines, nl=False)
    else:
        write(output, lines)
    echo(f"{len(live.articles):,} live articles", err=True)


def read_live() -> Any:
    """Return the live articles of the database, and print a note for each article that cannot be read."""
    from recommender.commands.live_articles import LiveArticles
    from recommender.settings import Settings

    live = LiveArticles.read(Settings.read())
    for article_id in live.unreadable:
        reason = "it was written by another version of the program"
        echo(f"note: article {article_id!r} of the database is left out: {reason}", err=True)
    return live


def clean_up(models_dir: Path, live: Any, merged: Any, *, published: bool) -> str:
    """Delete live articles that the published versions contain; return a summary of all live articles."""
    from recommender.artifact import ArtifactError
    from recommender.commands.live_articles import delete_redundant
    from recommender.serving.store import StoreError
    from recommender.settings import Settings

    deleted = 0
    if published:
        try:
            deleted = delete_redundant(Settings.read(), models_dir, live, merged.redundant)
        except (ArtifactError, StoreError) as error:
            echo(f"note: no live articles are deleted from the database: {error}", err=True)
    return (
        f"{merged.new:,} new, {merged.newer:,} newer than in CORPUS, {len(merged.redundant):,} not newer "
        f"({deleted:,} of them deleted from the database); {merged.removed:,} withdrawn articles removed"
    )
