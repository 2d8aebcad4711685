"""Published versions: listed, verified, and rolled back to."""

from pathlib import Path

import click
from rich.console import Console

from recommender.options import models_dir_option


@click.group()
def models() -> None:
    """Look after the published versions."""


@models.command("list")
@models_dir_option
def list_versions(models_dir: Path) -> None:
    """List the versions, the oldest first."""
    from recommender.artifact import ArtifactError, current_version, open_version, versions
    from recommender.terminal import versions_table

    current, rows = current_version(models_dir), []
    for name in versions(models_dir):
        try:
            facts = open_version(models_dir, name, verify=False).manifest
        except ArtifactError as error:  # of an older program, or spoilt: the others are listed all the same
            click.echo(f"note: {error}", err=True)
            rows.append((name, "cannot be opened", "", name == current))
            continue
        trained_at, articles = f"{facts.trained_at:%Y-%m-%d %H:%M} UTC", f"{facts.corpus.articles:,}"
        rows.append((name, trained_at, articles, name == current))
    Console().print(versions_table(rows))


@models.command()
@click.argument("version", required=False)
@models_dir_option
def verify(version: str | None, models_dir: Path) -> None:
    """Check every file of VERSION (default: the current one) against its checksum."""
    from recommender.artifact import open_current, open_version

    model = open_version(models_dir, version) if version else open_current(models_dir)
    click.echo(f"{model.manifest.version}: {len(model.manifest.files)} files, all as published")


@models.command()
@click.argument("version", required=False)
@models_dir_option
def rollback(version: str | None, models_dir: Path) -> None:
    """Put VERSION (default: the one before the current) in service; running services take it up.

    Articles that only newer versions hold come from the database again.
    """
    from recommender.artifact import roll_back

    click.echo(f"{roll_back(models_dir, version)} is the current version now")
