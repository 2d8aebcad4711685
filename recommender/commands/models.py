"""The command group `models`: list, verify and roll back published versions."""

from pathlib import Path
from typing import Any

import click

from recommender.commands.files import echo
from recommender.commands.output import Reporting, output_options, report
from recommender.options import models_dir_option


@click.group()
def models() -> None:
    """Manage the published versions."""


@models.command("list", cls=Reporting)
@models_dir_option
@output_options
def list_versions(models_dir: Path, **outputs: Any) -> None:
    """List the published versions, oldest first."""
    from recommender.artifact import ArtifactError, current_version, open_version, versions
    from recommender.terminal import versions_table

    current, records = current_version(models_dir), []
    for name in versions(models_dir):
        record: dict[str, Any] = {"version": name, "trained_at": None, "articles": None, "fault": ""}
        try:
            manifest = open_version(models_dir, name, verify=False).manifest
            record |= {"trained_at": manifest.trained_at.isoformat(), "articles": manifest.corpus.articles}
        except ArtifactError as error:  # damaged, or from an older program: list the other versions anyway
            echo(f"note: {error}", err=True)
            record["fault"] = "cannot be opened"
        records.append({**record, "current": name == current})
    report(outputs, lambda: versions_table(records), lambda: records)


@models.command()
@click.argument("version", required=False)
@models_dir_option
def verify(version: str | None, models_dir: Path) -> None:
    """Verify the checksums of all files of VERSION.

    The default is the current version.
    """
    from recommender.artifact import open_current, open_version

    model = open_version(models_dir, version) if version else open_current(models_dir)
    echo(f"{model.manifest.version}: {len(model.manifest.files)} files, all checksums match")


@models.command()
@click.argument("version", required=False)
@models_dir_option
def rollback(version: str | None, models_dir: Path) -> None:
    """Make VERSION the current version.

    The default is the version before the current one. Running services switch to it. Articles that only newer
    versions contain are read from the database again.
    """
    from recommender.artifact import roll_back

    echo(f"{roll_back(models_dir, version)} is now the current version")
