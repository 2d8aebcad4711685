"""The command `import views`: send the view counts of an analytics tool to the service as events."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from recommender.commands.files import echo
from recommender.dates import DateReader
from recommender.options import date_formats as checked_date_formats
from recommender.options import limit_options, mapped_columns, secret_in, zone

_BATCH = 500
_MAX_TRIES = 8
_BUSY = frozenset({429, 503})
_MAX_SHOWN = 10  # rejected rows printed
_MAX_EXAMPLES = 3  # of them, if all were rejected
_NO_ARTICLE = frozenset({400, 404, 410})  # not a URL, unknown, withdrawn
_Key = tuple[str, str, int]  # article id, type and minute since 1970

# A function from a method, a target and a body to the status, the seconds to wait and the decoded response.
Send = Callable[[str, str, bytes | None], tuple[int, float, Any]]


@dataclass
class Totals:
    """The number of rows by result, and of counts per article and time by result."""

    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[int, str]] = field(default_factory=list)  # row number and reason
    clamped: int = 0  # counts of the future
    accepted: int = 0
    duplicates: int = 0


@dataclass
class _Count:
    """The views of an article in a minute, from all rows about it."""

    row: int  # the first one
    views: int = 0


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
@click.option("--site", default="", help="Address of the site, for files that contain paths instead of URLs.")
@click.option(
    "--source",
    default="analytics",
    show_default=True,
    help="Name of the tool or site. Counts of different sources add up.",
)
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Day of all counts, if FILE has no dates."
)
@click.option(
    "--map", "mapped", multiple=True, metavar="NAME=THEIRS", help="Read NAME from column THEIRS; repeatable."
)
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of dates without one.")
@click.option(
    "--date-format",
    "date_formats",
    multiple=True,
    metavar="FORMAT",
    callback=checked_date_formats,
    help="day-first, month-first, or a format such as %d.%m.%Y %H:%M; repeatable.",
)
@limit_options
def views(path: Path, address: str | None, key_file: Path | None, site: str, **options: Any) -> None:
    """Import the view counts in FILE.

    FILE is CSV, JSONL or Parquet with the columns article_id or url, count, and ts or date, such as an export
    of Google Analytics, Matomo or Plausible.

    A count is the views of an article at one time from one source. It is counted once, also from a copy of
    the file or after an interrupted import; of a higher count for the same time, the difference is added. So
    always export the same source with the same unit of time: by day or by hour, not both.
    """
    from recommender.training.analytics.exports import ExportOptions, view_rows
    from recommender.training.formats.files import CorpusError

    if (address is None) != (key_file is None):
        raise click.UsageError("--to and --key-file must be used together")
    dates = DateReader(datetime.now(UTC), zone(options["timezone"]), options["date_formats"])
    day = options["day"].date() if options["day"] else None
    export = ExportOptions(dates, mapped_columns(options["mapped"]), _checked_site(site), day)
    send = _local() if address is None or key_file is None else _remote(address, key_file)
    totals = Totals()
    try:
        counts = _counts(view_rows(path, export), send, totals)
    except CorpusError as error:
        raise click.ClickException(str(error)) from error
    for batch in _batches(_events(counts, options["source"])):
        _send_events(batch, send, totals)
    _report(totals)


def _checked_site(site: str) -> str:
    host = urlsplit(site if "://" in site else f"https://{site}").hostname
    if site and not host:
        raise click.BadParameter(f"{site!r} is not the address of a site", param_hint="--site")
    return site


def _counts(rows: Iterable[Any], send: Send, totals: Totals) -> dict[_Key, _Count]:
    """Return the views of each article and minute."""
    article_of: dict[str, str | None] = {}
    counts: dict[_Key, _Count] = {}
    for row in rows:
        if row.skipped:
            totals.skipped[row.skipped] += 1
            continue
        totals.rows += 1
        if row.refused or row.at is None:
            totals.rejected.append((row.number, row.refused))
            continue
        article_id: str | None = row.article_id
        if not article_id:
            if row.url not in article_of:
                article_of[row.url] = _article_id(row.url, send)
            article_id = article_of[row.url]
        if article_id is None:
            totals.rejected.append((row.number, f"no article has the url {row.url[:100]!r}"))
            continue
        if row.count:
            key = article_id, row.type, int(row.at.timestamp()) // 60
            counts.setdefault(key, _Count(row.number)).views += row.count
    return counts


def _events(counts: Mapping[_Key, _Count], source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the event of each count with its row; source, article, type and minute make its id."""
    for (article_id, kind, minute), count in counts.items():
        content = json.dumps([source, article_id, kind, minute]).encode()
        event_id = blake2b(content, digest_size=16).hexdigest()
        event = {"article_id": article_id, "type": kind, "ts": minute * 60}
        yield count.row, event | {"event_id": event_id, "total": count.views}


def _report(totals: Totals) -> None:
    """Print the result. Raises ClickException if all rows are rejected."""
    for reason, n in totals.skipped.items():
        echo(f"not counted: {reason}" + (f" ({n:,} rows)" if n > 1 else ""), err=True)
    is_counted = bool(totals.accepted or totals.duplicates or not totals.rejected)
    shown = totals.rejected[: _MAX_SHOWN if is_counted else _MAX_EXAMPLES]
    for number, reason in shown:
        echo(f"row {number}: {reason}", err=True)
    if len(totals.rejected) > len(shown):
        echo(f"and {len(totals.rejected) - len(shown):,} more", err=True)
    if not is_counted:
        raise click.ClickException(f"none of the {totals.rows:,} rows can be counted")
    if totals.clamped:
        echo(f"counts in the future, counted as now: {totals.clamped:,}; check --timezone", err=True)
    echo(
        f"{totals.rows:,} rows, {totals.accepted + totals.duplicates:,} counts per article and time: "
        f"{totals.accepted:,} new or higher, {totals.duplicates:,} counted before; "
        f"{len(totals.rejected):,} rejected"
    )


def _article_id(url: str, send: Send) -> str | None:
    from urllib.parse import quote

    status, _, response = _send_with_retry(send, "GET", f"/v1/article?url={quote(url, safe='')}")
    if status in _NO_ARTICLE:
        return None
    return str(_checked(status, response)["id"])


def _batches(
    events: Iterator[tuple[int, dict[str, Any]]],
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    while batch := list(islice(events, _BATCH)):
        yield batch


def _send_events(batch: list[tuple[int, dict[str, Any]]], send: Send, totals: Totals) -> None:
    body = json.dumps({"events": [event for _, event in batch]}, default=str).encode()
    status, _, response = _send_with_retry(send, "POST", "/v1/events", body)
    response = _checked(status, response)
    totals.accepted += response["accepted"]
    totals.clamped += len(response.get("clamped", ()))
    totals.duplicates += response["duplicates"]
    totals.rejected += [(batch[note["index"]][0], note["reason"]) for note in response["rejected"]]


def _checked(status: int, response: Any) -> Any:
    """Return a response. Raises ClickException with the problem that it describes."""
    if status != 200:  # noqa: PLR2004 HTTP's
        detail = response["detail"] if isinstance(response, dict) else response
        raise click.ClickException(f"{status}: {detail}")
    return response


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
