"""Keys: what a CMS shows when it writes."""

from typing import Any

import click


@click.command()
@click.argument("name")
@click.option(
    "--scopes",
    default="articles+rules+events",
    show_default=True,
    help="what it may do, joined by +: articles, rules, events, read",
)
def key(name: str, scopes: str) -> None:
    """Make a key for NAME, and print it with the setting that lets it in.

    The key is shown this once; the service knows its SHA-256 alone.
    """
    from recommender.serving.http.auth import SCOPES, new_key

    wanted: list[Any] = scopes.split("+")
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(SCOPES)}", param_hint="--scopes")
    try:
        made, setting = new_key(name, wanted)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    click.echo(f"key: {made}")
    click.echo(f"RECOMMENDER_{'READ' if wanted == ['read'] else 'WRITE'}_KEYS={setting}")
