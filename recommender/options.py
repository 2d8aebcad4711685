"""What several commands take: their shared options, and how the values of options are read."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

Command = TypeVar("Command", bound=Callable[..., Any])

models_dir_option = click.option(
    "--models-dir",
    default="models",
    show_default=True,
    type=click.Path(path_type=Path),
    help="published versions",
)
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON as HTTP answers it")


def secret_in(path: Path) -> str:
    """Return the one line that a file holds, a key or a password. Raises click.ClickException."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from error


def corpus_options(command: Command, *, required: bool = True) -> Command:
    """Add what `train`, `lint` and `evaluate` take to read a corpus."""
    options = (
        click.argument("corpus", nargs=-1, required=required, type=click.Path(path_type=Path)),
        click.option(
            "--map", "mapped", multiple=True, metavar="NAME=THEIRS", help="rename a column; repeatable"
        ),
        click.option("--timezone", default="UTC", show_default=True, help="of dates that name none"),
        click.option("--id-prefix", default="", help="goes before every id"),
        click.option(
            "--max-bad",
            default=0.05,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="share of bad rows allowed",
        ),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def list_options(command: Command) -> Command:
    """Add the parameters of a list; they are checked as HTTP checks them."""
    options = (
        click.option("--limit", help="1 to 50  [default: 9]"),
        click.option("--category", multiple=True, help="name or slug; repeatable"),
        click.option("--exclude-category", multiple=True, help="name or slug; repeatable"),
        click.option("--exclude", multiple=True, help="an id; repeatable"),
        click.option("--lang", help="a language code, or any"),
        click.option("--max-age-days", help="a number"),
        click.option("--published-after", metavar="DATE", help="ISO 8601"),
        click.option("--published-before", metavar="DATE", help="ISO 8601"),
        click.option("--mode", help="related, background (older) or follow_up (newer)  [default: related]"),
        click.option("--freshness", help="0 to 1  [default: 0.2]"),
        click.option("--diversity", help="0 to 1  [default: 0]"),
        click.option("--min-similarity", help="0 to 1: raises the bar for similar"),
        click.option("--fallback", help="auto, or none: similar articles alone  [default: auto]"),
        click.option("--explain", flag_value="1", help="say why each stands there"),
        click.option("--include", help="trending: say which rank each has"),
        models_dir_option,
        json_option,
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def reading(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `corpus_options` gave as the keyword arguments of `read_articles` and `lint`."""
    named = {name: given[name] for name in ("timezone", "id_prefix", "max_bad")}
    return named | {"columns": mapped_columns(given["mapped"])}


def mapped_columns(mapped: tuple[str, ...]) -> dict[str, str]:
    """Read `--map ours=theirs` options. Raises click.BadParameter for one without both."""
    pairs = [pair.partition("=") for pair in mapped]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise click.BadParameter(f"{ours + equals + theirs!r} is not NAME=THEIRS", param_hint="--map")
    return {ours: theirs for ours, _, theirs in pairs}


def zone(name: str) -> ZoneInfo:
    """Return the time zone of a name. Raises click.BadParameter where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{name!r} is no time zone", param_hint="--timezone") from None
