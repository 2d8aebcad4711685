"""The corpus: every article that training may use, and an account of every row that it may not."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from recommender.article import EARLIEST, Article
from recommender.fields import COLUMNS, RefusedError, RowReader, not_public
from recommender.training.readers import tables
from recommender.training.readers.feeds import feed_file_rows
from recommender.training.readers.files import CorpusError, RawRow, corpus_files, format_of
from recommender.training.readers.wordpress import wordpress_rows

__all__ = ["Corpus", "CorpusError", "ReadingReport", "Refusal", "collect", "read_articles"]

KEPT_EXAMPLES = 20  # of each reason; the rest is only counted
KEPT_COLUMNS = 1000
PROGRESS_ROWS = 500
DETAIL_CHARS = 300

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row, or a field of it, that was not taken."""

    source: str  # the file
    row: int  # from 1: the line in JSONL and CSV, the record in Parquet, the item in XML
    article_id: str | None  # None: the row has no valid one
    reason: str  # to count by, such as "missing id" or "published_at: impossible date"
    detail: str  # with the value


@dataclass(slots=True)
class ReadingReport:
    """What was read and what was not. Of each reason the first 20 examples are kept, all are counted."""

    files: dict[str, int] = field(default_factory=dict)  # rows read of each, in reading order
    rows_read: int = 0  # articles and refused rows; skipped records are not among them
    refused: list[Refusal] = field(default_factory=list)
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    refused_fields: list[Refusal] = field(default_factory=list)
    fields_refused: Counter[str] = field(default_factory=Counter)  # by "field: reason"; the article is kept
    unknown_columns: Counter[str] = field(default_factory=Counter)  # how many rows have each
    skipped: Counter[str] = field(
        default_factory=Counter
    )  # WordPress: drafts, pages, password-protected posts …

    @property
    def refused_rows(self) -> int:
        """How many rows were refused, for all reasons."""
        return self.refused_by_reason.total()

    @property
    def refused_share(self) -> float:
        """The refused rows among all rows read, 0 when there are none."""
        return self.refused_rows / self.rows_read if self.rows_read else 0.0

    def refuse_row(self, refusal: Refusal) -> None:
        """Count a refused row and keep it while it is among the first of its reason."""
        _note(refusal, self.refused_by_reason, self.refused)

    def refuse_field(self, refusal: Refusal) -> None:
        """Count a refused field and keep it while it is among the first of its reason."""
        _note(refusal, self.fields_refused, self.refused_fields)

    def common_reasons(self) -> str:
        """Return the three commonest reasons for refusal with their counts and first rows, for a message."""
        return "; ".join(self._reason_told(*found) for found in self.refused_by_reason.most_common(3))

    def _reason_told(self, reason: str, count: int) -> str:
        first = [refusal for refusal in self.refused if refusal.reason == reason][:3]
        rows = ", ".join(f"row {refusal.row} of {refusal.source}" for refusal in first)
        more = ", …" if count > len(first) else ""
        return f"{reason} ({count}: {rows}{more}; {first[0].detail})"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Articles in the order of their ids' UTF-8 bytes, each id once, and how they were read."""

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
) -> Corpus:
    """Return the articles of files or folders: JSONL, CSV, Parquet, WordPress exports and feeds, also packed.

    `columns` maps our column names to the files' (`{"body": "content"}`); `timezone` is that of dates that
    name none; `id_prefix` goes before every id; `now` (default: this moment) tells an impossible date from an
    embargo. Of rows with one id the one with the newest `updated_at` stays, else the first; the others are
    refused. `progress` is called with the rows done and the rows there are, 0 where only reading can tell.
    Raises CorpusError for what cannot be read, for no article, and when more than the share `max_bad` of the
    rows are refused; the message names the file or the rows, the value and the cure.
    """
    if not 0 <= max_bad <= 1:
        raise CorpusError(f"max_bad is {max_bad}; it is a share of the rows, from 0 to 1")
    found = collect(
        *paths, columns=columns, timezone=timezone, id_prefix=id_prefix, now=now, progress=progress
    )
    report = found.report
    if report.refused_share > max_bad:
        raise CorpusError(
            f"{report.refused_rows:,} of {report.rows_read:,} rows are refused ({report.refused_share:.1%}, "
            f"more than the {max_bad:.1%} allowed): {report.common_reasons()}. {_cure(report)}"
        )
    if not found.articles:
        raise CorpusError(f"no article in {', '.join(report.files)}: {_nothing_told(report)}")
    found.articles.sort(key=lambda article: article.id)  # code points sort as their UTF-8 bytes do
    return Corpus(found.articles, report)


@dataclass(slots=True)
class Collected:
    """Articles in reading order, each id once, with the file and row that each came from."""

    report: ReadingReport = field(default_factory=ReadingReport)
    articles: list[Article] = field(default_factory=list)
    _files: "array[int]" = field(default_factory=lambda: array("L"))  # places among the report's files
    _rows: "array[int]" = field(default_factory=lambda: array("Q"))
    _place_of: dict[str, int] = field(default_factory=dict)  # by id

    def origin(self, place: int) -> tuple[str, int]:
        """Return the file and the row of an article."""
        return list(self.report.files)[self._files[place]], self._rows[place]

    def add(self, article: Article, source: str, row: int) -> None:
        """Add an article of the last file, or refuse it, or the one held in its favour, as a duplicate id."""
        held = self._place_of.get(article.id)
        if held is None:
            self._place_of[article.id] = len(self.articles)
            self.articles.append(article)
            self._files.append(len(self.report.files) - 1)
            self._rows.append(row)
            return
        kept, lost = self.origin(held), (source, row)
        if (article.updated_at or EARLIEST) > (self.articles[held].updated_at or EARLIEST):
            kept, lost = lost, kept
            self.articles[held], self._files[held], self._rows[held] = (
                article,
                len(self.report.files) - 1,
                row,
            )
        detail = f"row {kept[1]} of {kept[0]} is kept as {article.id!r}"
        self.report.refuse_row(Refusal(*lost, article.id, "duplicate id", detail[:DETAIL_CHARS]))


def collect(
    *paths: str | Path,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    id_prefix: str = "",
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Collected:
    """Return the articles as `read_articles` does, however few or many are refused, in reading order."""
    columns = _checked_columns(columns or {})
    reading = RowReader(_zone(timezone), now or datetime.now(UTC), id_prefix)
    files = corpus_files(paths)
    formats = [format_of(file) for file in files]
    total = _row_count(files, formats) if progress else 0
    collected, done = Collected(), 0
    for file, kind in zip(files, formats, strict=True):
        source = str(file)
        collected.report.files[source] = 0
        for row in _rows(file, kind, columns):
            _take(row, source, reading, collected)
            done += 1
            if progress and done % PROGRESS_ROWS == 0:
                progress(done, total)
    if progress:
        progress(done, total)
    return collected


def _checked_columns(columns: Mapping[str, str]) -> Mapping[str, str]:
    for ours in columns:
        if ours not in COLUMNS:
            raise CorpusError(f"there is no column {ours!r} to fill; ours are {' '.join(COLUMNS)}")
    return columns


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CorpusError(f"there is no timezone {name!r}; name one as in Europe/Berlin") from None


def _row_count(files: Sequence[Path], formats: Sequence[str]) -> int:
    """Return how many rows there are if the files say so beforehand, as Parquet does, else 0."""
    return sum(map(tables.parquet_row_count, files)) if set(formats) == {"parquet"} else 0


def _rows(file: Path, kind: str, columns: Mapping[str, str]) -> Iterator[RawRow]:
    match kind:
        case "jsonl":
            return tables.jsonl_rows(file, columns)
        case "csv":
            return tables.csv_rows(file, columns)
        case "parquet":
            return tables.parquet_rows(file, columns)
        case "feed":
            return iter(feed_file_rows(file))
    return wordpress_rows(file)


def _take(row: RawRow, source: str, reading: RowReader, collected: Collected) -> None:
    """Turn a row into an article of the collection, or an entry of its report."""
    report = collected.report
    for name in row.unknown:
        if name in report.unknown_columns or len(report.unknown_columns) < KEPT_COLUMNS:
            report.unknown_columns[name] += 1
    if kind := row.skipped or not_public(row.values):
        report.skipped[kind] += 1
        return
    report.rows_read += 1
    report.files[source] += 1
    try:
        if row.refused:
            raise row.refused
        article, refused_fields = reading.article(row.values)
    except RefusedError as error:
        report.refuse_row(_refusal(error, source, row.number))
        return
    for refused in refused_fields:
        report.refuse_field(_refusal(refused, source, row.number))
    collected.add(article, source, row.number)


def _refusal(error: RefusedError, source: str, row: int) -> Refusal:
    return Refusal(source, row, error.article_id, error.reason, error.detail[:DETAIL_CHARS])


def _note(refusal: Refusal, counts: Counter[str], examples: list[Refusal]) -> None:
    counts[refusal.reason] += 1
    if counts[refusal.reason] <= KEPT_EXAMPLES:
        examples.append(refusal)


def _cure(report: ReadingReport) -> str:
    if report.refused_by_reason.most_common(1)[0][0] == "duplicate id":
        return "Give the ids of each site a prefix of their own, or raise the share of bad rows allowed"
    return "Correct them, or raise the share of bad rows allowed"


def _nothing_told(report: ReadingReport) -> str:
    skipped = ", ".join(f"{count} {kind}" for kind, count in report.skipped.most_common())
    told = f"{report.rows_read} rows read"
    told += f", skipped {skipped} (only published posts without a password are read)" if skipped else ""
    return told + (f", refused {report.common_reasons()}" if report.refused else "")
