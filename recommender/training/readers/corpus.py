"""The corpus: the articles to train on, and a report of every row that was refused or skipped."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from recommender.article import Article
from recommender.dates import DayOrder, OrderProof
from recommender.fields import COLUMNS, RefusedError, RowReader, is_missing
from recommender.summary import Summarized
from recommender.training.formats import tables
from recommender.training.formats.csv_files import csv_rows
from recommender.training.formats.feeds import feed_file_rows
from recommender.training.formats.files import CorpusError, RawRow, SourceOptions
from recommender.training.formats.json_documents import json_rows
from recommender.training.formats.markdown import markdown_rows
from recommender.training.formats.wordpress import wordpress_rows
from recommender.training.readers.collected import Collected
from recommender.training.readers.detection import corpus_files, format_of
from recommender.training.readers.frames import DataFrame, frame_rows
from recommender.training.readers.report import DETAIL_CHARS, ReadingReport, Refusal
from recommender.training.readers.site_defaults import site_defaults
from recommender.visibility import Decisions, Visibility, column_name, publication_date
from recommender.wrong_type import wrong_type

__all__ = ["Corpus", "CorpusError", "collect", "read_articles"]

MAX_UNKNOWN_COLUMNS = 1000
MAX_SKIPPED_REASONS = 1000
PROGRESS_ROWS = 500

Progress = Callable[[int, int], None]
Source = str | Path | DataFrame | Iterable[Article]  # a file or folder, a data frame, or articles


@dataclass(frozen=True, slots=True, repr=False)
class Corpus(Summarized):
    """Articles sorted by the UTF-8 bytes of their ids, without duplicate ids, and the reading report.

    >>> corpus
    <Corpus: articles 259, published 2025-04-06 to 2026-09-24, refused rows 0, files 1>
    """

    articles: list[Article]
    report: ReadingReport

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.articles)

    def __iter__(self) -> Iterator[Article]:
        """Yield the articles."""
        return iter(self.articles)

    def summary(self) -> dict[str, str]:
        """Return the number of articles, when they were published, and what was refused."""
        dates = [article.published_at for article in self.articles if article.published_at]
        return {
            "Articles": f"{len(self):,}",
            "Published": f"{min(dates):%Y-%m-%d} to {max(dates):%Y-%m-%d}" if dates else "",
            "Refused rows": f"{self.report.refused_rows:,}",
            "Files": f"{len(self.report.files):,}",
        }


def read_articles(
    *sources: Source,
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
    """Read articles from files, folders or data frames; articles that are already read are accepted, too.

    Files are JSON, CSV, Parquet, exports, feeds or Markdown, also compressed. Data frames are those of
    pandas, polars and every library that exports Arrow data. Articles stay unchanged.

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

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": [1, 2], "title": ["Ferry stops", "Ferry sails"], "content": ["…", "…"]})
    >>> recommender.read_articles(frame, columns={"body": "content"}).articles[0].title
    'Ferry stops'
    """
    if not 0 <= max_bad <= 1:
        raise CorpusError(f"max_bad is {max_bad}; it must be a share of the rows, from 0 to 1")
    collected = collect(
        *sources,
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


def collect(
    *sources: Source,
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
    tables, articles = _opened(sources, options)
    total = sum(table.count for table in tables) if progress and all(t.count for t in tables) else 0
    for table in tables:
        collected.report.files[table.name] = 0
        columns_of_file = _DateColumns(table.rows)
        for row in table.rows():
            _read_row(row, table.name, reading, collected, visibility, columns_of_file)
            done += 1
            if progress and done % PROGRESS_ROWS == 0:
                progress(done, total)
    for name, given in articles.items():
        collected.add_articles(given, name)
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


@dataclass(frozen=True, slots=True)
class _Table:
    """A file or a data frame: its name in messages, and a function that reads its rows."""

    name: str
    rows: Callable[[], Iterator[RawRow]]
    count: int  # rows; 0 if unknown


def _opened(
    sources: Sequence[Source], options: SourceOptions
) -> tuple[list[_Table], dict[str, Iterable[Article]]]:
    """Return the files and data frames among the sources, and the articles, by a name for messages."""
    paths = [source for source in sources if isinstance(source, str | Path)]
    files = corpus_files(paths) if paths or not sources else []
    found = []
    for file in files:
        kind = format_of(file, may_be_utf16=True)
        count = tables.parquet_row_count(file) if kind == "parquet" else 0
        found.append(_Table(str(file), partial(_rows, file, kind, options), count))
    articles: dict[str, Iterable[Article]] = {}
    others = [source for source in sources if not isinstance(source, str | Path)]
    for number, source in enumerate(others, 1):
        suffix = f" {number}" if len(others) > 1 else ""
        if isinstance(source, DataFrame):
            name = f"data frame{suffix}"
            found.append(_Table(name, partial(frame_rows, source, name, options), _length(source)))
        elif isinstance(source, Iterable) and not isinstance(source, bytes | Mapping):
            articles[f"articles{suffix}"] = source
        else:
            wanted = "files, data frames or articles"
            raise wrong_type(
                "read_articles", wanted, source, "call read_articles(frame) or read_articles(path)"
            )
    return found, articles


def _length(frame: DataFrame) -> int:
    return len(frame) if isinstance(frame, Sized) else 0


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
    article, other_length = collected.with_usable_vector(article)
    for refused in [*refused_fields, *other_length]:
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
