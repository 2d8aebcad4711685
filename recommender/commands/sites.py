"""The commands `import wordpress` and `import feed`: import the articles of a live site.

An import of a WordPress site compares states; it does not replay changes. It lists the id and the date of
every post, and fetches the posts that differ from the destination. So one loop fills an empty file, updates a
file or a service, and continues after an interruption. A date of the last change alone would not be enough:
it reports neither posts that are published on their scheduled day, nor posts that are restored or moved to
the trash.

The plugin (`wordpress/sending.php`) follows the same principle. It queues the ids of changed posts, and
under a lock sends the state that each post has when it is sent. So late, repeated and unordered calls do no
harm.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from recommender.article import Article, InvalidArticleError, moment
from recommender.commands.files import echo
from recommender.fields import RefusedError, RowReader, is_missing
from recommender.options import date_formats, secret_in, zone
from recommender.printable import one_line
from recommender.visibility import why_hidden

_MAX_SHOWN = 10  # rejected articles printed
_CHUNK = 100  # posts read before they are written
_OVERLAP = timedelta(days=7)  # articles changed in this time are sent to a service again

Command = TypeVar("Command", bound=Callable[..., Any])


def _target_options(command: Command) -> Command:
    """Add the options of both kinds of site: the destination, and how articles are read."""
    options = (
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
            help="Write to this file of JSON lines, for train.",
        ),
        click.option(
            "--to", "address", metavar="URL", help="Send to a running service instead of a file."
        ),
        click.option(
            "--key-file", type=click.Path(path_type=Path),
            help="File with an API key of the service, scope articles.",
        ),
        click.option("--id-prefix", default="", help="Prefix for all article ids."),
        click.option(
            "--timezone", default="UTC", show_default=True, help="Time zone of dates without one."
        ),
        click.option(
            "--date-format", "date_formats", multiple=True, metavar="FORMAT", callback=date_formats,
            help="day-first, month-first, or a format such as %d.%m.%Y %H:%M; repeatable.",
        ),
        click.option(
            "--max-bad", default=0.05, show_default=True, type=click.FloatRange(0, 1),
            help="Maximum share of bad posts.",
        ),
    )  # fmt: skip
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@click.command()
@click.argument("url")
@_target_options
@click.option(
    "--modified-after",
    metavar="DATE",
    help="Import only posts published or changed since; ISO 8601, or days such as 3d.",
)
@click.option(
    "--type", "kind", default="posts", show_default=True, help="Post type, as in /wp-json/wp/v2/posts."
)
@click.option(
    "--login-file",
    type=click.Path(path_type=Path),
    help="File with user:application-password, if the site requires a login.",
)
def wordpress(
    url: str, kind: str, modified_after: str | None, login_file: Path | None, **options: Any
) -> None:
    """Import the published posts of the WordPress site at URL.

    An existing FILE is updated: new and changed posts are added, and posts no longer on the site are removed.
    An interrupted import continues where it stopped.

    With --to, posts that are not in the service and posts changed in the last week (or since
    --modified-after) are sent, and posts no longer on the site are withdrawn.
    """
    from recommender.training.sites.wordpress_site import WordPressSite

    reader = _reader(options)
    since = None if modified_after is None else _since(modified_after, reader)
    login = None if login_file is None else _login(login_file)
    lists_all = options["address"] is not None or since is None
    with _progress() as report, closing(_remote(login=login)) as remote, ExitStack() as stack:
        site = WordPressSite.at(url, remote, kind)
        destination = _destination(options, reader, since, lambda post_id: not site.is_public(int(post_id)))
        stack.callback(destination.close)
        public, hidden, outdated = set[str](), set[str](), list[int]()
        for post in site.listed(None if lists_all else since):
            article_id = f"{reader.id_prefix}{post.post_id}"
            (public if post.is_public else hidden).add(article_id)
            if post.is_public and not destination.is_current(article_id, _time(post.updated_at, reader)):
                outdated.append(post.post_id)
            report(f"{len(public):,} posts listed")
        site_reader = _SiteReader(reader)
        for start in range(0, len(outdated), _CHUNK):
            rows = site.rows(outdated[start : start + _CHUNK])
            destination.add(list(site_reader.articles(rows, report)))
        site_reader.check(options["max_bad"])
        summary = destination.finish(lambda name: name in public if lists_all else name not in hidden)
    resumed = f"{destination.resumed:,} read before; " if destination.resumed else ""
    echo(f"{len(public):,} posts: {resumed}{summary}")


@click.command()
@click.argument("url")
@_target_options
@click.option(
    "--pages", default=100, show_default=True, type=click.IntRange(1), help="Maximum number of pages to read."
)
def feed(url: str, pages: int, **options: Any) -> None:
    """Import the entries of the RSS, Atom or JSON feed at URL.

    Articles in an existing FILE are never removed, because a feed contains only the newest entries. Run this
    often enough that no entry leaves the feed between two runs.
    """
    from recommender.training.sites.feed_site import feed_site_rows

    reader = _reader(options)
    with _progress() as report, closing(_remote()) as remote, ExitStack() as stack:
        destination = _destination(options, reader, None, lambda _: False)
        stack.callback(destination.close)
        site_reader = _SiteReader(reader)
        destination.add(list(site_reader.articles(feed_site_rows(url, remote, pages), report)))
        site_reader.check(options["max_bad"])
        summary = destination.finish(None)
    echo(f"{site_reader.rows:,} entries: {summary}")


@dataclass
class _SiteReader:
    """Reads the rows of a site as articles, and collects the rejected ones."""

    reader: RowReader
    rows: int = 0
    rejected: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # by reason; not public

    def articles(self, rows: Iterable[Any], report: Callable[[str], None]) -> Iterator[Article]:
        """Yield the articles in the rows."""
        for row in rows:
            if row.note:
                echo(f"note: {one_line(row.note)}", err=True)
                continue
            hidden = why_hidden(dict(row.visibility), is_dated=not is_missing(row.values.get("published_at")))
            if row.skipped or hidden:
                self.skipped[row.skipped or hidden] += 1
                continue
            self.rows += 1
            report(f"{self.rows:,} articles read")
            try:
                if row.refused:
                    raise row.refused
                article, field_errors = self.reader.article(row.values)
            except RefusedError as error:
                self.rejected.append(f"{one_line(str(row.values.get('id', row.number)))}: {error}")
                continue
            for field_error in field_errors:
                echo(f"note: {one_line(article.id)}: {field_error}", err=True)
            yield article

    def check(self, max_bad: float) -> None:
        """Print what was skipped and rejected. Raises ClickException if too many articles were rejected."""
        if self.skipped:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.skipped.items())
            click.echo(f"skipped, not public: {reasons}", err=True)
        for message in self.rejected[:_MAX_SHOWN]:
            echo(f"rejected: {message}", err=True)
        if len(self.rejected) > _MAX_SHOWN:
            echo(f"and {len(self.rejected) - _MAX_SHOWN:,} more", err=True)
        if len(self.rejected) > max_bad * max(1, self.rows):
            raise click.ClickException(
                f"{len(self.rejected):,} of {self.rows:,} articles were rejected, above --max-bad; "
                "the next run continues with the articles read so far"
            )


def _reader(options: dict[str, Any]) -> RowReader:
    """Return the reader of articles. Raises UsageError unless there is exactly one destination."""
    output, address, key_file = options["output"], options["address"], options["key_file"]
    if (output is None) == (address is None) or (address is None) != (key_file is None):
        raise click.UsageError("a destination is required: -o FILE, or --to URL with --key-file")
    return RowReader(
        zone(options["timezone"]), datetime.now(UTC), options["id_prefix"], options["date_formats"]
    )


def _destination(
    options: dict[str, Any], reader: RowReader, since: datetime | None, is_gone: Callable[[str], bool]
) -> Any:
    """Return the destination of the articles: the file or the service in the options."""
    from recommender.commands.destinations import FileDestination, ServiceDestination

    output, address, key_file = options["output"], options["address"], options["key_file"]
    if output is not None:
        return FileDestination(output)
    prefix = reader.id_prefix

    def owns(article_id: str) -> bool:
        number = article_id.removeprefix(prefix)
        return article_id.startswith(prefix) and number.isascii() and number.isdecimal()

    return ServiceDestination(
        _remote(headers={"Authorization": f"Bearer {secret_in(key_file)}"}),
        address,
        since=since or reader.now - _OVERLAP,
        owns=owns,
        is_gone=lambda article_id: is_gone(article_id.removeprefix(prefix)),
    )


def _remote(**options: Any) -> Any:
    from recommender.training.sites.remote import Remote

    return Remote(**options)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show the progress, and print a note for each retry."""
    from stamina.instrumentation import RetryDetails, set_on_retry_hooks

    def note_retry(details: RetryDetails) -> None:
        echo(f"note: {details.caused_by}; retrying in {details.wait_for:.0f} s", err=True)

    set_on_retry_hooks([note_retry])
    try:
        with Console(stderr=True).status("connecting") as status:
            yield status.update
    finally:
        set_on_retry_hooks(None)


def _since(text: str, reader: RowReader) -> datetime:
    """Return the time of a date, or of a number of days ago: `3d`."""
    days = text.removesuffix("d")
    if text.endswith("d") and days.isascii() and days.isdecimal():
        return reader.now - timedelta(days=int(days))
    since = _time(text, reader)
    if since is None:
        raise click.BadParameter(
            f"{text!r} is not a date; write 2026-11-01, or 3d for three days ago",
            param_hint="--modified-after",
        )
    return since


def _time(text: str, reader: RowReader) -> datetime | None:
    try:
        return moment(text, now=reader.now, timezone=reader.timezone)
    except InvalidArticleError:
        return None


def _login(path: Path) -> tuple[str, str]:
    user, colon, password = secret_in(path).partition(":")
    if not colon:
        raise click.BadParameter(f"{path} must contain user:application-password", param_hint="--login-file")
    return user, password
