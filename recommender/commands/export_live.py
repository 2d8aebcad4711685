"""Live articles: what the database holds of them, written out, and told of in training."""

from pathlib import Path
from typing import Any

import click

from recommender.commands.files import write


@click.command("export-live")
@click.option("-o", "--output", metavar="FILE", help="instead of standard output")
def export_live(output: str | None) -> None:
    """Print the live articles of the database as JSONL that `train` reads; withdrawn ones are left out."""
    from recommender.commands.live_articles import as_line

    live = read_live()
    lines = "".join(f"{as_line(article)}\n" for article in live.articles.values())
    if output is None or output == "-":
        click.echo(lines, nl=False)
    else:
        write(output, lines)
    click.echo(f"{len(live.articles):,} live articles", err=True)


def read_live() -> Any:
    """Return what the database holds, and tell what of it this program cannot read."""
    from recommender.commands.live_articles import LiveArticles
    from recommender.settings import Settings

    live = LiveArticles.read(Settings.read())
    for article_id in live.unread:
        told = "of the database is of another version of the program, and is left out"
        click.echo(f"note: article {article_id!r} {told}", err=True)
    return live


def settle(models_dir: Path, live: Any, merge: Any, *, published: bool) -> str:
    """Let the database forget what nobody needs there any more; returns what became of live articles."""
    from recommender.artifact import ArtifactError
    from recommender.commands.live_articles import forget
    from recommender.serving.store import StoreError
    from recommender.settings import Settings

    forgotten = 0
    if published:
        try:
            forgotten = forget(Settings.read(), models_dir, live, merge.settled)
        except (ArtifactError, StoreError) as error:
            click.echo(f"note: the database keeps its live articles: {error}", err=True)
    told = f"{merge.new:,} new, {merge.newer:,} newer than in CORPUS, {len(merge.settled):,} no newer"
    return f"{told}, {forgotten:,} of these forgotten; {merge.taken_out:,} withdrawn ones taken out"
