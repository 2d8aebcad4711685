"""The command `key`: generate API keys."""

from typing import Any

import click


@click.command()
@click.argument("name")
@click.option(
    "--scopes",
    default="articles+rules+events",
    show_default=True,
    help="Permissions of the key, joined by +: articles, rules, events, read, admin.",
)
def key(name: str, scopes: str) -> None:
    """Generate an API key and print it with its setting.

    NAME identifies the key in logs. The key is shown only once; the setting contains its SHA-256
    digest.
    """
    from recommender.serving.http.auth import SCOPES, new_key

    names: list[Any] = scopes.split("+")
    if unknown := [scope for scope in names if scope not in SCOPES]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(SCOPES)}", param_hint="--scopes")
    try:
        secret, setting = new_key(name, names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    click.echo(f"key: {secret}")
    click.echo(f"RECOMMENDER_{'READ' if names == ['read'] else 'WRITE'}_KEYS={setting}")
