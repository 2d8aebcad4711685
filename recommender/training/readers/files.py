"""Corpus files: find them, detect their format, and open them uncompressed."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from recommender.fields import RefusedError

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
}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
HEAD_BYTES = 65_536


class CorpusError(Exception):
    """A corpus that cannot be read; the message has the file, the problem and the cure."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One record of a corpus file: its values by our column names, or why it was skipped or refused."""

    number: int  # from 1: the line in JSONL and CSV, the record in Parquet, the item in XML
    values: Mapping[str, Any] = field(default_factory=dict)
    unknown: Sequence[str] = ()  # columns that we do not use
    visibility: Sequence[tuple[str, Any]] = ()  # the columns that may say whether the record is public
    skipped: str = ""  # the kind of a record that is not a public article, such as "draft"
    refused: RefusedError | None = None  # why the record cannot be read


def corpus_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files in `paths`, without duplicates; a folder means its corpus files, sorted by name.

    A corpus file is recognized by its suffix; hidden files are ignored. Raises CorpusError if there are no
    paths, a path does not exist, or a folder has no corpus files.
    """
    if not paths:
        raise CorpusError(
            "no corpus given; pass a .jsonl, .csv, .parquet or WordPress .xml file, or a folder"
        )
    files = [file for path in paths for file in _files_in(Path(path))]
    return list({file.resolve(): file for file in reversed(files)}.values())[::-1]


def format_of(path: Path) -> str:
    """Return the format of a file, `jsonl`, `csv`, `parquet`, `wxr` or `feed`, by its suffix or first bytes.

    The first bytes decide if the suffix is unknown, and between a feed and a WordPress export, which is also
    RSS.
    """
    head = head_of(path)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(f"{path} is UTF-16 text; save it as UTF-8")
    kind = FORMAT_OF_SUFFIX.get(_suffix(path)) or _format_by_content(path, head)
    return "feed" if kind == "wxr" and _FEED.match(head) else kind


def head_of(path: Path) -> bytes:
    """Return the first 64 KiB of a file, uncompressed."""
    with opened(path) as stream:
        return stream.read(HEAD_BYTES)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, and decompress it if it starts like gzip or Zstandard.

    Inside the context, errors of the file system and the decompressor are raised as CorpusError.
    """
    try:
        with path.open("rb") as stream:
            kind = _PACKED.get(stream.peek(4)[:4]) or _PACKED.get(stream.peek(2)[:2])
            yield io.BufferedReader(pa.CompressedInputStream(stream, kind), HEAD_BYTES) if kind else stream
    except PermissionError:
        raise CorpusError(f"{path} is not readable by this user; change its owner or mode") from None
    except OSError as error:
        cause = error.strerror or str(error)
        raise CorpusError(
            f"{path} cannot be read ({cause}); it may be truncated or damaged: copy it again"
        ) from error


_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# Possessive (*+), to avoid backtracking: exports begin with many comments.
_FEED = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s+|<\?.*?\?>|<!--.*?-->)*+<(?:feed|rdf:RDF|rss(?![^>]*wordpress\.org/export/))[\s>]",
    re.DOTALL,
)
_PACKED_SUFFIXES = (".gz", ".zst")


def _files_in(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise CorpusError(f"{path} does not exist or is not a file; check the path")
        files = sorted(file for file in path.iterdir() if _is_corpus_file(file))
    except (OSError, ValueError) as error:
        raise CorpusError(f"{str(path)!r} cannot be read ({error})") from error
    if not files:
        raise CorpusError(
            f"folder {path} contains no corpus file ({' '.join(FORMAT_OF_SUFFIX)}, also .gz and .zst)"
        )
    return files


def _is_corpus_file(file: Path) -> bool:
    return not file.name.startswith(".") and _suffix(file) in FORMAT_OF_SUFFIX and file.is_file()


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for packed in _PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _format_by_content(path: Path, head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"<"):
        return "wxr"
    if start.startswith(b"{"):
        return "jsonl"
    header = start.partition(b"\n")[0].decode(errors="replace").lower()
    if re.search(r"[,;\t|]", header) and "id" in re.split(r'[,;\t|"]+', header.strip()):
        return "csv"
    raise CorpusError(
        f"{path} has an unknown format: it begins with {start[:40]!r}; "
        f"give it the suffix of its format ({' '.join(FORMAT_OF_SUFFIX)})"
    )
