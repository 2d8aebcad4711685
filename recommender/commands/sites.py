"""Articles of live sites, brought into a file or into a running service."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from recommender.article import Article, InvalidArticleError, moment
from recommender.fields import RefusedError, RowReader
from recommender.options import secret_in, zone

_SHOWN = 10  # refusals
_CHUNK = 100  # posts between two notes of what has come
_OVERLAP = timedelta(days=7)  # of what a service is told again

Command = TypeVar("Command", bound=Callable[..., Any])


def _target_options(command: Command) -> Command:
    """Add what both kinds of site take: where articles go, and how they are read."""
    options = (
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="JSON lines, for `train`"
        ),
        click.option("--to", "address", metavar="URL", help="put into a running service, in a file's place"),
        click.option(
            "--key-file", type=click.Path(path_type=Path), help="holds a key of it, of the scope articles"
        ),
        click.option("--id-prefix", default="", help="goes before every id"),
        click.option("--timezone", default="UTC", show_default=True, help="of dates that name none"),
        click.option(
            "--max-bad", default=0.05, show_default=True, type=click.FloatRange(0, 1),
            help="share of bad posts allowed",
        ),
    )  # fmt: skip
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@click.command()
@click.argument("url")
@_target_options
@click.option(
    "--modified-after", metavar="DATE", help="only what was published or changed since; ISO 8601, or 3d"
)
@click.option("--type", "kind", default="posts", show_default=True, help="as in /wp-json/wp/v2/posts")
@click.option(
    "--login-file", type=click.Path(path_type=Path), help="holds user:application-password, if it needs one"
)
def wordpress(url: str, kind: str, modified_after: str | None, login_file: Path | None, **given: Any) -> None:
    """Bring the published posts of the WordPress site at URL into a file, or into a running service.

    A FILE that is there is brought up to date: what is new or changed comes, what is gone goes. An import
    that was cut off goes on where it was. With --to, what the service does not know and what was changed
    in the last week, or since --modified-after, is put, and what the site shows no more is withdrawn.
    """
    from recommender.training.readers.wordpress_site import WordPressSite

    reading = _reading(given)
    since = None if modified_after is None else _since(modified_after, reading)
    login = None if login_file is None else _login(login_file)
    whole = given["address"] is not None or since is None
    with _told() as tell, closing(_remote(login=login)) as remote, ExitStack() as stack:
        site = WordPressSite.at(url, remote, kind)
        mirror = _mirror(given, reading, since, lambda post_id: not site.is_public(int(post_id)))
        stack.callback(mirror.close)
        view, hidden, wanted = set[str](), set[str](), list[int]()
        for post in site.listed(None if whole else since):
            article_id = f"{reading.id_prefix}{post.post_id}"
            (view if post.is_public else hidden).add(article_id)
            if post.is_public and not mirror.holds(article_id, _moment(post.updated_at, reading)):
                wanted.append(post.post_id)
            tell(f"{len(view):,} posts listed")
        read = _Read(reading)
        for start in range(0, len(wanted), _CHUNK):
            mirror.take(list(read.articles(site.rows(wanted[start : start + _CHUNK]), tell)))
        read.tell(given["max_bad"])
        became = mirror.finish(lambda each: each in view if whole else each not in hidden)
    begun = f"{mirror.begun:,} read before; " if mirror.begun else ""
    click.echo(f"{len(view):,} posts: {begun}{became}")


@click.command()
@click.argument("url")
@_target_options
@click.option("--pages", default=100, show_default=True, type=click.IntRange(1), help="the most to be read")
def feed(url: str, pages: int, **given: Any) -> None:
    """Bring the entries of the RSS or Atom feed at URL into a file, or into a running service.

    What a FILE holds stays, for a feed names only the newest: fetch it more often than they change.
    """
    from recommender.training.readers.feed_site import feed_site_rows

    reading = _reading(given)
    with _told() as tell, closing(_remote()) as remote, ExitStack() as stack:
        mirror = _mirror(given, reading, None, lambda _: False)
        stack.callback(mirror.close)
        read = _Read(reading)
        mirror.take(list(read.articles(feed_site_rows(url, remote, pages), tell)))
        read.tell(given["max_bad"])
        became = mirror.finish(None)
    click.echo(f"{read.rows:,} entries: {became}")


@dataclass
class _Read:
    """Rows of a site as articles, and what was refused."""

    reading: RowReader
    rows: int = 0
    refused: list[str] = field(default_factory=list)

    def articles(self, rows: Iterable[Any], tell: Callable[[str], None]) -> Iterator[Article]:
        """Yield the articles in the rows."""
        for row in rows:
            if row.skipped:
                continue
            self.rows += 1
            tell(f"{self.rows:,} articles read")
            try:
                if row.refused:
                    raise row.refused
                article, refused = self.reading.article(row.values)
            except RefusedError as error:
                self.refused.append(f"{row.values.get('id', row.number)}: {error}")
                continue
            for field_error in refused:
                click.echo(f"note: {article.id}: {field_error}", err=True)
            yield article

    def tell(self, max_bad: float) -> None:
        """Tell what was refused. Raises ClickException where it is more than may be."""
        for told in self.refused[:_SHOWN]:
            click.echo(f"refused: {told}", err=True)
        if len(self.refused) > _SHOWN:
            click.echo(f"and {len(self.refused) - _SHOWN:,} more", err=True)
        if len(self.refused) > max_bad * max(1, self.rows):
            told = f"{len(self.refused):,} of {self.rows:,} are refused, more than --max-bad allows"
            raise click.ClickException(f"{told}; what was taken is kept for the next run")


def _reading(given: dict[str, Any]) -> RowReader:
    """Return how to read articles. Raises UsageError unless it was said where to put them."""
    output, address, key_file = given["output"], given["address"], given["key_file"]
    if (output is None) == (address is None) or (address is None) != (key_file is None):
        raise click.UsageError("say where to: -o FILE, or --to URL with --key-file")
    return RowReader(zone(given["timezone"]), datetime.now(UTC), given["id_prefix"])


def _mirror(
    given: dict[str, Any], reading: RowReader, since: datetime | None, is_gone: Callable[[str], bool]
) -> Any:
    """Return what keeps the articles: the file or the service that was named."""
    from recommender.commands.destinations import FileDestination, ServiceDestination

    output, address, key_file = given["output"], given["address"], given["key_file"]
    if output is not None:
        return FileDestination(output)
    prefix = reading.id_prefix

    def owns(article_id: str) -> bool:
        number = article_id.removeprefix(prefix)
        return article_id.startswith(prefix) and number.isascii() and number.isdecimal()

    return ServiceDestination(
        _remote(headers={"Authorization": f"Bearer {secret_in(key_file)}"}),
        address,
        since=since or reading.now - _OVERLAP,
        owns=owns,
        is_gone=lambda article_id: is_gone(article_id.removeprefix(prefix)),
    )


def _remote(**options: Any) -> Any:
    from recommender.training.readers.remote import Remote

    return Remote(**options)


@contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    """Show what is being done; waits for a site that has no time are told, too."""
    from stamina.instrumentation import RetryDetails, set_on_retry_hooks

    def waiting(details: RetryDetails) -> None:
        click.echo(f"note: {details.caused_by}; again in {details.wait_for:.0f} s", err=True)

    set_on_retry_hooks([waiting])
    try:
        with Console(stderr=True).status("asking") as status:
            yield status.update
    finally:
        set_on_retry_hooks(None)


def _since(text: str, reading: RowReader) -> datetime:
    """Return the moment that a date means, or a number of days ago: `3d`."""
    days = text.removesuffix("d")
    if text.endswith("d") and days.isascii() and days.isdecimal():
        return reading.now - timedelta(days=int(days))
    found = _moment(text, reading)
    if found is None:
        raise click.BadParameter(
            f"{text!r} is no date; write 2026-11-01, or 3d", param_hint="--modified-after"
        )
    return found


def _moment(text: str, reading: RowReader) -> datetime | None:
    try:
        return moment(text, now=reading.now, timezone=reading.timezone)
    except InvalidArticleError:
        return None


def _login(path: Path) -> tuple[str, str]:
    user, colon, password = secret_in(path).partition(":")
    if not colon:
        raise click.BadParameter(f"{path} does not hold user:application-password", param_hint="--login-file")
    return user, password
