"""Exports of page views from analytics tools, in CSV, JSON lines or Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import Any

from recommender.article import InvalidArticleError, moment
from recommender.training.readers.files import CorpusError, RecordLines, format_of, lines, opened
from recommender.training.readers.parquet import parquet_file, records

# Column names used by common tools; the first that a file has is used.
NAMES: Mapping[str, tuple[str, ...]] = {
    "article_id": ("article_id", "id", "post_id"),
    "url": ("url", "page", "page_location", "permalink"),
    "count": ("count", "views", "pageviews", "page_views", "hits"),
    "ts": ("ts", "timestamp", "datetime", "time", "hour", "date", "day"),
    "type": ("type", "event"),
}
_ANY_TIME = datetime(9000, 1, 1, tzinfo=UTC)


def view_rows(path: Path, columns: Mapping[str, str], zone: tzinfo) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row's number, from 1, and its values by our names, without missing values.

    `ts` becomes an ISO 8601 time in UTC: `zone` applies to a time without an offset, and a day means its
    start. A value that is not a date is passed on unchanged for the caller to refuse. `columns` maps our
    names to the file's. Raises CorpusError if the file cannot be read, or has no column for the article or
    the time.
    """
    read = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}.get(format_of(path))
    if read is None:
        raise CorpusError(f"{path} is not an export of views; use CSV, JSON lines or Parquet")
    theirs: dict[str, str] = {}
    for number, row in enumerate(read(path), 1):
        if number == 1:
            theirs = _column_names(path, row, columns)
        values = {ours: row[name] for ours, name in theirs.items() if row.get(name) not in {None, ""}}
        yield number, values | {"ts": _moment(values.get("ts"), zone)}


def _column_names(path: Path, row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    """Return the file's column name for each of our names that it has."""
    theirs = {ours: next((name for name in names if name in row), "") for ours, names in NAMES.items()}
    for ours, name in columns.items():
        if ours not in NAMES or name not in row:
            raise CorpusError(
                f"{path}: {ours}={name} does not name a column; the columns are {', '.join(row)}"
            )
        theirs[ours] = name
    if not theirs["ts"] or not (theirs["article_id"] or theirs["url"]):
        wanted = "a column ts, and article_id or url"
        raise CorpusError(f"{path} needs {wanted}, or --map ts=…; its columns are {', '.join(row)}")
    return {ours: name for ours, name in theirs.items() if name}


def _moment(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC).isoformat()
    if isinstance(value, date):
        return datetime.combine(value, time(), zone).astimezone(UTC).isoformat()
    if not isinstance(value, str):
        return value
    try:
        return moment(value, now=_ANY_TIME, timezone=zone).isoformat()
    except InvalidArticleError:
        return float(value) if _is_number(value) else value


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and text.isascii()


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        record_lines = RecordLines(path, text)
        for row in csv.DictReader(record_lines, delimiter="\t" if ".tsv" in path.suffixes else ","):
            record_lines.next_record()
            yield {str(name).strip(): value for name, value in row.items()}


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with opened(path) as stream:
        for number, line in enumerate(lines(path, stream), 1):
            if line.isspace():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(f"{path}: line {number} is not JSON: {error}") from None
            if not isinstance(row, dict):
                raise CorpusError(f"{path}: line {number} is not a JSON object")
            yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    with parquet_file(path) as file:
        yield from records(path, file, file.schema_arrow.names)
