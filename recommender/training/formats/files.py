"""Corpus files: what users say about them, how much they may unpack to, and how they are opened."""

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
    """A corpus that cannot be read; the message has the file, the problem and the cure.

    >>> recommender.read_articles("no-such-file.csv")
    Traceback (most recent call last):
    recommender.training.formats.files.CorpusError: no-such-file.csv does not exist...
    """


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
_PACKED_SUFFIXES = (".gz", ".zst")
MARKDOWN_SUFFIXES = frozenset(suffix for suffix, kind in FORMAT_OF_SUFFIX.items() if kind == "markdown")
_ABSOLUTE = re.compile(r"https?://[^\s/]", re.IGNORECASE)


def markdown_files(folder: Path) -> Iterator[Path]:
    """Yield the Markdown files in a folder and its subfolders, sorted; hidden ones are ignored."""
    for parent, names in folders_in(folder):
        for name in names:
            if not name.startswith(".") and suffix_of(Path(name)) in MARKDOWN_SUFFIXES:
                yield parent / name


def folders_in(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and its subfolders with the names of their files, sorted; hidden folders are ignored.

    Links to folders are not followed. Raises CorpusError if a folder cannot be read.
    """
    for parent, _, names in _walk(folder):
        yield parent, sorted(names)


def linked_folders(folder: Path) -> list[Path]:
    """Return the links to folders in a folder and its subfolders, which `folders_in` does not follow."""
    return [
        parent / name for parent, names, _ in _walk(folder) for name in names if (parent / name).is_symlink()
    ]


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file or a link to one; reading another kind may never end."""
    try:
        return path.is_file()
    except OSError:
        return False


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        yield Path(parent), folders, names


def _unreadable(error: OSError) -> None:
    raise CorpusError(f"folder {error.filename} cannot be read ({error.strerror}); check its owner and mode")


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case, without that of its compression."""
    name = path.name.lower()
    for packed in _PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return Path(name).suffix
