"""The command group `models`: list, verify, roll back, compare and prune published versions."""

import sys
from pathlib import Path
from typing import Any

import click

from recommender.commands.files import echo
from recommender.commands.output import Reporting, html_option, output_options, report
from recommender.commands.registry import follow, pull, push, registry_url
from recommender.options import models_dir_option


@click.group(commands=[follow, pull, push])
def models() -> None:
    """Manage the published versions."""


@models.command("list", cls=Reporting)
@models_dir_option
@output_options
def list_versions(models_dir: Path, **outputs: Any) -> None:
    """List the published versions, oldest first: age, articles, quality, quality gate, size."""
    from datetime import UTC, datetime

    from recommender.history import version_facts
    from recommender.terminal import versions_table

    now, facts = datetime.now(UTC), version_facts(models_dir)
    for version in facts:
        if version.fault:  # damaged, or from an older program
            echo(f"note: {version.fault}", err=True)
    if not any(version.current for version in facts):
        echo("note: no version is current; `recommender models rollback VERSION` makes one current", err=True)
    report(outputs, lambda: versions_table(facts, now), lambda: [_record(version) for version in facts])


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
@click.option("--push", "is_pushed", is_flag=True, help="Also in the registry, RECOMMENDER_MODELS_URL.")
def rollback(version: str | None, models_dir: Path, *, is_pushed: bool) -> None:
    """Make VERSION the current version.

    The default is the version before the current one. Running services switch to it. Articles that only newer
    versions contain are read from the database again.
    """
    from recommender.artifact import roll_back
    from recommender.registry import push as push_to

    url = registry_url(None) if is_pushed else None
    current = roll_back(models_dir, version)
    echo(f"{current} is now the current version")
    if url is not None:
        push_to(models_dir, url, current)
        echo(f"{current} is now the current version in the registry")


@models.command("last-run")
@models_dir_option
def last_run(models_dir: Path) -> None:
    """Print how the last training ended, and exit with its exit status.

    `make train` exits with 2 after any failure, because `make` does; this command distinguishes them.
    """
    from recommender.commands.exit_status import FAILED
    from recommender.last_run import read_last_run

    run = read_last_run(models_dir)
    echo(run.description)
    sys.exit(FAILED if run.exit_status is None else run.exit_status)


@models.command(cls=Reporting)
@click.argument("old", required=False)
@click.argument("new", required=False)
@models_dir_option
@click.option(
    "--top", type=click.IntRange(0, 10_000), default=10, show_default=True, help="Examples of each kind."
)
@output_options
@html_option
def diff(old: str | None, new: str | None, models_dir: Path, top: int, **outputs: Any) -> None:
    """Show what changed from version OLD to version NEW.

    The defaults are the version before the current one, and the current version. Shown are: how much of the
    lists stayed, the most changed articles, articles that are new in no list or in very many, and moved
    categories. --csv has one row per article.
    """
    from recommender.artifact import open_current, open_version, version_before
    from recommender.sections import (
        difference_sections,
        sections_html,
        sections_markdown,
        sections_table,
    )
    from recommender.training.release.difference import ModelPair

    before = open_version(models_dir, old or version_before(models_dir))
    after = open_version(models_dir, new) if new else open_current(models_dir)
    pair = ModelPair(before, after)
    difference = pair.difference(top)
    heading, sections = f"{difference.old} → {difference.new}", difference_sections(difference)
    report(
        outputs,
        lambda: sections_table(heading, sections),
        lambda: [article.model_dump() for article in pair.articles()],
        lambda: difference.model_dump_json(indent=2),
        lambda: sections_markdown(heading, sections),
        lambda: sections_html(heading, sections),
    )


@models.command(cls=Reporting)
@models_dir_option
@click.option(
    "--keep", type=click.IntRange(min=1), default=7, show_default=True, help="Keep so many newest versions."
)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 100_000),
    default=30,
    show_default=True,
    help="Also keep versions that are not older.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@output_options
def prune(models_dir: Path, keep: int, keep_days: int, *, dry_run: bool, **outputs: Any) -> None:
    """Remove old versions, and old reports on refused models.

    The current version is always kept, and each version that live articles in the database still need.
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from recommender.commands.live_articles import versions_in_use
    from recommender.pruning import prune as remove
    from recommender.settings import Settings
    from recommender.terminal import pruned_table

    settings = Settings.read()
    pruned = remove(
        models_dir, now=datetime.now(UTC), keep=keep, keep_days=keep_days, dry_run=dry_run,
        in_use=lambda: versions_in_use(settings, models_dir),
    )  # fmt: skip
    report(
        outputs, lambda: pruned_table(pruned, dry_run=dry_run), lambda: list(map(asdict, pruned.decisions))
    )


def _record(version: Any) -> dict[str, Any]:
    """Return the facts about a version as a row, with times as text."""
    from dataclasses import asdict
    from datetime import datetime

    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(version).items()
    }
