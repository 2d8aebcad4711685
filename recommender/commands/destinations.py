"""Where articles of a site are kept: a file of JSON lines, or a running service."""

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
from recommender.commands.live_articles import as_line

_MANY = 10  # articles: to lose so many, and half of all, is more likely a mistake
_BATCH = 100  # articles put at once
_PAGE = 50  # ids asked for at once

Moment = datetime | None
IsThere = Callable[[str], bool]  # whether the site shows an article


class _Held(NamedTuple):
    """What a file holds of an article."""

    updated_at: Moment
    digest: bytes  # of its line


class FileDestination:
    """A file of JSON lines brought up to date; what came lies beside it, as FILE.partial, until all has.

    So an import that was cut off goes on where it was, and the file itself is whole at all times. Raises
    ClickException for a file that cannot be read or written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, path.with_name(f"{path.name}.partial")
        self._old: dict[str, _Held] = {}
        self._new: dict[str, _Held] = {}
        try:
            self._old = dict(map(_known, _lines(path)))
            if self._partial.exists():
                _drop_torn_line(self._partial)
                self._new = dict(map(_known, _lines(self._partial)))
            self._output = self._partial.open("a", encoding="utf-8")
        except OSError as error:
            raise _cannot(path, error) from error
        self.begun = len(self._new)  # articles that an import before this one left beside the file

    def holds(self, article_id: str, updated_at: Moment) -> bool:
        """Tell whether this state of an article need not come again."""
        held = self._new.get(article_id) or self._old.get(article_id)
        return held is not None and updated_at is not None and held.updated_at == updated_at

    def take(self, articles: Sequence[Article]) -> None:
        """Keep articles that differ from those of the same ids, in their place."""
        try:
            for line in (as_line(article) + "\n" for article in articles):
                article_id, held = _known(line)
                if held != (self._new.get(article_id) or self._old.get(article_id)):
                    self._output.write(line)
                    self._new[article_id] = held
            self._output.flush()
        except OSError as error:
            raise _cannot(self._partial, error) from error

    def close(self) -> None:
        """Let the file go; what came lies beside it."""
        self._output.close()

    def finish(self, is_there: IsThere | None) -> str:
        """Put the file in place, without what the site shows no more; returns what became of it.

        Raises ClickException where half of a file would go.
        """
        gone = {each for each in self._old | self._new if is_there is not None and not is_there(each)}
        of_file = len(gone & self._old.keys())
        _refuse_many(of_file, len(self._old), f"of {self._path} are", f"delete {self._path}")
        came = self._new.keys() - gone
        new = len(came - self._old.keys())
        whole = self._path.with_name(f"{self._path.name}.whole")
        try:
            self._output.close()
            if self._new or gone or not self._path.exists():
                with whole.open("w", encoding="utf-8") as output:
                    output.writelines(self._lines_left(gone))
                whole.replace(self._path)
            self._partial.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(self._path, error) from error
        return f"{new:,} new, {len(came) - new:,} changed, {of_file:,} gone, in {self._path}"

    def _lines_left(self, gone: Container[str]) -> Iterator[str]:
        """Yield what is left of the file, then what came; of several lines of one article the last."""
        for line in _lines(self._path):
            article_id, _ = _known(line)
            if article_id not in gone and article_id not in self._new:
                yield line
        last = {_known(line)[0]: number for number, line in enumerate(_lines(self._partial))}
        for number, line in enumerate(_lines(self._partial)):
            article_id, _ = _known(line)
            if last[article_id] == number and article_id not in gone:
                yield line


class ServiceDestination:
    """A running service brought up to date: articles are put, and withdrawn once the site shows them no more.

    `owns` tells which ids are the site's; what was changed `since` is put again, for the service does not
    tell of which state it knows. `is_gone` is asked before an article is withdrawn.
    """

    begun = 0

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

    def holds(self, article_id: str, updated_at: Moment) -> bool:
        """Tell whether this state of an article need not be put."""
        return article_id in self._known and updated_at is not None and updated_at <= self._since

    def take(self, articles: Sequence[Article]) -> None:
        """Put articles."""
        for start in range(0, len(articles), _BATCH):
            self._put([json.loads(as_line(article)) for article in articles[start : start + _BATCH]])

    def close(self) -> None:
        """Let the connections go."""
        self._remote.close()

    def finish(self, is_there: IsThere | None) -> str:
        """Withdraw what the site shows no more; returns what became of all."""
        known = [] if is_there is None else sorted(self._known)
        missing = [each for each in known if is_there is not None and not is_there(each)]
        _refuse_many(len(missing), len(known), "that the service knows are", "withdraw them by DELETE")
        gone = [article_id for article_id in missing if self._is_gone(article_id)]
        for article_id in gone:
            self._remote.send("DELETE", f"{self._address}/v1/article", {"id": article_id})
        for told in self._rejected:
            click.echo(told, err=True)
        return (
            f"{self._accepted:,} put, {self._unchanged:,} known already, {len(self._rejected):,} rejected, "
            f"{len(gone):,} withdrawn"
        )

    @cached_property
    def _known(self) -> frozenset[str]:
        """The ids of the site's articles that the service shows."""
        return frozenset(self._ids())

    def _ids(self) -> Iterator[str]:
        """Yield the ids of the site's articles that the service shows; none before it has a model."""
        from recommender.training.readers.remote import SiteError

        listing, cursor = f"{self._address}/v1/articles", dict[str, str]()
        try:
            self._remote.ask_once("GET", listing)
        except SiteError as error:
            if _says(error, "no-model"):
                return
        while True:
            page = self._remote.get(listing, {"limit": str(_PAGE), **cursor}).json()
            yield from (item["id"] for item in page["items"] if self._owns(item["id"]))
            if not page["next_cursor"]:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _put(self, articles: list[dict[str, Any]]) -> None:
        from recommender.training.readers.remote import SiteError

        try:
            answer = self._remote.send(
                "POST", f"{self._address}/v1/articles", body={"articles": articles}
            ).json()
        except SiteError as error:
            if not _says(error, "too-large") or len(articles) == 1:
                raise
            middle = len(articles) // 2
            self._put(articles[:middle])
            self._put(articles[middle:])
            return
        self._accepted += answer["accepted"]
        self._unchanged += answer["unchanged"]
        self._rejected += [f"{note['id']}: {note['reason']}" for note in answer["rejected"]]


def _says(error: Any, kind: str) -> bool:
    """Tell whether a service refused for a reason of this kind."""
    return isinstance(error.answer, dict) and str(error.answer.get("type", "")).endswith(kind)


def _refuse_many(gone: int, known: int, told: str, cure: str) -> None:
    if gone > _MANY and gone * 2 > known:
        raise click.ClickException(
            f"{gone:,} of the {known:,} articles {told} no longer on the site; if that is right, {cure}"
        )


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, none where there is no file."""
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.isspace())


def _known(line: str) -> tuple[str, _Held]:
    """Return the id in a line, and what is held of its article."""
    try:
        fields = json.loads(line)
        text = fields.get("updated_at")
        updated_at = datetime.fromisoformat(text).astimezone(UTC) if text else None
        return fields["id"], _Held(updated_at, blake2b(line.strip().encode(), digest_size=8).digest())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        told = "the file holds something else than imported articles"
        raise click.ClickException(f"{told}: {line[:100]!r}; name another") from error


def _drop_torn_line(path: Path) -> None:
    """Cut off what was being written when an import was killed."""
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _cannot(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"cannot write {path}: {error.strerror}")
