"""Counts of an analytics tool, given to the service as events."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import click

from recommender.options import mapped_columns, secret_in, zone

_BATCH = 500
_TRIES = 8
_TOO_BUSY = frozenset({429, 503})
_SHOWN = 10  # refusals

# What asks the service: a method, a target and a body to a status, seconds to wait, and the answer.
Ask = Callable[[str, str, bytes | None], tuple[int, float, Any]]


@dataclass
class Totals:
    """What became of the rows."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)  # number of the row, and why


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--to", "address", metavar="URL", help="a running service  [default: straight into the database]"
)
@click.option("--key-file", type=click.Path(path_type=Path), help="holds a key of it, of the scope events")
@click.option("--map", "mapped", multiple=True, metavar="NAME=THEIRS", help="rename a column; repeatable")
@click.option("--timezone", default="UTC", show_default=True, help="of dates that name none")
def views(
    path: Path, address: str | None, key_file: Path | None, mapped: tuple[str, ...], timezone: str
) -> None:
    """Count the views in FILE: CSV, JSONL or Parquet with article_id or url, count, and ts or date.

    What was imported is not counted again within 48 hours, so an import that was cut off is run once more.
    """
    from recommender.training.readers.files import CorpusError
    from recommender.training.readers.views import view_rows

    if (address is None) != (key_file is None):
        raise click.UsageError("--to and --key-file belong together")
    ask = _local() if address is None or key_file is None else _remote(address, key_file)
    totals = Totals()
    rows = view_rows(path, mapped_columns(mapped), zone(timezone))
    try:
        for batch in _batches(_events(rows, path.name, ask, totals)):
            _count(batch, ask, totals)
    except CorpusError as error:
        raise click.ClickException(str(error)) from error
    for number, reason in totals.refused[:_SHOWN]:
        click.echo(f"row {number}: {reason}", err=True)
    if len(totals.refused) > _SHOWN:
        click.echo(f"and {len(totals.refused) - _SHOWN:,} more", err=True)
    click.echo(
        f"{totals.rows:,} rows: {totals.accepted:,} counted, {totals.duplicates:,} counted before, "
        f"{len(totals.refused):,} refused"
    )


def _events(
    rows: Iterable[tuple[int, dict[str, Any]]], name: str, ask: Ask, totals: Totals
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the event of each row, with an id that the same row always has."""
    article_of: dict[str, str | None] = {}
    seen: Counter[bytes] = Counter()
    for number, row in rows:
        totals.rows += 1
        url = str(row.pop("url", ""))
        if "article_id" not in row:
            if url not in article_of:
                article_of[url] = _article(url, ask)
            if article_of[url] is None:
                totals.refused.append((number, f"no article has the url {url[:100]!r}"))
                continue
            row["article_id"] = article_of[url]
        event = {"type": "view", **row, "count": _whole(row.get("count", 1))}
        said = json.dumps([name, event], sort_keys=True, default=str).encode()
        digest = blake2b(said, digest_size=16).digest()
        seen[digest] += 1  # a file may hold equal rows
        yield number, event | {"event_id": f"{digest.hex()}-{seen[digest]}"}


def _whole(count: Any) -> Any:
    """Return the number that a text spells, as spreadsheets write it; anything else as it is."""
    if isinstance(count, float) and count.is_integer():
        return int(count)
    digits = str(count).replace(",", "").removesuffix(".0")
    return int(digits) if isinstance(count, str) and digits.isascii() and digits.isdecimal() else count


def _article(url: str, ask: Ask) -> str | None:
    from urllib.parse import quote

    status, _, answer = _insist(ask, "GET", f"/v1/article?url={quote(url, safe='')}")
    return str(answer["id"]) if status == 200 else None  # noqa: PLR2004 HTTP's


def _batches(
    events: Iterator[tuple[int, dict[str, Any]]],
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    while batch := list(islice(events, _BATCH)):
        yield batch


def _count(batch: list[tuple[int, dict[str, Any]]], ask: Ask, totals: Totals) -> None:
    body = json.dumps({"events": [event for _, event in batch]}, default=str).encode()
    status, _, answer = _insist(ask, "POST", "/v1/events", body)
    if status != 200:  # noqa: PLR2004 HTTP's
        raise click.ClickException(f"{status}: {answer['detail'] if isinstance(answer, dict) else answer}")
    totals.accepted += answer["accepted"]
    totals.duplicates += answer["duplicates"]
    totals.refused += [(batch[note["index"]][0], note["reason"]) for note in answer["rejected"]]


def _insist(ask: Ask, method: str, target: str, body: bytes | None = None) -> tuple[int, float, Any]:
    """Ask, and ask again while the service has no time; raises ClickException when it never has."""
    for tried in range(_TRIES):
        status, wait, answer = ask(method, target, body)
        if status not in _TOO_BUSY:
            return status, wait, answer
        time.sleep(max(wait, 0.1 * 2**tried))
    again = "run this again: what was counted is not counted twice"
    raise click.ClickException(f"the service does not take events: {answer}; {again}")


def _local() -> Ask:
    """Return what asks a service of this process, on the database of the settings."""
    from recommender.serving.app import create_app
    from recommender.serving.http.auth import new_key
    from recommender.settings import Settings

    key, setting = new_key("import", ["events"])
    own = {"write_keys": (setting,), "key_limit": "1000000/second", "live_poll_seconds": 0.0}
    client = create_app(Settings.read().model_copy(update=own)).test_client()

    def ask(method: str, target: str, body: bytes | None) -> tuple[int, float, Any]:
        answer = client.open(target, method=method, data=body, headers=_headers(key))
        return answer.status_code, float(answer.headers.get("Retry-After", 0)), answer.get_json(silent=True)

    return ask


def _remote(address: str, key_file: Path) -> Ask:
    """Return what asks a running service."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    headers = _headers(secret_in(key_file))

    def ask(method: str, target: str, body: bytes | None) -> tuple[int, float, Any]:
        request = Request(address.rstrip("/") + target, body, headers, method=method)  # noqa: S310 of the caller
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, 0, json.load(answer)
        except HTTPError as refused:
            with refused:
                return refused.code, float(refused.headers.get("Retry-After", 0)), json.load(refused)
        except (URLError, OSError) as error:
            return 503, 0, str(getattr(error, "reason", error))

    return ask


def _headers(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
