"""The positions of our columns in a table, and the errors for missing columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recommender.fields import COLUMNS
from recommender.training.readers.files import DELIMITERS, CorpusError, RawRow, SourceOptions


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
    about_visibility = tuple(options.decisions.is_visibility_column(name) for name in names)
    return _cached_layout(names, tuple(options.columns.items()), about_visibility)


def check_columns(path: Path, names: Sequence[str], columns: Mapping[str, str], delimiter: str = "") -> None:
    """Raise CorpusError unless there is an id, a title or body, and every mapped column."""
    shown = ", ".join(repr(name) for name in names[:30])
    for ours, theirs in columns.items():
        if theirs not in names:
            raise CorpusError(f"{path} has no column {theirs!r} to map to {ours!r}; its columns: {shown}")
    if "id" not in names and "id" not in columns:
        raise CorpusError(f"{path} has no column 'id'; its columns: {shown}; {_cure(names, delimiter)}")
    if not {"title", "body"} & {*names, *columns}:
        raise CorpusError(
            f"{path} has neither a column 'title' nor 'body'; its columns: {shown}; "
            "map one, such as body=content"
        )


_VISIBILITY = frozenset({"status", "post_password"})  # our columns, whatever the file calls them


@lru_cache(maxsize=256)
def _cached_layout(
    names: tuple[str, ...], renamed: tuple[tuple[str, str], ...], about_visibility: tuple[bool, ...]
) -> Layout:
    theirs = {name for _, name in renamed}
    places = {name: place for place, name in enumerate(names) if name in COLUMNS}
    places |= {ours: names.index(name) for ours, name in renamed if name in names}
    # A column that is mapped to another field says nothing about visibility. Of a repeated name, all count.
    visibility = [
        (name, place) for place, name in enumerate(names) if about_visibility[place] and name not in theirs
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
            wanted = DELIMITERS[delimiter]
            return f"its fields seem to be separated by {word} ({other!r}); separate them by {wanted}"
    if delimiter and len(names) == 1:
        return f"it has only one column: separate its fields by {DELIMITERS[delimiter]}"
    similar = next((name for name in names if name.lower().strip("_") == "id"), "their_name")
    return f"map one, such as id={similar}"
