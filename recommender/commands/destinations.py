"""Destinations of imported articles: a file of JSON lines, or a running service."""

import json
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import click

from recommender.article import Article
from recommender.commands.files import echo
from recommender.commands.live_articles import as_line
from recommender.printable import one_line

_MANY = 10  # removing more than this, and more than half of all articles, is likely a mistake
_BATCH = 100  # articles per request
_PAGE = 50  # ids per request

Time = datetime | None
IsListed = Callable[[str], bool]  # whether the site still lists an article


class _LineState(NamedTuple):
    """The version of an article in a file."""

    updated_at: Time
    digest: bytes  # of its line


class FileDestination:
    """A file of JSON lines. New articles are written to FILE.partial until the import is complete.

    An interrupted import continues where it stopped, and the file itself is complete at all times. Raises
    ClickException if a file cannot be read or written, or contains anything but imported articles.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, path.with_name(f"{path.name}.partial")
        self._old: dict[str, _LineState] = {}
        self._new: dict[str, _LineState] = {}
        try:
            self._old = dict(map(_parse, _lines(path)))
            if self._partial.exists():
                _drop_torn_line(self._partial)
                self._new = dict(map(_parse, _lines(self._partial)))
            self._output = self._partial.open("a", encoding="utf-8")
        except OSError as error:
            raise _write_error(path, error) from error
        self.resumed = len(self._new)  # articles in FILE.partial that an interrupted import wrote

    def is_current(self, article_id: str, updated_at: Time) -> bool:
        """Return whether the destination already has this version of an article."""
        state = self._new.get(article_id) or self._old.get(article_id)
        return state is not None and updated_at is not None and state.updated_at == updated_at

    def add(self, articles: Sequence[Article]) -> None:
        """Write the articles that are new or changed."""
        try:
            for line in (as_line(article) + "\n" for article in articles):
                article_id, state = _parse(line)
                if state != (self._new.get(article_id) or self._old.get(article_id)):
                    self._output.write(line)
                    self._new[article_id] = state
            self._output.flush()
        except OSError as error:
            raise _write_error(self._partial, error) from error

    def close(self) -> None:
        """Close FILE.partial; its articles stay there until the import is finished."""
        self._output.close()

    def finish(self, is_listed: IsListed | None) -> str:
        """Replace the file, without articles that the site no longer lists; return a summary.

        Raises ClickException if more than half of the file would be removed.
        """
        removed = {name for name in self._old | self._new if is_listed is not None and not is_listed(name)}
        removed_count = len(removed & self._old.keys())
        _check_removed(removed_count, len(self._old), f"in {self._path} are", f"delete {self._path}")
        written = self._new.keys() - removed
        new = len(written - self._old.keys())
        whole = self._path.with_name(f"{self._path.name}.whole")
        try:
            self._output.close()
            if self._new or removed or not self._path.exists():
                with whole.open("w", encoding="utf-8") as output:
                    output.writelines(self._final_lines(removed))
                whole.replace(self._path)
            self._partial.unlink(missing_ok=True)
        except OSError as error:
            raise _write_error(self._path, error) from error
        return f"{new:,} new, {len(written) - new:,} changed, {removed_count:,} removed, in {self._path}"

    def _final_lines(self, removed: Container[str]) -> Iterator[str]:
        """Yield the unchanged lines of the file, then the last new line of each article."""
        for line in _lines(self._path):
            article_id, _ = _parse(line)
            if article_id not in removed and article_id not in self._new:
                yield line
        last = {_parse(line)[0]: number for number, line in enumerate(_lines(self._partial))}
        for number, line in enumerate(_lines(self._partial)):
            article_id, _ = _parse(line)
            if last[article_id] == number and article_id not in removed:
                yield line


class ServiceDestination:
    """A running service. Articles are sent to it, and withdrawn when the site no longer lists them.

    `owns` decides which ids belong to the site. Articles changed `since` are sent again, because the service
    does not report which version it has. `is_gone` confirms that an article was removed before it is
    withdrawn.
    """

    resumed = 0

    def __init__(
        self,
        remote: Any,  # training's Remote
        address: str,
        *,
        since: datetime,
        owns: Callable[[str], bool],
        is_gone: Callable[[str], bool],
    ) -> None:
        self._remote, self._address = remote, address.rstrip("/")
        self._since, self._owns, self._is_gone = since, owns, is_gone
        self._accepted = self._unchanged = 0
        self._rejected: list[str] = []

    def is_current(self, article_id: str, updated_at: Time) -> bool:
        """Return whether this version of an article need not be sent."""
        return article_id in self._known and updated_at is not None and updated_at <= self._since

    def add(self, articles: Sequence[Article]) -> None:
        """Send articles."""
        for start in range(0, len(articles), _BATCH):
            self._send([json.loads(as_line(article)) for article in articles[start : start + _BATCH]])

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def finish(self, is_listed: IsListed | None) -> str:
        """Withdraw the articles that the site no longer lists; return a summary."""
        known = [] if is_listed is None else sorted(self._known)
        missing = [name for name in known if is_listed is not None and not is_listed(name)]
        _check_removed(len(missing), len(known), "in the service are", "withdraw them with DELETE")
        removed = [article_id for article_id in missing if self._is_gone(article_id)]
        for article_id in removed:
            self._remote.send("DELETE", f"{self._address}/v1/article", {"id": article_id})
        for message in self._rejected:
            echo(message, err=True)
        return (
            f"{self._accepted:,} sent, {self._unchanged:,} unchanged, {len(self._rejected):,} rejected, "
            f"{len(removed):,} withdrawn"
        )

    @cached_property
    def _known(self) -> frozenset[str]:
        """The ids of the site's articles in the service."""
        return frozenset(self._ids())

    def _ids(self) -> Iterator[str]:
        """Yield the ids of the site's articles in the service; none if the service has no model."""
        from recommender.training.sites.remote import SiteError

        listing, cursor = f"{self._address}/v1/articles", dict[str, str]()
        try:
            self._remote.send_once("GET", listing)
        except SiteError as error:
            if _has_type(error, "no-model"):
                return
        while True:
            page = self._remote.get(listing, {"limit": str(_PAGE), **cursor}).json()
            yield from (item["id"] for item in page["items"] if self._owns(item["id"]))
            if not page["next_cursor"]:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _send(self, articles: list[dict[str, Any]]) -> None:
        from recommender.training.sites.remote import SiteError

        try:
            response = self._remote.send(
                "POST", f"{self._address}/v1/articles", body={"articles": articles}
            ).json()
        except SiteError as error:
            if not _has_type(error, "too-large") or len(articles) == 1:
                raise
            middle = len(articles) // 2
            self._send(articles[:middle])
            self._send(articles[middle:])
            return
        self._accepted += response["accepted"]
        self._unchanged += response["unchanged"]
        self._rejected += [f"{one_line(str(note['id']))}: {note['reason']}" for note in response["rejected"]]


def _has_type(error: Any, problem_type: str) -> bool:
    """Return whether the service responded with a problem of this type."""
    return isinstance(error.content, dict) and str(error.content.get("type", "")).endswith(problem_type)


def _check_removed(removed: int, known: int, place: str, cure: str) -> None:
    """Raise ClickException if so many articles would be removed that a mistake is likely."""
    if removed > _MANY and removed * 2 > known:
        raise click.ClickException(
            f"{removed:,} of the {known:,} articles {place} no longer on the site; if this is correct, {cure}"
        )


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file; none if there is no file."""
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.isspace())


def _parse(line: str) -> tuple[str, _LineState]:
    """Return the id and the version of the article in a line."""
    try:
        fields = json.loads(line)
        text = fields.get("updated_at")
        updated_at = datetime.fromisoformat(text).astimezone(UTC) if text else None
        return fields["id"], _LineState(updated_at, blake2b(line.strip().encode(), digest_size=8).digest())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise click.ClickException(
            f"the file contains a line that is not an imported article: {line[:100]!r}; use another file"
        ) from error


def _drop_torn_line(path: Path) -> None:
    """Remove an incomplete last line, left by an import that was killed."""
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _write_error(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"cannot write {path}: {error.strerror}")
