"""The positions of our columns in a table, and the errors for missing columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recommender.fields import COLUMNS
from recommender.training.formats.files import DELIMITERS, CorpusError, RawRow, SourceOptions
from recommender.visibility import Decisions


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of our columns and of the visibility columns, and the columns that we do not use."""

    places: Mapping[str, int]
    visibility: tuple[tuple[str, int], ...]
    unknown: tuple[str, ...]

    def row(self, number: int, cells: Sequence[Any] | Mapping[int, Any]) -> RawRow:
        """Return the record with these values by position."""
        values = {name: cells[place] for name, place in self.places.items()}
        return RawRow(number, values, self.unknown, [(name, cells[place]) for name, place in self.visibility])


def layout_of(names: tuple[str, ...], options: SourceOptions) -> Layout:
    """Return the layout of a table with these columns."""
    public, ignored = frozenset(options.decisions.public), options.decisions.ignored
    return _cached_layout(names, tuple(options.columns.items()), public, ignored)


def in_our_spelling(names: tuple[str, ...], columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names, with our name for each that differs from it only in case, spaces, `-` and `_`.

    A name that is mapped stays, and so do two names that could be the same one of ours. Visibility columns
    stay too: their names are compared without case anyway.
    """
    missing = {name for name in COLUMNS if name not in {*names, *columns, *_VISIBILITY}}
    ours = {_without_case(name): name for name in missing}
    keys = ["" if name in columns.values() else _without_case(name) for name in names]
    return tuple(
        ours[key] if key in ours and keys.count(key) == 1 else name
        for key, name in zip(keys, names, strict=True)
    )


def has_our_columns(names: tuple[str, ...], columns: Mapping[str, str]) -> bool:
    """Return whether a table has the needed columns, also in another spelling."""
    return not _fault(names, columns, in_our_spelling(names, columns))


def check_columns(
    path: Path,
    names: tuple[str, ...],
    columns: Mapping[str, str],
    delimiter: str = "",
    *,
    may_differ_in_case: bool = False,
) -> None:
    """Raise CorpusError unless there is an id, a title or body, and every mapped column.

    If the id, title or body has our name only in another spelling, both title and body are needed: a body by
    an unknown name would be lost.
    """
    ours = in_our_spelling(names, columns) if may_differ_in_case else names
    if fault := _fault(names, columns, ours, delimiter):
        raise CorpusError(f"{path} has {fault}")


def _fault(
    names: tuple[str, ...], columns: Mapping[str, str], ours: tuple[str, ...], delimiter: str = ""
) -> str:
    """Return which column is missing and the cure, or an empty string."""
    shown = "its columns: " + ", ".join(repr(name) for name in names[:30])
    for our_name, theirs in columns.items():
        if theirs not in names:
            return f"no column {theirs!r} to map to {our_name!r}; {shown}"
    readable = {*ours, *columns}
    if "id" not in readable:
        return f"no column 'id'; {shown}; {_cure(names, delimiter)}"
    if not {"title", "body"} & readable:
        return (
            f"neither a column 'title' nor 'body'; {shown}; map one, such as {_usual(names, 'body', 'title')}"
        )
    respelled = {"id", "title", "body"} & {*ours} - {*names}
    if respelled and (missing := {"title", "body"} - readable):
        (name,) = missing
        return f"no column {name!r}; {shown}; map it, such as {_usual(names, name)}"
    return ""


_VISIBILITY = frozenset({"status", "post_password"})  # our columns, whatever the file calls them


@lru_cache(maxsize=256)
def _cached_layout(
    names: tuple[str, ...],
    renamed: tuple[tuple[str, str], ...],
    public: frozenset[str],
    ignored: frozenset[str],
) -> Layout:
    decisions = Decisions(dict.fromkeys(public, frozenset()), ignored)
    theirs = {name for _, name in renamed}
    places = {name: place for place, name in enumerate(names) if name in COLUMNS}
    places |= {ours: names.index(name) for ours, name in renamed if name in names}
    # A column that is mapped to another field says nothing about visibility. Of a repeated name, all count.
    visibility = [
        (name, place)
        for place, name in enumerate(names)
        if name not in theirs and decisions.is_visibility_column(name)
    ]
    visibility += [
        (ours, names.index(name)) for ours, name in renamed if name in names and ours in _VISIBILITY
    ]
    unknown = tuple(name for name in names if name not in COLUMNS and name not in theirs)
    return Layout(places, tuple(visibility), unknown)


def _cure(names: Sequence[str], delimiter: str) -> str:
    for other, word in DELIMITERS.items():
        fields = [name.strip(' "').lower() for name in delimiter.join(names).split(other)]
        if delimiter and other != delimiter and "id" in fields:
            wanted = DELIMITERS.get(delimiter, repr(delimiter))
            return f"its fields seem to be separated by {word} ({other!r}); separate them by {wanted}"
    if delimiter and len(names) == 1:
        return f"it has only one column: separate its fields by {DELIMITERS.get(delimiter, repr(delimiter))}"
    similar = next((name for name in names if _without_case(name).strip("_") == "id"), "their_name")
    return f"map one, such as id={similar}"


def _usual(names: Sequence[str], *wanted: str) -> str:
    """Return an example of a mapping, if possible with a column that usually contains the field."""
    mappings = (
        (ours, name) for ours in wanted for name in names if _without_case(name) in _USUAL_NAMES[ours]
    )
    ours, name = next(mappings, (wanted[0], _USUAL_NAMES[wanted[0]][0]))
    return f"{ours}={name}"


def _without_case(name: str) -> str:
    """Return a name without case and separators; a leading underscore stays, as in MongoDB's `_id`."""
    return name[:1].casefold() + re.sub(r"[\s_-]+", "", name[1:].casefold())


_USUAL_NAMES = {
    "title": ("headline", "posttitle"),
    "body": ("content", "postcontent", "text", "fulltext", "articlebody", "html"),
}
