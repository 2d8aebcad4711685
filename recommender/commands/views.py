"""The command `import views`: send the view counts of an analytics tool to the service as events."""

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

from recommender.commands.files import echo
from recommender.options import limit_options, mapped_columns, secret_in, zone

_BATCH = 500
_MAX_TRIES = 8
_BUSY = frozenset({429, 503})
_MAX_SHOWN = 10  # rejected rows printed

# A function from a method, a target and a body to the status, the seconds to wait and the decoded response.
Send = Callable[[str, str, bytes | None], tuple[int, float, Any]]


@dataclass
class Totals:
    """The number of rows by result."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)  # row number and reason


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "address",
    metavar="URL",
    help="Send to a running service.  [default: write directly to the database]",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="File with an API key of the service, scope events.",
)
@click.option(
    "--map", "mapped", multiple=True, metavar="NAME=THEIRS", help="Read NAME from column THEIRS; repeatable."
)
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of dates without one.")
@limit_options
def views(
    path: Path, address: str | None, key_file: Path | None, mapped: tuple[str, ...], timezone: str
) -> None:
    """Import the view counts in FILE.

    FILE is CSV, JSONL or Parquet with the columns article_id or url, count, and ts or date.

    Rows are not counted twice within 48 hours, so you can simply repeat an interrupted import.
    """
    from recommender.training.readers.files import CorpusError
    from recommender.training.readers.views import view_rows

    if (address is None) != (key_file is None):
        raise click.UsageError("--to and --key-file must be used together")
    send = _local() if address is None or key_file is None else _remote(address, key_file)
    totals = Totals()
    rows = view_rows(path, mapped_columns(mapped), zone(timezone))
    try:
        for batch in _batches(_events(rows, path.name, send, totals)):
            _send_events(batch, send, totals)
    except CorpusError as error:
        raise click.ClickException(str(error)) from error
    for number, reason in totals.rejected[:_MAX_SHOWN]:
        echo(f"row {number}: {reason}", err=True)
    if len(totals.rejected) > _MAX_SHOWN:
        echo(f"and {len(totals.rejected) - _MAX_SHOWN:,} more", err=True)
    echo(
        f"{totals.rows:,} rows: {totals.accepted:,} counted, {totals.duplicates:,} counted before, "
        f"{len(totals.rejected):,} rejected"
    )


def _events(
    rows: Iterable[tuple[int, dict[str, Any]]], name: str, send: Send, totals: Totals
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the event of each row. The same row always gets the same event id."""
    article_of: dict[str, str | None] = {}
    occurrences: Counter[bytes] = Counter()
    for number, row in rows:
        totals.rows += 1
        url = str(row.pop("url", ""))
        if "article_id" not in row:
            if url not in article_of:
                article_of[url] = _article_id(url, send)
            if article_of[url] is None:
                totals.rejected.append((number, f"no article has the url {url[:100]!r}"))
                continue
            row["article_id"] = article_of[url]
        event = {"type": "view", **row, "count": _whole(row.get("count", 1))}
        content = json.dumps([name, event], sort_keys=True, default=str).encode()
        digest = blake2b(content, digest_size=16).digest()
        occurrences[digest] += 1  # a file may contain equal rows
        yield number, event | {"event_id": f"{digest.hex()}-{occurrences[digest]}"}


def _whole(count: Any) -> Any:
    """Return a count as an int if it is a whole number as spreadsheets write it; otherwise unchanged."""
    if isinstance(count, float) and count.is_integer():
        return int(count)
    digits = str(count).replace(",", "").removesuffix(".0")
    return int(digits) if isinstance(count, str) and digits.isascii() and digits.isdecimal() else count


def _article_id(url: str, send: Send) -> str | None:
    from urllib.parse import quote

    status, _, response = _send_with_retry(send, "GET", f"/v1/article?url={quote(url, safe='')}")
    return str(response["id"]) if status == 200 else None  # noqa: PLR2004 HTTP's


def _batches(
    events: Iterator[tuple[int, dict[str, Any]]],
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    while batch := list(islice(events, _BATCH)):
        yield batch


def _send_events(batch: list[tuple[int, dict[str, Any]]], send: Send, totals: Totals) -> None:
    body = json.dumps({"events": [event for _, event in batch]}, default=str).encode()
    status, _, response = _send_with_retry(send, "POST", "/v1/events", body)
    if status != 200:  # noqa: PLR2004 HTTP's
        detail = response["detail"] if isinstance(response, dict) else response
        raise click.ClickException(f"{status}: {detail}")
    totals.accepted += response["accepted"]
    totals.duplicates += response["duplicates"]
    totals.rejected += [(batch[note["index"]][0], note["reason"]) for note in response["rejected"]]


def _send_with_retry(
    send: Send, method: str, target: str, body: bytes | None = None
) -> tuple[int, float, Any]:
    """Send a request, and retry while the service is busy. Raises ClickException after too many tries."""
    for attempt in range(_MAX_TRIES):
        status, wait, response = send(method, target, body)
        if status not in _BUSY:
            return status, wait, response
        time.sleep(max(wait, 0.1 * 2**attempt))
    raise click.ClickException(
        f"the service does not accept events: {response}; run this again later, nothing is counted twice"
    )


def _local() -> Send:
    """Return a function that sends to a service in this process, with the database of the settings."""
    from recommender.serving.app import create_app
    from recommender.serving.http.auth import new_key
    from recommender.settings import Settings

    key, setting = new_key("import", ["events"])
    own = {"write_keys": (setting,), "key_limit": "1000000/second", "live_poll_seconds": 0.0}
    client = create_app(Settings.read().model_copy(update=own)).test_client()

    def send(method: str, target: str, body: bytes | None) -> tuple[int, float, Any]:
        response = client.open(target, method=method, data=body, headers=_headers(key))
        wait = float(response.headers.get("Retry-After", 0))
        return response.status_code, wait, response.get_json(silent=True)

    return send


def _remote(address: str, key_file: Path) -> Send:
    """Return a function that sends to a running service."""
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class NoRedirects(HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any) -> None:
            arguments[1].close()  # the response
            raise click.ClickException(
                f"{address} redirects to {arguments[-1]!r}; if this is correct, pass it as --to"
            )

    opener, headers = build_opener(NoRedirects), _headers(secret_in(key_file))

    def send(method: str, target: str, body: bytes | None) -> tuple[int, float, Any]:
        request = Request(address.rstrip("/") + target, body, headers, method=method)  # noqa: S310 user's URL
        try:
            with opener.open(request, timeout=60) as response:
                return response.status, 0, json.load(response)
        except HTTPError as error:
            with error:
                return error.code, float(error.headers.get("Retry-After", 0)), json.load(error)
        except (URLError, OSError) as error:
            return 503, 0, str(getattr(error, "reason", error))

    return send


def _headers(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
