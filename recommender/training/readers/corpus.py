"""The corpus: the articles to train on, and a report of every row that was refused or skipped."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from recommender.article import EARLIEST, Article
from recommender.dates import DayOrder, OrderProof
from recommender.fields import COLUMNS, RefusedError, RowReader, is_missing
from recommender.text import is_same_language, language_code
from recommender.training.formats import tables
from recommender.training.formats.csv_files import csv_rows
from recommender.training.formats.feeds import feed_file_rows
from recommender.training.formats.files import CorpusError, RawRow, SourceOptions
from recommender.training.formats.json_documents import json_rows
from recommender.training.formats.markdown import markdown_rows
from recommender.training.formats.wordpress import wordpress_rows
from recommender.training.readers.detection import corpus_files, format_of
from recommender.training.readers.site_defaults import site_defaults
from recommender.visibility import Decisions, Visibility, column_name, publication_date

__all__ = ["Corpus", "CorpusError", "ReadingReport", "Refusal", "collect", "read_articles"]

MAX_EXAMPLES = 20  # stored for each reason; the others are only counted
MAX_UNKNOWN_COLUMNS = 1000
MAX_SKIPPED_REASONS = 1000
PROGRESS_ROWS = 500
DETAIL_CHARS = 300

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused row, or a refused field of a row."""

    source: str  # the file
    row: int  # from 1: the line in JSONL and CSV, the record in Parquet, the item in XML
    article_id: str | None  # None: the row has no valid id
    reason: str  # to group by, such as "missing id" or "published_at: impossible date"
    detail: str  # includes the value


@dataclass(slots=True)
class ReadingReport:
    """The result of reading. All refusals are counted; the first 20 of each reason are stored as examples."""

    files: dict[str, int] = field(default_factory=dict)  # rows read from each, in reading order
    rows_read: int = 0  # articles and refused rows, without skipped records
    refused: list[Refusal] = field(default_factory=list)
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    refused_fields: list[Refusal] = field(default_factory=list)
    fields_refused: Counter[str] = field(default_factory=Counter)  # by "field: reason"; the article is read
    unknown_columns: Counter[str] = field(default_factory=Counter)  # number of rows that have each
    skipped: Counter[str] = field(default_factory=Counter)  # drafts, WordPress pages, protected posts …
    notes: list[str] = field(default_factory=list)  # how files were read, such as a detected encoding

    @property
    def refused_rows(self) -> int:
        """The number of refused rows, for all reasons."""
        return self.refused_by_reason.total()

    @property
    def refused_share(self) -> float:
        """The share of refused rows among all rows read, 0 if none were read."""
        return self.refused_rows / self.rows_read if self.rows_read else 0.0

    def refuse_row(self, refusal: Refusal) -> None:
        """Count a refused row, and store it if it is among the first of its reason."""
        _count(refusal, self.refused_by_reason, self.refused)

    def refuse_field(self, refusal: Refusal) -> None:
        """Count a refused field, and store it if it is among the first of its reason."""
        _count(refusal, self.fields_refused, self.refused_fields)

    def common_reasons(self) -> str:
        """Return the three most common reasons for refused rows, with counts and rows, for a message."""
        reasons = self.refused_by_reason.most_common(3)
        return "; ".join(self._describe_reason(reason, count) for reason, count in reasons)

    def _describe_reason(self, reason: str, count: int) -> str:
        first = [refusal for refusal in self.refused if refusal.reason == reason][:3]
        rows = ", ".join(f"row {refusal.row} of {refusal.source}" for refusal in first)
        more = ", …" if count > len(first) else ""
        return f"{reason} ({count}: {rows}{more}; {first[0].detail})"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Articles sorted by the UTF-8 bytes of their ids, without duplicate ids, and the reading report."""

    articles: list[Article]
    report: ReadingReport


def read_articles(
    *paths: str | Path,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    id_prefix: str = "",
    max_bad: float = 0.05,
    now: datetime | None = None,
    progress: Progress | None = None,
    decisions: Decisions | None = None,
    date_formats: Sequence[str] = (),
    site: str = "",
    types: Sequence[str] = ("post",),
) -> Corpus:
    """Read articles from files or folders: JSON, CSV, Parquet, exports, feeds, Markdown, also compressed.

    `columns` maps our column names to those of the files (`{"body": "content"}`). `timezone` applies to dates
    without an offset. `id_prefix` is prepended to every id. `now` (default: the current time) decides which
    future dates are impossible. If rows share an id, the row with the newest `updated_at` is used, or the
    first one; the others are refused. `progress` is called with the number of rows read and the total, which
    is 0 if unknown. `decisions` settles which values of a column are public, `date_formats` how dates are
    written that the column itself does not explain (see `recommender.dates`). `site` is the address of the
    site, for files that contain paths or slugs instead of URLs. `types` are the WordPress post types that are
    articles.

    Raises CorpusError if a file cannot be read, if there is no article, or if more than the share `max_bad`
    of the rows are refused; the message has the file or rows, the value and the cure. Raises UndecidedError
    if a value is neither known to be public nor known to be hidden.
    """
    if not 0 <= max_bad <= 1:
        raise CorpusError(f"max_bad is {max_bad}; it must be a share of the rows, from 0 to 1")
    collected = collect(
        *paths,
        columns=columns,
        timezone=timezone,
        id_prefix=id_prefix,
        now=now,
        progress=progress,
        decisions=decisions,
        date_formats=date_formats,
        site=site,
        types=types,
    )
    report = collected.report
    if report.refused_share > max_bad:
        raise CorpusError(
            f"{report.refused_rows:,} of {report.rows_read:,} rows are refused ({report.refused_share:.1%}, "
            f"more than the {max_bad:.1%} allowed): {report.common_reasons()}. {_cure(report)}"
        )
    if not collected.articles:
        raise CorpusError(f"no article in {', '.join(report.files)}: {_why_empty(report)}")
    collected.articles.sort(key=lambda article: article.id)  # code points sort like their UTF-8 bytes
    return Corpus(collected.articles, report)


@dataclass(slots=True)
class Collected:
    """Articles in reading order, without duplicate ids, with the file and row of each."""

    report: ReadingReport = field(default_factory=ReadingReport)
    articles: list[Article] = field(default_factory=list)
    default_langs: dict[str, str] = field(default_factory=dict)  # by id, if the text contradicts its site
    _files: "array[int]" = field(default_factory=lambda: array("L"))  # positions in the report's files
    _rows: "array[int]" = field(default_factory=lambda: array("Q"))
    _position_of: dict[str, int] = field(default_factory=dict)  # by id

    def origin(self, position: int) -> tuple[str, int]:
        """Return the file and the row of the article at this position."""
        return list(self.report.files)[self._files[position]], self._rows[position]

    def note_language(self, article: Article, values: Mapping[str, Any]) -> None:
        """Note the language that the site of an article states, if the article is in another one."""
        self.default_langs.pop(article.id, None)
        if not values.get("default_lang"):
            return
        default = language_code(str(values["default_lang"]))
        if (
            default
            and is_missing(values.get("lang"))
            and not is_same_language(default, article.lang or default)
        ):
            self.default_langs[article.id] = default

    def add(self, article: Article, source: str, row: int) -> None:
        """Add an article from the current file; of two articles with one id, refuse one as a duplicate."""
        position = self._position_of.get(article.id)
        if position is None:
            self._position_of[article.id] = len(self.articles)
            self.articles.append(article)
            self._files.append(len(self.report.files) - 1)
            self._rows.append(row)
            return
        winner, loser = self.origin(position), (source, row)
        if (article.updated_at or EARLIEST) > (self.articles[position].updated_at or EARLIEST):
            winner, loser = loser, winner
            self.articles[position], self._files[position], self._rows[position] = (
                article,
                len(self.report.files) - 1,
                row,
            )
        detail = f"row {winner[1]} of {winner[0]} is used for {article.id!r}"
        self.report.refuse_row(Refusal(*loser, article.id, "duplicate id", detail[:DETAIL_CHARS]))


def collect(
    *paths: str | Path,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    id_prefix: str = "",
    now: datetime | None = None,
    progress: Progress | None = None,
    decisions: Decisions | None = None,
    date_formats: Sequence[str] = (),
    site: str = "",
    types: Sequence[str] = ("post",),
) -> Collected:
    """Read articles like `read_articles`, in reading order and without a limit on refused rows."""
    columns, site = _checked_columns(columns or {}), _checked_site(site)
    reading = RowReader(_zone(timezone), now or datetime.now(UTC), id_prefix, tuple(date_formats))
    files = corpus_files(paths)
    formats = [format_of(file, may_be_utf16=True) for file in files]
    total = _row_count(files, formats) if progress else 0
    collected, visibility, done = Collected(), Visibility(decisions), 0
    options = SourceOptions(
        columns,
        visibility.decisions,
        site,
        frozenset(types),
        reading.timezone,
        reading.date_formats,
        reading.now,
    )
    for file, kind in zip(files, formats, strict=True):
        source = str(file)
        collected.report.files[source] = 0
        columns_of_file = _DateColumns(partial(_rows, file, kind, options))
        for row in _rows(file, kind, options):
            _read_row(row, source, reading, collected, visibility, columns_of_file)
            done += 1
            if progress and done % PROGRESS_ROWS == 0:
                progress(done, total)
    if progress:
        progress(done, total)
    visibility.check()
    for name in list(collected.report.unknown_columns):
        if column_name(name) in visibility.counting:
            del collected.report.unknown_columns[name]
    return collected


def _checked_columns(columns: Mapping[str, str]) -> Mapping[str, str]:
    for ours in columns:
        if ours not in COLUMNS:
            raise CorpusError(f"there is no column {ours!r} to map; the columns are {' '.join(COLUMNS)}")
    return columns


def _checked_site(site: str) -> str:
    if site and not re.match(r"https?://[^\s/]", site, re.IGNORECASE):
        raise CorpusError(f"the site is {site!r}; it must be an address, such as https://paper.example")
    return site


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CorpusError(f"unknown timezone {name!r}; use a name such as Europe/Berlin") from None


def _row_count(files: Sequence[Path], formats: Sequence[str]) -> int:
    """Return the number of rows if all files are Parquet, which stores it, else 0."""
    return sum(map(tables.parquet_row_count, files)) if set(formats) == {"parquet"} else 0


def _rows(file: Path, kind: str, options: SourceOptions) -> Iterator[RawRow]:
    match kind:
        case "jsonl":
            return json_rows(file, options)
        case "csv":
            return csv_rows(file, options)
        case "parquet":
            return tables.parquet_rows(file, options)
        case "feed":
            return iter(feed_file_rows(file))
        case "markdown":
            return markdown_rows(file, options, site_defaults(file, options))
        case "wxr":
            return wordpress_rows(file, options)
    raise ValueError(f"no reader for the format {kind!r}")


class _DateColumns:
    """The order of day and month in the dates of one file; the file is read again only if it matters."""

    def __init__(self, rows: Callable[[], Iterator[RawRow]]) -> None:
        self._rows = rows
        self._proofs: dict[str, OrderProof] = {}

    def order(self, name: str) -> DayOrder | None:
        """Return the order that all dates of a column together prove, or None."""
        if not self._proofs:
            self._proofs = {column: OrderProof() for column in ("published_at", "updated_at")}
            for row in self._rows():
                values = _dated(row)
                for column, proof in self._proofs.items():
                    proof.add(values.get(column))
        return self._proofs[name].order()


def _read_row(
    row: RawRow,
    source: str,
    reading: RowReader,
    collected: Collected,
    visibility: Visibility,
    dates: _DateColumns,
) -> None:
    """Add a row to the collected articles, or to the report if it is skipped or refused."""
    report = collected.report
    if row.note:
        report.notes.append(f"{source}: {row.note}")
        return
    for name in row.unknown:
        if name in report.unknown_columns or len(report.unknown_columns) < MAX_UNKNOWN_COLUMNS:
            report.unknown_columns[name] += 1
    values = _dated(row) if row.visibility else row.values
    if kind := row.skipped or _why_hidden(row, values, source, visibility):
        is_new = kind not in report.skipped and len(report.skipped) >= MAX_SKIPPED_REASONS
        report.skipped["other" if is_new else kind] += 1
        return
    report.rows_read += 1
    report.files[source] += 1
    try:
        if row.refused:
            raise row.refused
        article, refused_fields = reading.article(values, dates.order)
    except RefusedError as error:
        report.refuse_row(_refusal(error, source, row.number))
        return
    for refused in refused_fields:
        report.refuse_field(_refusal(refused, source, row.number))
    collected.note_language(article, values)
    collected.add(article, source, row.number)


def _why_hidden(row: RawRow, values: Mapping[str, Any], source: str, visibility: Visibility) -> str:
    if not row.visibility:
        return ""
    is_dated = not is_missing(values.get("published_at"))
    place = f"row {row.number} of {source}"
    return visibility.why_hidden(row.visibility, is_dated=is_dated, place=place)


def _dated(row: RawRow) -> Mapping[str, Any]:
    """Return the values of a row; a date in a column `published` is its publication date."""
    published = publication_date(row.visibility)
    if published is None or not is_missing(row.values.get("published_at")):
        return row.values
    return {**row.values, "published_at": published}


def _refusal(error: RefusedError, source: str, row: int) -> Refusal:
    return Refusal(source, row, error.article_id, error.reason, error.detail[:DETAIL_CHARS])


def _count(refusal: Refusal, counts: Counter[str], examples: list[Refusal]) -> None:
    counts[refusal.reason] += 1
    if counts[refusal.reason] <= MAX_EXAMPLES:
        examples.append(refusal)


def _cure(report: ReadingReport) -> str:
    if report.refused_by_reason.most_common(1)[0][0] == "duplicate id":
        return "Use a different id prefix for each site, or raise the allowed share of bad rows"
    return "Correct them, or raise the allowed share of bad rows"


def _why_empty(report: ReadingReport) -> str:
    skipped = ", ".join(f"{count} {kind}" for kind, count in report.skipped.most_common())
    message = f"{report.rows_read} rows read"
    message += f", skipped {skipped} (only published posts without a password are read)" if skipped else ""
    message += f", refused {report.common_reasons()}" if report.refused else ""
    return "; ".join([message, *report.notes[:3]])
