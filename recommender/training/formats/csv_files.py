"""Rows of CSV files, plain or compressed, also as spreadsheets write them."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from recommender.fields import RefusedError
from recommender.text import detect_language
from recommender.training.formats.files import (
    DELIMITERS,
    HEAD_BYTES,
    CorpusError,
    RawRow,
    RecordLines,
    SourceOptions,
    head_of,
    opened,
)
from recommender.training.formats.layout import check_columns, has_our_columns, in_our_spelling, layout_of

MAX_FIELD_CHARS = 2**31 - 1  # the csv module's default, 131,072 characters, is too short for long articles
EVIDENCE_RATIO = 10  # signs of windows-1252 for each sign of UTF-8 in the same file


def csv_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the records of a CSV file (`.tsv`: separated by tabs), numbered by their first line.

    Another delimiter, UTF-16, and columns whose names differ from ours only in case, spaces, hyphens and
    underscores are accepted if the header then has all needed columns; windows-1252 if the bytes prove it
    (see `is_windows_1252`). The first row is then a note. Empty fields and NaN are missing values, empty
    records are skipped. A record with too few or too many fields, a stray quote, bytes in another encoding or
    an id that a spreadsheet rounded is refused. Raises CorpusError if the header lacks a required column, or
    if a quote is never closed.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    dialect = _dialect_of(path, options.columns)
    with opened(path) as stream, dialect.decoded(stream) as text:
        lines = RecordLines(path, text)
        if dialect.has_separator_line:
            next(lines)
        records = _csv_records(path, lines, dialect)
        _, header = next(records, (0, []))
        if isinstance(header, RefusedError):
            raise CorpusError(f"{path}: the header cannot be read ({header})")
        if not header:
            return
        names = tuple(name.strip() for name in header)
        check_columns(path, names, options.columns, dialect.delimiter, may_differ_in_case=True)
        ours = in_our_spelling(names, options.columns)
        if note := dialect.note(_usual_delimiter(path), dict(zip(names, ours, strict=True))):
            yield RawRow(1, note=note)
        layout = layout_of(ours, options)
        nameless = [place for place, name in enumerate(names) if not name]
        for number, cells in records:
            if isinstance(cells, RefusedError):
                yield RawRow(number, refused=cells)
                continue
            row = layout.row(number, [None if cell in _MISSING else cell for cell in cells])
            if nameless and not any(cells[place] for place in nameless):
                row = replace(row, unknown=[name for name in layout.unknown if name])
            yield _without_rounded_id(row)


def is_windows_1252(path: Path) -> bool:
    """Return whether the bytes of the whole file prove that its text is windows-1252.

    Proof is a byte that is no part of UTF-8, also not of a letter that was cut in half. There must be ten of
    them for each byte that speaks for another encoding: one that continues a letter of UTF-8, one that
    windows-1252 does not define, a symbol within a word, or one in a long run, as in Cyrillic. So broken rows
    of a UTF-8 file prove nothing. The language must be one that windows-1252 can write: Czech in windows-1250
    has much the same bytes.
    """
    proofs = contradictions = 0
    rest, sample = b"", b""
    with opened(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            data = rest + block
            rest = b""
            if data.isascii():
                continue
            try:
                text, used = codecs.utf_8_decode(data, "strict", False)  # noqa: FBT003 positional only
            except UnicodeDecodeError:
                rest = _last_letters(data)
                data = data.removesuffix(rest)
                sample = sample or _lines_with_letters(data)
                more_proofs, more_contradictions = _signs(data)
                proofs, contradictions = proofs + more_proofs, contradictions + more_contradictions
            else:
                rest = data[used:]
                contradictions += used - len(text)
            if contradictions >= _ENOUGH and contradictions > EVIDENCE_RATIO * proofs:
                return False  # a file that begins in UTF-8 does not become windows-1252 later
    more_proofs, more_contradictions = _signs(rest)
    proofs, contradictions = proofs + more_proofs, contradictions + more_contradictions
    language = detect_language((sample or rest).decode(_WINDOWS_1252, errors="replace"))
    return 0 < proofs >= EVIDENCE_RATIO * contradictions and language not in _OTHER_ENCODINGS


def _signs(data: bytes) -> tuple[int, int]:
    """Return the number of bytes that prove windows-1252, and of those that contradict it."""
    letters = b" ".join(_LETTERS.findall(data))
    broken = _UTF8_LETTER.sub(b" ", letters)
    defined = broken.translate(None, _UNDEFINED)
    contradictions = len(letters) - len(defined) + sum(map(len, _LETTER_RUN.findall(defined)))
    contradictions += len(_SYMBOL_IN_WORD.findall(defined))
    proofs = _LETTER_RUN.sub(b" ", _CUT_LETTER.sub(b" ", defined)).translate(None, _ASCII)
    return len(proofs), contradictions


def _lines_with_letters(data: bytes) -> bytes:
    lines = (line for line in data.splitlines() if not line.isascii())
    return b"\n".join(islice(lines, _SAMPLE_LINES))


def _last_letters(data: bytes) -> bytes:
    """Return the bytes after the last ASCII byte of a block, which may continue in the next."""
    end = data[-_LONGEST_WORD:]
    return end[len(end.rstrip(_NOT_ASCII)) :]


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a CSV file is written."""

    encoding: str
    delimiter: str
    has_separator_line: bool = False  # a first line such as `sep=;`, for spreadsheets

    def decoded(self, stream: BinaryIO) -> io.TextIOWrapper:
        # Bytes that are not UTF-8 become lone surrogates, which valid UTF-8 never
        # produces, so they mark the bad rows. UTF-16 has no such bytes to escape.
        errors = "replace" if self.encoding.startswith("utf-16") else "surrogateescape"
        return io.TextIOWrapper(stream, encoding=self.encoding, errors=errors, newline="")

    def note(self, usual_delimiter: str, name_of: Mapping[str, str]) -> str:
        """Return what differs from the usual CSV file, or an empty string."""
        parts = []
        delimiter = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        separated = "" if self.delimiter == usual_delimiter else f", separated by {delimiter}"
        if separated or self.encoding != _UTF8:
            parts.append(f"read as {_ENCODING_NAMES[self.encoding]}{separated}")
        renamed = [f"{name!r} is read as {ours!r}" for name, ours in name_of.items() if name != ours]
        if renamed:
            parts.append("column " + ", ".join(renamed))
        return "; ".join(parts)


def _dialect_of(path: Path, columns: Mapping[str, str]) -> _Dialect:
    """Return the usual dialect, or the only other one in which the header has the needed columns.

    If there is none, the dialect is the one that makes the better message about the missing columns.
    """
    head = head_of(path)
    encoding = _encoding_of(path, head)
    errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
    text = head.decode(encoding, errors)
    if line := _SEPARATOR_LINE.match(text):
        return _Dialect(encoding, line[1], has_separator_line=True)
    usual = _usual_delimiter(path)
    headers = {delimiter: _header(text, delimiter) for delimiter in DELIMITERS}
    proven = [delimiter for delimiter, names in headers.items() if has_our_columns(names, columns)]
    if usual in proven:
        return _Dialect(encoding, usual)
    splitting = [delimiter for delimiter, names in headers.items() if len(names) > 1]
    candidates = proven or ([] if usual in splitting else splitting)
    return _Dialect(encoding, candidates[0] if len(candidates) == 1 else usual)


def _usual_delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.suffixes else ","


def _encoding_of(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8):
        return _UTF8
    # Without a byte order mark, the names of columns show UTF-16: their high bytes are all zero.
    even, odd = (head[start : 2 * _UTF16_LETTERS : 2] for start in (0, 1))
    if len(odd) == _UTF16_LETTERS and any(even) != any(odd):
        return "utf-16-le" if any(even) else "utf-16-be"
    return _WINDOWS_1252 if is_windows_1252(path) else _UTF8


def _header(text: str, delimiter: str) -> tuple[str, ...]:
    """Return the names of the columns, or none if the header cannot be read with this delimiter."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return tuple(name.strip() for name in next(filter(any, reader), ()))
    except csv.Error:
        return ()


def _csv_records(
    path: Path, text: RecordLines, dialect: _Dialect
) -> Iterator[tuple[int, list[str] | RefusedError]]:
    """Yield each record, or the error of a broken record, with its first line's number; header first."""
    reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
    width = 0
    while True:
        number = reader.line_num + 1 + dialect.has_separator_line
        text.next_record()
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if any(cells):  # spreadsheets write empty rows as delimiters only
                width = width or len(cells)
                yield number, _checked_cells(cells, width, dialect.encoding)
        except RefusedError as error:
            yield number, error
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise CorpusError(
                    f"{path}: a quote opened in line {number} or later is never closed"
                ) from None
            yield number, RefusedError("broken CSV", str(error))


def _checked_cells(cells: list[str], width: int, encoding: str) -> list[str]:
    if len(cells) != width:
        raise RefusedError("broken CSV", f"{len(cells)} fields where the header has {width}")
    reason = f"not {_ENCODING_NAMES[encoding]}"
    for cell in cells:
        if cell.isascii():
            continue
        if undecoded := _NOT_UTF8.search(cell):
            code = ord(undecoded[0]) - 0xDC00
            raise RefusedError(reason, f"byte {code:#04x} in {cell[: undecoded.start()][-40:]!r}…")
        if encoding.startswith("utf-16") and "\ufffd" in cell:
            raise RefusedError(reason, f"half a character in {cell[: cell.index(chr(0xFFFD)) + 1][-40:]!r}…")
    if encoding == _WINDOWS_1252:
        _check_not_utf8(cells, reason)
    return cells


def _check_not_utf8(cells: list[str], reason: str) -> None:
    """Refuse a record of a windows-1252 file whose letters are all valid UTF-8: two files may be joined."""
    content = " ".join(cells)
    if content.isascii():
        return
    try:
        text = content.encode(_WINDOWS_1252).decode()
    except UnicodeDecodeError:
        return
    place = next(place for place, letter in enumerate(text) if not letter.isascii())
    raise RefusedError(reason, f"{text[max(0, place - 20) : place + 20]!r} is UTF-8")


def _without_rounded_id(row: RawRow) -> RawRow:
    article_id = row.values.get("id")
    if not isinstance(article_id, str) or not _ROUNDED.fullmatch(article_id.strip()):
        return row
    detail = f"id is {article_id!r}: a spreadsheet rounded a long number, and the id is lost"
    return replace(row, refused=RefusedError("rounded id", detail))


_UTF8, _WINDOWS_1252 = "utf-8-sig", "cp1252"
_ENCODING_NAMES = {_UTF8: "UTF-8", _WINDOWS_1252: "windows-1252"} | dict.fromkeys(
    ("utf-16", "utf-16-le", "utf-16-be"), "UTF-16"
)
_UTF16_LETTERS = 4  # looked at; every header with our columns is longer, such as `id,body`
_MISSING = frozenset({"", "NaN", "nan"})  # how pandas writes a missing value
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?(?:\r\n?|\n)', re.IGNORECASE)
_ROUNDED = re.compile(r"-?\d+(?:[.,]\d+)?[eE]\+\d{1,3}")  # 1.23457E+15; in many languages 1,23457E+15
_NOT_UTF8 = re.compile("[\udc80-\udcff]")

_BLOCK_BYTES = 16 * HEAD_BYTES
_LONGEST_WORD = 64  # bytes
_SAMPLE_LINES = 100
_ENOUGH = 10_000  # contradictions, after which the rest of the file does not matter
_ASCII, _NOT_ASCII = bytes(range(128)), bytes(range(128, 256))
_LETTERS = re.compile(rb"[A-Za-z]?[\x80-\xff]+[A-Za-z]?")
_LETTER_RUN = re.compile(rb"[\xc0-\xfd]{4,}")
# Symbols of windows-1252 that are not found within words, but are letters on a Mac, in DOS or in Polish.
_SYMBOL_IN_WORD = re.compile(
    rb"(?<=[a-z])[\x80-\x84\x86-\x91\x93-\x95\x98\x9b\x9f\xa1-\xac\xae-\xb6\xb8-\xbf](?=[a-z])"
)
_UNDEFINED = b"\x81\x8d\x8f\x90\x9d"  # in windows-1252
_UTF8_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# What is left of a UTF-8 letter that was cut in half, and bytes that are rather damage than letters.
_CUT_LETTER = re.compile(
    rb"[\xe0-\xef][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{1,2}|[\xc2\xc3\xe2](?![A-Za-z\x80-\xff])|[\xfe\xff]"
)
# Languages of Europe and its neighbours whose old encodings are not windows-1252.
_OTHER_ENCODINGS = frozenset(
    "pl cs sk hu hr bs sl sr ro lt lv et tr az mt cy eo ru uk be bg mk el he ar fa th vi".split()
)
