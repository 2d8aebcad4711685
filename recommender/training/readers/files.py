"""Corpus files: find them, detect their format, and open them uncompressed."""

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin

import pyarrow as pa

from recommender.fields import RefusedError
from recommender.training.readers.xml_text import xml_start_of
from recommender.visibility import Decisions

FORMAT_OF_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xml": "wxr",
    ".wxr": "wxr",
    ".rss": "feed",
    ".atom": "feed",
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
HEAD_BYTES = 65_536
_MIB = 1 << 20


class CorpusError(Exception):
    """A corpus that cannot be read; the message has the file, the problem and the cure."""


class TooLargeError(CorpusError):
    """A file or a row that unpacks to more than the limit."""

    def __init__(self, place: str, size: float, limit: int, option: str) -> None:
        super().__init__(
            f"{place} has over {int(size) // _MIB:,} MiB unpacked; at most {limit // _MIB:,} MiB are allowed."
            f" If you trust the file, raise the limit with {option}"
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be unpacked while files are read: a small file can unpack to any size."""

    file_bytes: int = 8 << 30
    row_bytes: int = 64 << 20  # of a row; a feed is parsed whole, so it also counts as a row

    def check_file(self, path: Path, size: float) -> None:
        """Raise TooLargeError if a file unpacks to more bytes than allowed."""
        if size > self.file_bytes:
            raise TooLargeError(str(path), size, self.file_bytes, "--max-file-mib")

    def check_row(self, path: Path, row: str, size: float) -> None:
        """Raise TooLargeError if a row, such as `line 3`, has more bytes than allowed."""
        if size > self.row_bytes:
            raise TooLargeError(f"{path}: {row}", size, self.row_bytes, "--max-row-mib")


_DEFAULTS = Limits()
_limits: ContextVar[Limits] = ContextVar("limits", default=_DEFAULTS)


def limits() -> Limits:
    """Return the limits that apply here."""
    return _limits.get()


@contextmanager
def limited(new: Limits) -> Iterator[None]:
    """Apply other limits to the files that are read inside the context."""
    token = _limits.set(new)
    try:
        yield
    finally:
        _limits.reset(token)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the user says about the files: how they are named, where they come from, what is public."""

    columns: Mapping[str, str] = field(default_factory=dict)  # the files' column names by ours
    decisions: Decisions = field(default_factory=Decisions)  # which values of a column are public
    site: str = ""  # the address of the site, for files that contain paths or slugs instead of URLs
    types: frozenset[str] = frozenset({"post"})  # WordPress post types that are articles
    timezone: tzinfo = UTC  # of dates without an offset
    date_formats: tuple[str, ...] = ()
    now: datetime | None = None  # later dates are in the future; None: the current time

    def address(self, url: str) -> str | None:
        """Return an absolute URL or a path from the root, with the address of the site; None for others."""
        if _ABSOLUTE.match(url):
            return url
        if not url.startswith("/"):
            return None
        base = f"{self.site.rstrip('/')}/"
        return urljoin(base, url) if url.startswith("//") else self.site.rstrip("/") + url


@dataclass(frozen=True, slots=True)
class RawRow:
    """One record of a corpus file: its values by our column names, or why it was skipped or refused."""

    number: int  # from 1: the line in JSONL and CSV, the record in Parquet, the item in XML
    values: Mapping[str, Any] = field(default_factory=dict)
    unknown: Sequence[str] = ()  # columns that we do not use
    visibility: Sequence[tuple[str, Any]] = ()  # the columns that may say whether the record is public
    skipped: str = ""  # the kind of a record that is not a public article, such as "draft"
    refused: RefusedError | None = None  # why the record cannot be read
    note: str = ""  # a sentence about how the file was read; the row is then nothing else


def corpus_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files in `paths`, without duplicates; a folder means its corpus files, sorted by name.

    A corpus file is recognized by its suffix; hidden files are ignored. A folder of Markdown files is
    returned itself: it is read as one source, with its subfolders. Raises CorpusError if there are no paths,
    a path does not exist, or a folder has no corpus files, or Markdown posts beside them.
    """
    if not paths:
        raise CorpusError(
            "no corpus given; pass a .jsonl, .csv, .parquet or WordPress .xml file, or a folder"
        )
    files = [file for path in paths for file in _files_in(Path(path))]
    return list({file.resolve(): file for file in reversed(files)}.values())[::-1]


def format_of(path: Path, *, may_be_utf16: bool = False) -> str:
    """Return the format of a path: `jsonl` (any JSON), `csv`, `parquet`, `wxr`, `feed` or `markdown`.

    The suffix decides, or the first bytes if it is unknown, and between a feed and a WordPress export, which
    is also RSS. A folder is `markdown`. Raises CorpusError, with what to do instead, for a file of a known
    kind that contains no articles or is not supported, and for UTF-16 text, unless it is CSV and
    `may_be_utf16`.
    """
    if path.is_dir():
        return "markdown"
    head = head_of(path)
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16", errors="replace").encode() if is_utf16 else head
    if unsupported := unsupported_format(text):
        raise CorpusError(f"{path} {unsupported}")
    kind = FORMAT_OF_SUFFIX.get(suffix_of(path)) or _format_by_content(path, text)
    if is_utf16 and kind not in {"wxr", "feed"} and not (may_be_utf16 and kind == "csv"):
        raise CorpusError(f"{path} is UTF-16 text; save it as UTF-8")
    is_feed = _is_feed(head) if kind == "wxr" else kind == "jsonl" and _is_json_feed(path, head)
    return "feed" if is_feed else kind


def head_of(path: Path) -> bytes:
    """Return the first 64 KiB of a file, uncompressed."""
    with opened(path) as stream:
        return stream.read(HEAD_BYTES)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, and decompress it if it starts like gzip or Zstandard.

    Inside the context, errors of the file system and the decompressor are raised as CorpusError. Reading more
    from a compressed file than the limit raises TooLargeError.
    """
    try:
        with path.open("rb") as stream:
            kind = _PACKED.get(stream.peek(4)[:4]) or _PACKED.get(stream.peek(2)[:2])
            yield io.BufferedReader(_Unpacked(path, stream, kind), HEAD_BYTES) if kind else stream
    except PermissionError:
        raise CorpusError(f"{path} is not readable by this user; change its owner or mode") from None
    except OSError as error:
        cause = error.strerror or str(error)
        raise CorpusError(
            f"{path} cannot be read ({cause}); it may be truncated or damaged: copy it again"
        ) from error


def lines(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file. Raises TooLargeError for a line that is longer than a row may be."""
    longest, number = limits().row_bytes, 0
    while line := stream.readline(longest + 1):
        number += 1
        limits().check_row(path, f"line {number}", len(line))
        yield line


class RecordLines:
    """The lines of a text file, for a parser whose records may contain newlines.

    The parser calls `next_record` after each record. Raises TooLargeError for a record that is larger than a
    row may be.
    """

    def __init__(self, path: Path, text: io.TextIOBase) -> None:
        self._path, self._text = path, text
        self._limits = limits()
        self._number, self._first, self._size = 0, 1, 0

    def __iter__(self) -> "RecordLines":
        """Return itself."""
        return self

    def __next__(self) -> str:
        """Return the next line."""
        line = self._text.readline(self._limits.row_bytes + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self._size += len(line) if line.isascii() else len(line.encode(errors="surrogateescape"))
        self._limits.check_row(self._path, f"the record in line {self._first}", self._size)
        return line

    def next_record(self) -> None:
        """Begin to count the bytes of the next record."""
        self._first, self._size = self._number + 1, 0


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a compressed file, up to the limit."""

    def __init__(self, path: Path, stream: BinaryIO, kind: str) -> None:
        self._path, self._stream = path, pa.CompressedInputStream(stream, kind)
        self._limits, self._size = limits(), 0

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into the buffer, and return their number."""
        count = int(self._stream.readinto(buffer))
        self._size += count
        self._limits.check_file(self._path, self._size)
        return count


_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_JSON_FEED = re.compile(rb'"version"\s*:\s*"https?:\\?/\\?/(?:www\.)?jsonfeed\.org\\?/')
_JSON_ITEMS = re.compile(rb'"items"\s*:\s*\[')
_PACKED_SUFFIXES = (".gz", ".zst")
MARKDOWN_SUFFIXES = frozenset(suffix for suffix, kind in FORMAT_OF_SUFFIX.items() if kind == "markdown")
_ABSOLUTE = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_XML_PROLOG = rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\])?\s*>)*+"
_OTHER_SOURCES = "import the feed or the REST API instead (recommender import --help)"
_EXPORT_AS = "export it as CSV, JSON or Parquet"
_EXPORT_TABLE = "export the table of articles as CSV, JSON or Parquet"
_UNSUPPORTED = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), description)
    for pattern, description in (
        (
            _XML_PROLOG + rb"<urlset\b[^>]*sitemap-news",
            f"is a news sitemap, which contains no texts; {_OTHER_SOURCES}",
        ),
        (
            _XML_PROLOG + rb"<(?:\w+:)?urlset\b",
            f"is a sitemap, which contains no texts; {_OTHER_SOURCES}",
        ),
        (
            _XML_PROLOG + rb"<(?:\w+:)?sitemapindex\b",
            f"is a sitemap index, which contains no texts; {_OTHER_SOURCES}",
        ),
        (
            _XML_PROLOG + rb"<opml\b",
            "is an OPML list of feeds, without articles; import each feed: recommender import feed URL",
        ),
        (
            _XML_PROLOG + rb"<(?:html|head|body)\b|" + rb"\s*<!doctype\s+html",
            f"is an HTML page; {_OTHER_SOURCES}",
        ),
        (_XML_PROLOG + rb"<(?:mysqldump|pma_xml_export)\b", f"is a database dump; {_EXPORT_AS}"),
        (
            (
                rb"(?:--[^\n]*\s+|/\*.*?\*/;?\s*)*+(?:(?:CREATE|DROP|ALTER|LOCK) (?:TABLE|DATABASE)|INSERT "
                rb"INTO|BEGIN TRANSACTION|SET [@\w]|USE [`\w]|PRAGMA \w|SELECT pg_catalog)"
            ),
            f"is an SQL dump; load it into a database, then {_EXPORT_TABLE}",
        ),
        (
            rb"SQLite format 3\0",
            f"is an SQLite database; {_EXPORT_TABLE}",
        ),
        (
            rb"(?:AUTHOR|TITLE|BASENAME|STATUS|DATE): [^\n]*\r?\n(?:[A-Z ]+:[^\n]*\r?\n)*-----\r?\n",
            "is a Movable Type export; import it into WordPress and export that, or import the site's feed",
        ),
        (rb"PK\x03\x04.*?\bxl/", "is an Excel workbook; save the sheet as CSV UTF-8"),
        (rb"PK\x03\x04.*?\bword/", f"is a Word document; {_EXPORT_AS}"),
        (rb"PK\x03\x04.*?opendocument\.spreadsheet", "is an OpenDocument spreadsheet; save the sheet as CSV"),
        (rb"PK(?:\x03\x04|\x05\x06)", "is a ZIP archive; unpack it and pass the file or folder in it"),
        (rb"\xd0\xcf\x11\xe0", "is an old Office file (.xls or .doc); save it as CSV UTF-8"),
        (rb"%PDF-", f"is a PDF; {_OTHER_SOURCES}"),
        (rb"\{\\rtf", f"is a rich text document; {_EXPORT_AS}"),
        (
            rb"(?:BZh[1-9]|\xfd7zXZ|7z\xbc\xaf|Rar!)",
            "is compressed in an unsupported way; unpack it, or use .gz",
        ),
        (rb".{257}ustar", "is a tar archive; unpack it and pass the file or folder in it"),
        (
            rb"(?:ARROW1\0|FEA1\0|ORC[\0-\x08]|Obj\x01)",
            "is an Arrow, Feather, ORC or Avro file; convert it to Parquet",
        ),
    )
]


def _is_feed(head: bytes) -> bool:
    """Return whether XML is RSS or Atom, but not a WordPress export."""
    start = xml_start_of(head)
    return start is not None and "wordpress.org/export/" not in start.root and b"<wp:wxr_version" not in head


def _is_json_feed(path: Path, head: bytes) -> bool:
    """Return whether JSON is one object with the version of a JSON feed, which may come after its items."""
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return False
    if _JSON_FEED.search(head) or not _JSON_ITEMS.search(head):
        return _JSON_FEED.search(head) is not None
    with opened(path) as stream:
        end = b""
        while chunk := stream.read(HEAD_BYTES):
            end = end[-HEAD_BYTES:] + chunk
            if _JSON_FEED.search(end):
                return True
    return False


def _files_in(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise CorpusError(f"{path} does not exist or is not a file; check the path")
        files = sorted(file for file in path.iterdir() if _is_corpus_file(file))
        has_markdown = bool(files) or next(markdown_files(path), None) is not None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{str(path)!r} cannot be read ({error})") from error
    others = [file for file in files if suffix_of(file) not in MARKDOWN_SUFFIXES]
    if others and (posts := [file for file in files if file not in others and _has_front_matter(file)]):
        raise CorpusError(
            f"folder {path} contains Markdown posts, such as {posts[0].name}, and other corpus files, "
            f"such as {others[0].name}; pass either the folder of the posts or the other files"
        )
    if not others and not has_markdown:
        raise CorpusError(
            f"folder {path} contains no corpus file ({' '.join(FORMAT_OF_SUFFIX)}, also .gz and .zst)"
        )
    return others or [path]


def markdown_files(folder: Path) -> Iterator[Path]:
    """Yield the Markdown files in a folder and its subfolders, sorted; hidden ones are ignored."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        for name in sorted(names):
            if not name.startswith(".") and suffix_of(Path(name)) in MARKDOWN_SUFFIXES:
                yield Path(parent, name)


def _has_front_matter(file: Path) -> bool:
    return re.match(rb"(?:\xef\xbb\xbf)?(?:---|\+\+\+)", head_of(file)) is not None


def _is_corpus_file(file: Path) -> bool:
    return not file.name.startswith(".") and suffix_of(file) in FORMAT_OF_SUFFIX and file.is_file()


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case, without that of its compression."""
    name = path.name.lower()
    for packed in _PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return Path(name).suffix


def unsupported_format(head: bytes) -> str:
    """Return what a file with these first bytes is, and what to do instead; "" if it may be supported."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, description in _UNSUPPORTED:
        if pattern.match(head) or pattern.match(text):
            return description
    return ""


def _format_by_content(path: Path, head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"<"):
        return "wxr"
    if start.startswith((b"{", b"[")):
        return "jsonl"
    header = start.partition(b"\n")[0].decode(errors="replace").lower()
    if re.search(r"[,;\t|]", header) and "id" in re.split(r'[,;\t|"]+', header.strip()):
        return "csv"
    if xml_start_of(head):
        return "wxr"
    raise CorpusError(
        f"{path} has an unknown format: it begins with {start[:40]!r}; "
        f"give it the suffix of its format ({' '.join(FORMAT_OF_SUFFIX)})"
    )
