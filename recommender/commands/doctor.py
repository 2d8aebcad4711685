"""The command `doctor`: check a deployment, and say what to do."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from recommender.commands.output import Reporting, output_options, report
from recommender.options import address_options


@click.command(cls=Reporting)
@address_options
@output_options
def doctor(**options: Any) -> None:
    """Check the deployment that the settings describe, and say what to do.

    Checks settings, model, state file, database, disk, clock, rules file, shared cache, keys, proxies and the
    running service. Run it as the user of the service. It changes nothing. Exit status: 0 if there is no
    error, otherwise 1.
    """
    from recommender.serving.deployment.check import error
    from recommender.serving.deployment.checkup import checks_of
    from recommender.settings import Settings, SettingsError
    from recommender.terminal import checks_table

    outputs = {name: options.pop(name) for name in ("json_path", "csv_path", "markdown_path")}
    given = {name: value for name, value in options.items() if value is not None}
    try:
        checks = list(checks_of(Settings.read(**given), datetime.now(UTC)))
    except SettingsError as fault:
        checks = [error("settings", str(fault), "correct it; nothing else was checked")]
    report(outputs, lambda: checks_table(checks), lambda: [asdict(check) for check in checks])
    sys.exit(int(any(check.status == "error" for check in checks)))
