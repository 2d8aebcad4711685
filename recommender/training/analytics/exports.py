"""Exports of page views from analytics tools, in CSV, JSON lines or Parquet."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from recommender.article import InvalidArticleError
from recommender.dates import DateReader, DayOrder, OrderProof
from recommender.training.analytics.columns import UnknownColumnError, places_of, shown
from recommender.training.analytics.tables import Table, TextFile
from recommender.training.analytics.values import EVENT_TYPE_OF, date_value, is_total, page_url, whole
from recommender.training.formats.files import CorpusError, head_of, lines, opened
from recommender.training.formats.parquet import parquet_file, records

Values = Mapping[str, Any]
_DOTTED = re.compile(r"\s*\d{1,2}\.\d{1,2}\.\d{4}")


@dataclass(frozen=True)
class ExportOptions:
    """What the user says about an export."""

    dates: DateReader
    columns: Mapping[str, str] = field(default_factory=dict)  # the file's column names by ours
    site: str = ""  # the address of the site, for paths without a host
    day: date | None = None  # of all counts, if the file has no dates


@dataclass(frozen=True)
class ViewRow:
    """A row of an export: the views of one article at one time, or why the row is not counted."""

    number: int  # from 1, without the header and comments
    at: datetime | None = None
    article_id: str = ""
    url: str = ""  # if there is no article id
    type: str = "view"
    count: int = 1
    refused: str = ""
    skipped: str = ""  # why the row is not about a page, such as "a line of totals"


def view_rows(path: Path, options: ExportOptions) -> Iterator[ViewRow]:
    """Yield the rows of an export. A day means its first moment.

    Raises CorpusError if the file cannot be read, or has no column for the article or the time.
    """
    head = head_of(path)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1"):
        yield from _parquet_rows(path, options)
    elif start.startswith((b"{", b"[")):
        yield from _json_rows(path, options)
    elif start.startswith((b"<", b"PK\x03\x04", b"%PDF", b"\xd0\xcf\x11\xe0")):
        raise CorpusError(f"{path} is not an export of views; use CSV, JSON lines or Parquet")
    else:
        yield from _text_rows(path, options)


def _text_rows(path: Path, options: ExportOptions) -> Iterator[ViewRow]:
    file = TextFile.of(path, options.columns)
    tables = [(table, _places(path, table.header, options.columns)) for table in file.tables()]
    if not tables:
        return
    table, places = max(reversed(tables), key=lambda item: _fitness(item[1]))
    period = _period(path, table.header, table.comments, places, options)
    reader = _RowReader(options, *period, _order(file, table, places, options))
    for number, cells in enumerate(file.rows(table), 1):
        if _is_line_of_totals(cells, places):
            yield ViewRow(number, skipped="a line of totals")
        elif len(cells) > len(table.header) and any(cell.strip() for cell in cells[len(table.header) :]):
            yield ViewRow(number, refused=f"it has {len(cells)} fields, and the header {len(table.header)}")
        else:
            values = {name: cells[place].strip() for name, place in places.items() if place < len(cells)}
            yield reader.row(number, values, has_count="count" in places, mark=file.delimiter)
    for other, _ in tables:
        if other is not table:
            names = shown(other.header)
            yield ViewRow(other.first, skipped=f"another table in the file, with the columns {names}")


def _json_rows(path: Path, options: ExportOptions) -> Iterator[ViewRow]:
    header = list(dict.fromkeys(name for values in _json_objects(path) for name in values))
    if header:
        yield from _named_rows(path, header, _json_objects(path), options)


def _json_objects(path: Path) -> Iterator[dict[str, Any]]:
    with opened(path) as stream:
        for number, line in enumerate(lines(path, stream), 1):
            if not line.isspace():
                yield _json_object(path, number, line)


def _json_object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: line {number} is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{path}: line {number} is not a JSON object; write one object per line")
    return row


def _parquet_rows(path: Path, options: ExportOptions) -> Iterator[ViewRow]:
    with parquet_file(path) as file:
        header = list(file.schema_arrow.names)
        used = [header[place] for place in _places(path, header, options.columns).values()]
        yield from _named_rows(path, header, records(path, file, list(dict.fromkeys(used))), options)


def _named_rows(
    path: Path, header: list[str], objects: Iterable[Mapping[str, Any]], options: ExportOptions
) -> Iterator[ViewRow]:
    places = _places(path, header, options.columns)
    reader = _RowReader(options, *_period(path, header, (), places, options), None)
    for number, values in enumerate(objects, 1):
        row = {ours: values.get(header[place]) for ours, place in places.items()}
        yield reader.row(number, row, has_count="count" in places)


@dataclass(frozen=True)
class _RowReader:
    """Turns the values of a record into a row."""

    options: ExportOptions
    first_day: date | None  # of the export, for columns that count days
    day: date | None  # of rows without a date
    order: DayOrder | None  # of day and month, if the column proves it

    def row(self, number: int, values: Values, *, has_count: bool, mark: str = "") -> ViewRow:
        """Return the row, refused if a value is missing or may mean something else."""
        article_id, url = _text(values.get("article_id")), _text(values.get("url"))
        try:
            count = whole(values.get("count"), mark) if has_count else 1
            at = self._at(values)
            if not article_id:
                url = page_url(url, _text(values.get("host")) or self.options.site)
        except ValueError as error:
            return ViewRow(number, refused=str(error))
        kind = _text(values.get("type")) or "view"
        kind = EVENT_TYPE_OF.get(kind.casefold().replace("_", " "), kind)
        return ViewRow(number, at, article_id, "" if article_id else url, kind, count)

    def _at(self, values: Values) -> datetime:
        hour, nth_day = _text(values.get("hour")), _text(values.get("nth_day"))
        value = hour if hour and not _is_hour(hour) else values.get("ts")
        if not _text(value) and self.first_day and nth_day.isdecimal():
            value = self.first_day + timedelta(days=int(nth_day))
        value = value if _text(value) else self.day
        if value is None:
            raise ValueError("it has no time")
        dates = self.options.dates
        try:
            at = dates.read(date_value(value), self._order_of(value))
        except InvalidArticleError as error:
            raise ValueError(f"ts is {error}") from None
        if _is_hour(hour):
            at = at.astimezone(dates.timezone).replace(hour=int(hour)).astimezone(UTC)
        return at

    def _order_of(self, value: Any) -> Any:
        # Nobody writes the month first with dots.
        by_dots = DayOrder.DAY_FIRST if isinstance(value, str) and _DOTTED.match(value) else None
        return lambda: self.order or by_dots


def _places(path: Path, header: Any, columns: Mapping[str, str]) -> dict[str, int]:
    try:
        return places_of(header, columns)
    except UnknownColumnError as error:
        raise CorpusError(f"{path}: {error}") from None


def _fitness(places: Mapping[str, int]) -> tuple[bool, ...]:
    """Return how well a table fits; the one with the views of each page fits best."""
    has_page = "url" in places or "article_id" in places
    return has_page, "ts" in places, "count" in places, "nth_day" not in places


def _period(
    path: Path,
    header: Sequence[str],
    comments: Sequence[str],
    places: Mapping[str, int],
    options: ExportOptions,
) -> tuple[date | None, date | None]:
    """Return the first day of the export, and the day of rows without a date, None if there are several.

    Raises CorpusError if the file has no column for the article, or its rows have no time.
    """
    if options.day is not None and "ts" in places:
        raise CorpusError(f"{path} has times of its own; leave out --date")
    stated = [day for line in comments for day in _days(line)] if options.day is None else [options.day]
    first, last = (stated[0], stated[-1]) if stated else (None, None)
    has_page, has_time = "article_id" in places or "url" in places, "ts" in places or "hour" in places
    if not has_page or not (has_time or stated):
        raise CorpusError(
            f"{path} needs a column ts, and article_id or url; use --map ts=… or --map url=…, or --date for "
            f"the day of all counts; its columns are {shown(header)}"
        )
    if first != last and not (has_time or "nth_day" in places):
        raise CorpusError(
            f"{path} has one count per page for {first} to {last}; trending needs the day of each count: "
            "export one day, or add the dimension Date to the report"
        )
    return first, first if first == last else None


def _days(comment: str) -> list[date]:
    """Return the days in a comment such as `Start date: 20261129` or `20261122-20261129`, in any language."""
    found = re.fullmatch(r"[^:]+:\s*(\d{8})|(\d{8})\s*-\s*(\d{8})", comment)
    try:
        return [date.fromisoformat(day) for day in found.groups() if day] if found else []
    except ValueError:
        return []


def _is_line_of_totals(cells: list[str], places: Mapping[str, int]) -> bool:
    if _value(cells, places, "article_id"):
        return False
    page = _value(cells, places, "url")
    return is_total(page) or (not page and any(map(is_total, cells)))


def _order(
    file: TextFile, table: Table, places: Mapping[str, int], options: ExportOptions
) -> DayOrder | None:
    """Return the order of day and month that the column proves; the file is read only if it has dates."""
    if "ts" not in places or options.dates.formats:
        return None
    proof = OrderProof()
    for cells in file.rows(table):
        proof.add(_value(cells, places, "ts"))
    return proof.order()


def _value(cells: list[str], places: Mapping[str, int], name: str) -> str:
    place = places.get(name, len(cells))
    return cells[place].strip() if place < len(cells) else ""


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 NaN


def _is_hour(text: str) -> bool:
    return text.isdecimal() and len(text) <= 2 and int(text) <= 23  # noqa: PLR2004
