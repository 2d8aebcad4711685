"""Options that several commands share, and functions that parse their values."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from recommender.dates import check_format
from recommender.visibility import Decisions

Command = TypeVar("Command", bound=Callable[..., Any])

models_dir_option = click.option(
    "--models-dir",
    default="models",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of published versions.",
)


def address_options(command: Command) -> Command:
    """Add the options of `serve` that replace settings and that `doctor` needs, too."""
    options = (
        click.option(
            "--models-dir",
            type=click.Path(path_type=Path),
            help="Folder of published versions.  [default: models]",
        ),
        click.option(
            "--models-url", metavar="URL", help="Registry whose current version is copied to --models-dir."
        ),
        click.option("--host", help="Address to listen on.  [default: 127.0.0.1]"),
        click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8000]"),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def secret_in(path: Path) -> str:
    """Return the key or password in a file. Raises click.ClickException if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from error


def date_formats(
    _context: click.Context, _option: click.Parameter, formats: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the formats unchanged. Raises click.BadParameter if one leaves a part of the date open."""
    try:
        return tuple(map(check_format, formats))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def corpus_options(command: Command, *, required: bool = True) -> Command:
    """Add the options of `train`, `lint` and `evaluate` for reading a corpus."""
    options = (
        click.argument("corpus", nargs=-1, required=required, type=click.Path(path_type=Path)),
        click.option(
            "--map",
            "mapped",
            multiple=True,
            metavar="NAME=THEIRS",
            help="Read NAME from column THEIRS; repeatable.",
        ),
        click.option(
            "--public",
            "public_values",
            multiple=True,
            metavar="COLUMN=VALUES",
            help="Only these values of COLUMN are public (status=publish,1); repeatable.",
        ),
        click.option(
            "--not-visibility",
            "not_visibility",
            multiple=True,
            metavar="COLUMN",
            help="COLUMN does not say whether an article is public; repeatable.",
        ),
        click.option("--timezone", default="UTC", show_default=True, help="Time zone of dates without one."),
        click.option(
            "--date-format",
            "date_formats",
            multiple=True,
            metavar="FORMAT",
            callback=date_formats,
            help="day-first, month-first, or a format such as %d.%m.%Y %H:%M; repeatable.",
        ),
        click.option("--id-prefix", default="", help="Prefix for all article ids."),
        click.option("--site", default="", help="Address of the site, for files that contain only paths."),
        click.option(
            "--type",
            "types",
            default="post",
            show_default=True,
            metavar="TYPES",
            help="WordPress post types that are articles, separated by commas.",
        ),
        click.option(
            "--max-bad",
            default=0.05,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Maximum share of bad rows.",
        ),
        limit_options,
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def limit_options(command: Command) -> Command:
    """Add options for how much may be unpacked while files are read; they apply during the command."""
    options = (
        click.option(
            "--max-row-mib",
            type=click.IntRange(1, 1 << 20),
            expose_value=False,
            callback=_limit("row_bytes"),
            help="Maximum size of an unpacked row, and of a feed.  [default: 64]",
        ),
        click.option(
            "--max-file-mib",
            type=click.IntRange(1, 1 << 30),
            expose_value=False,
            callback=_limit("file_bytes"),
            help="Maximum size of an unpacked file.  [default: 8192]",
        ),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def _limit(name: str) -> Callable[[click.Context, click.Parameter, int | None], None]:
    def apply(context: click.Context, _: click.Parameter, mib: int | None) -> None:
        if mib is not None:
            from recommender.training.formats.files import limited, limits  # noqa: PLC0415 loads pyarrow

            sizes: dict[str, Any] = {name: mib << 20}
            context.with_resource(limited(replace(limits(), **sizes)))

    return apply


def list_options(command: Command) -> Command:
    """Add the parameters of a list; they are validated like those of the HTTP API."""
    options = (
        click.option("--limit", help="Number of articles, 1 to 50.  [default: 9]"),
        click.option("--category", multiple=True, help="Only this category (name or slug); repeatable."),
        click.option(
            "--exclude-category", multiple=True, help="Exclude this category (name or slug); repeatable."
        ),
        click.option("--exclude", multiple=True, help="Exclude the article with this id; repeatable."),
        click.option("--lang", help="Only this language code, or any."),
        click.option("--max-age-days", help="Maximum age of the articles."),
        click.option("--published-after", metavar="DATE", help="Only later articles; ISO 8601."),
        click.option("--published-before", metavar="DATE", help="Only earlier articles; ISO 8601."),
        click.option("--mode", help="related, background (older) or follow_up (newer).  [default: related]"),
        click.option("--freshness", help="Weight of recency, 0 to 1.  [default: 0.2]"),
        click.option("--diversity", help="Weight of diversity, 0 to 1.  [default: 0]"),
        click.option("--min-similarity", help="Raise the threshold for similar articles, 0 to 1."),
        click.option(
            "--fallback", help="auto fills up the list; none lists similar articles only.  [default: auto]"
        ),
        click.option("--explain", flag_value="1", help="Show the parts of each score."),
        click.option("--include", help="trending shows the rank of each article."),
        models_dir_option,
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def reading(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `corpus_options` as keyword arguments of `read_articles` and `lint`."""
    names = ("timezone", "id_prefix", "max_bad", "date_formats", "site")
    arguments = {name: options[name] for name in names}
    arguments["types"] = [name.strip() for name in options["types"].split(",") if name.strip()]
    decisions = Decisions.of(public_values(options["public_values"]), options["not_visibility"])
    return arguments | {"columns": mapped_columns(options["mapped"]), "decisions": decisions}


def mapped_columns(mapped: tuple[str, ...]) -> dict[str, str]:
    """Parse `--map NAME=THEIRS` options. Raises click.BadParameter if a part is missing."""
    pairs = [pair.partition("=") for pair in mapped]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise click.BadParameter(f"{ours + equals + theirs!r} is not NAME=THEIRS", param_hint="--map")
    return {ours: theirs for ours, _, theirs in pairs}


def public_values(listed: tuple[str, ...]) -> dict[str, list[str]]:
    """Parse `--public COLUMN=VALUE,VALUE` options. Raises click.BadParameter if a part is missing."""
    values: dict[str, list[str]] = {}
    for name, equals, words in (pair.partition("=") for pair in listed):
        if not (name.strip() and equals and words):
            raise click.BadParameter(f"{name + equals!r} is not COLUMN=VALUE,VALUE", param_hint="--public")
        values.setdefault(name, []).extend(words.split(","))
    return values


def zone(name: str) -> ZoneInfo:
    """Return the time zone with this name. Raises click.BadParameter if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{name!r} is not a time zone", param_hint="--timezone") from None
