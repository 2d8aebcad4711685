"""Rows of JSON files: an object on each line, or a document with a list of posts, also of other systems.

A document is an array of posts, or an object with a list of posts somewhere in it, as exports and APIs write
it. Documents are parsed in pieces: only one record is in memory, and `--max-row-mib` applies to each record.
Posts of Ghost, WordPress, Drupal, Strapi, JSON Feed and Elasticsearch are recognized by their fields.
"""

import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import ijson
from ijson.common import ObjectBuilder

from recommender.fields import RefusedError
from recommender.training.formats import json_posts
from recommender.training.formats.files import CorpusError, RawRow, SourceOptions, limits, lines, opened
from recommender.training.formats.json_posts import Record, list_of, mapping_of
from recommender.training.formats.tables import name_in, row_of

MAX_DEPTH = 200  # of objects and lists in a record
MAX_PLACES = 8  # levels above a list of posts
Records = Iterator[tuple[int, Record | RefusedError]]


def json_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield the posts in a JSON file as rows, numbered by line, or by position in the list of a document.

    Blank lines are skipped, a line or element that is not an object is refused. If an object lacks the name
    that a column is mapped to, our name is used. Raises CorpusError if the file is not JSON, is the error
    response of an API, contains no list or several lists, or if no object has a mapped name.
    """
    place = _place_of_posts(path)
    unseen = set(options.columns.values())
    posts = _Posts(path, place, options)
    for number, record in _lines(path) if place is None else json_values(path, place):
        if isinstance(record, RefusedError):
            yield RawRow(number, refused=record)
        else:
            unwrapped = _unwrapped(record)
            unseen.difference_update(unwrapped)
            yield posts.row(number, unwrapped)
    for note in sorted(posts.notes):
        yield RawRow(0, note=note)
    if unseen:
        where = "line" if place is None else "record"
        raise CorpusError(f"{path} has no field {min(unseen)!r} in any {where}; correct the column mapping")


def json_values(path: Path, place: str) -> Records:
    """Yield each object at a place in a document, such as `posts.item`, with its number from 1.

    An element that is not an object, or is nested too deeply, is an error instead.
    """
    number, builder, depth, is_deep = 0, ObjectBuilder(), 0, False
    with _events(path) as (source, events):
        for prefix, event, value in events:
            if depth == 0 and (prefix != place or event in _ENDS):
                source.next_value(f"record {number + 1}")
                continue
            depth += _STEPS.get(event, 0)
            is_deep = is_deep or depth > MAX_DEPTH
            if not is_deep:
                builder.event(event, float(value) if isinstance(value, Decimal) else value)
            if depth == 0:
                number += 1
                yield number, _object(builder.value, is_deep=is_deep)
                builder, is_deep = ObjectBuilder(), False
                source.next_value(f"record {number + 1}")


_BOM = b"\xef\xbb\xbf"
_STEPS = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_ENDS = frozenset({"end_map", "end_array", "map_key"})
# A list with such a name contains the posts; the other lists of the document are then ignored.
_LISTS_OF_POSTS = frozenset(
    "posts articles stories items entries results documents docs nodes edges records data hits rows".split()
)
_CONTAINER = re.compile(rb'\{\s*"(?:db|meta|jsonapi|links|%s)"\s*:' % "|".join(_LISTS_OF_POSTS).encode())
_OPEN_ENDS = frozenset({b"{", b"[", b","})  # of the first line of a document with line breaks
_PEEKED_BYTES = 4096
_MAX_SHOWN = 10


class _Counted:
    """The bytes of a document, with a limit for each value in it."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream = path, stream
        self._size, self.place = 0, "the document"
        self._start = stream.read(len(_BOM)).removeprefix(_BOM)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises TooLargeError if the current value is larger than a row may be."""
        if size == 0:  # the parser asks whether the stream has bytes or text
            return b""
        content, self._start = self._start or self._stream.read(size), b""
        self._size += len(content)
        limits().check_row(self._path, self.place, self._size)
        return content

    def next_value(self, place: str) -> None:
        """Begin to count the bytes of another value."""
        self._size, self.place = 0, place


@contextmanager
def _events(path: Path) -> Iterator[tuple[_Counted, Iterator[tuple[str, str, Any]]]]:
    """Open a document as parsing events. Inside the context, errors of the parser become CorpusError."""
    with opened(path) as stream:
        source = _Counted(path, stream)
        try:
            yield source, _placed(ijson.basic_parse(source, multiple_values=True))
        except ijson.JSONError as error:
            raw = error.args[0] if error.args else ""
            text = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
            raise CorpusError(
                f"{path} is not valid JSON ({text.partition(chr(10))[0].strip()}; in {source.place}); "
                "it may be truncated: export it again"
            ) from None


def _placed(events: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """Yield each event after its place, such as `posts.item.title`; places that are too deep are `…`.

    ijson can do that, too, but its places of deeply nested values need quadratic memory.
    """
    containers: list[tuple[str, str]] = []  # the place of each open object or list, and its start
    key = ""
    for event, value in events:
        if event in {"end_map", "end_array"}:
            yield containers.pop()[0], event, value
            continue
        outer, kind = containers[-1] if containers else ("", "")
        if event == "map_key":
            key = value
            yield outer, event, value
            continue
        name = {"start_array": "item", "start_map": key}.get(kind, "")
        place = "…" if len(containers) > MAX_PLACES else f"{outer}.{name}" if outer else name
        if event in _STEPS:
            containers.append((place, event))
        yield place, event, value


def _lines(path: Path) -> Records:
    """Yield the object on each line with the number of the line, or why the line is refused."""
    with opened(path) as stream:
        for number, line in enumerate(lines(path, stream), 1):
            if line.isspace():
                continue
            try:
                yield number, _object(json.loads(line.removeprefix(_BOM).decode()), line=line)
            except UnicodeDecodeError as error:
                detail = f"byte {error.start + 1} of the line is {line[error.start]:#04x}"
                yield number, RefusedError("not UTF-8", detail)
            except (ValueError, RecursionError) as error:
                yield number, RefusedError("not JSON", f"{error}: {line[:60]!r}")


def _object(value: Any, *, line: bytes = b"", is_deep: bool = False) -> Record | RefusedError:
    if is_deep:
        return RefusedError("nested too deeply", f"it has over {MAX_DEPTH} levels of objects and lists")
    if isinstance(value, dict):
        return value
    shown = f"the line is {line[:60]!r}" if line else f"the element is {reprlib.repr(value)}"
    return RefusedError("no JSON object", shown)


def _place_of_posts(path: Path) -> str | None:
    """Return the place of the posts in a document, as of `json_values`; None for a file of JSON lines."""
    with opened(path) as stream:
        first = _filled_line(stream, limits().row_bytes + 1).removeprefix(_BOM).lstrip()
        second = _filled_line(stream, _PEEKED_BYTES).lstrip()
    if first.startswith(b"["):
        return "item"
    if first and not first.startswith(b"{") and not second.startswith(b"{"):
        raise CorpusError(f"{path} is not JSON: it begins with {first[:40]!r}")
    if len(first) > limits().row_bytes:
        return _place_in_document(path) if _CONTAINER.match(first) else None
    if second.startswith(b"{") and not first.startswith(b"{"):
        return None
    try:
        record = json.loads(first or b"{}")
    except (ValueError, RecursionError):
        return _place_in_document(path) if first.rstrip()[-1:] in _OPEN_ENDS else None
    is_nested = any(isinstance(value, Mapping | list) for value in record.values())
    return _place_in_document(path) if not second and is_nested and not _is_record(record) else None


def _filled_line(stream: BinaryIO, size: int) -> bytes:
    """Return the next line that is not blank, or nothing at the end."""
    line = stream.readline(size)
    while line.isspace():
        line = stream.readline(size)
    return line


def _is_record(keys: Mapping[str, Any]) -> bool:
    """Return whether an object with these keys is a post itself, not a document with posts."""
    return bool({"id", "_id"} & keys.keys())


def _place_in_document(path: Path) -> str:
    """Return the place of the list of posts in an object, or of the objects themselves."""
    lists: list[str] = []
    keys: Record = {}
    with _events(path) as (source, events):
        for place, event, value in events:
            source.next_value("the beginning")
            if event == "end_map" and place == "":
                break
            if place and "." not in place and event not in _ENDS:
                keys.setdefault(place, value)
            inner = place.removeprefix("db.item.")  # of Ghost, whose exports contain one database
            if any(place.startswith(known) for known in lists) or ".item." in inner or _is_record(keys):
                continue
            if event == "start_array" and inner.rpartition(".")[2] in _LISTS_OF_POSTS:
                return f"{place}.item"
            if event == "start_map" and inner.endswith(".item") and inner != "db.item":
                lists.append(place)
    if _is_record(keys):
        return ""
    if len(lists) == 1 and lists != ["errors.item"]:
        return lists[0]
    raise CorpusError(f"{path} {_why_no_posts(path, lists, keys)}")


def _why_no_posts(path: Path, lists: list[str], keys: Mapping[str, Any]) -> str:
    message = keys.get("message") or keys.get("error")
    if lists == ["errors.item"] or (isinstance(message, str) and not lists):
        shown = f" ({message[:100]!r})" if isinstance(message, str) else ""
        return f"is the error response of an API{shown}, not a list of posts; request it again"
    names = [name.removesuffix(".item") for name in lists[:_MAX_SHOWN]]
    if names:
        command = f"jq -c '.{names[0]}[]' {path.name}"
        return f"contains several lists: {', '.join(names)}; extract the posts, such as: {command}"
    return f"contains no list of posts; its keys: {', '.join(map(repr, list(keys)[:_MAX_SHOWN]))}"


def _unwrapped(record: Record) -> Record:
    """Return the record inside a wrapper of GraphQL or Elasticsearch."""
    if isinstance(node := record.get("node"), dict) and record.keys() <= {"node", "cursor"}:
        return node
    if isinstance(source := record.get("_source"), dict) and "_id" in record:
        return {"id": record["_id"], **source}
    return record


class _Posts:
    """Turns the records of one file into rows, each by the system that wrote it."""

    def __init__(self, path: Path, place: str | None, options: SourceOptions) -> None:
        self.notes: set[str] = set()
        self._path, self._place, self._options = path, place, options
        self._included: dict[tuple[str, str], Any] | None = None
        is_export = place is not None and place.endswith("data.posts.item")
        self._ghost = json_posts.GhostTables(is_export=is_export)
        if place is not None and is_export:
            self._read_ghost_tables(place.removesuffix("data.posts.item"))

    def _read_ghost_tables(self, database: str) -> None:
        with _events(self._path) as (source, events):
            for place, _, value in events:
                source.next_value("the beginning")
                if place == f"{database}meta.version":
                    self._ghost.version = str(value)
                    break
        for table in json_posts.GHOST_TABLES:
            for row in self._rows_beside(f"{database}data.{table}.item"):
                self._ghost.add(table, row)

    def _rows_beside(self, place: str) -> Iterator[Record]:
        """Yield the objects at another place; they stay in memory, so all of them count as one row."""
        for number, row in json_values(self._path, place):
            limits().check_row(self._path, f"the list {place.removesuffix('.item')}", number * _ROW_BYTES)
            if isinstance(row, dict):
                yield row

    def row(self, number: int, record: Record) -> RawRow:
        """Return a record as a row: as that of a known system, else by the names of its fields."""
        is_mapped = "body" in self._options.columns
        if self._ghost.is_export or (json_posts.is_ghost(record) and not is_mapped):
            return json_posts.ghost_row(number, record, self._ghost, self._options, self.notes)
        try:
            values = self._values(record)
        except RefusedError as error:
            return RawRow(number, refused=error)
        if values is None:
            return row_of(number, record, self._options)
        if kind := values.get("skipped"):
            return RawRow(number, skipped=kind)
        mapped = {theirs: record[theirs] for theirs in self._options.columns.values() if theirs in record}
        return replace(row_of(number, {**mapped, **values}, self._options), unknown=())

    def _values(self, record: Mapping[str, Any]) -> Record | None:
        """Return a record of a known system by our names, with its fields about visibility; else None."""
        title, attributes = record.get("title"), record.get("attributes")
        if isinstance(title, Mapping) and "rendered" in title:
            if "_embedded" not in record and (record.get("categories") or record.get("tags")):
                self.notes.add(_NUMBERS)
            return json_posts.wordpress(record, self._options)
        if isinstance(attributes, Mapping) and "--" in str(record.get("type")):
            return json_posts.drupal(record, self._names_of(record), self._options)
        if isinstance(attributes, Mapping) or "documentId" in record:
            return json_posts.strapi({**record, **mapping_of(attributes)}, self._options)
        if {"content_html", "content_text"} & record.keys() and "body" not in record:
            return json_posts.json_feed(record)
        return None

    def _names_of(self, node: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the type and name of each included record that a record refers to."""
        if self._included is None:
            beside = self._rows_beside("included.item") if self._place == "data.item" else ()
            self._included = {
                (str(other.get("type")), str(other.get("id"))): name_in(mapping_of(other.get("attributes")))
                for other in beside
            }
        names = []
        for field, relation in mapping_of(node.get("relationships")).items():
            for link in list_of(mapping_of(relation).get("data")) if field != "revision_uid" else ():
                key = str(mapping_of(link).get("type")), str(mapping_of(link).get("id"))
                if isinstance(name := self._included.get(key), str):
                    names.append((key[0].replace("taxonomy_term--", "taxonomy "), name))
        return names


_ROW_BYTES = 256  # in memory, of a row beside the posts
_NUMBERS = "categories and tags are numbers without names and are left out; request the posts with _embed=1"
