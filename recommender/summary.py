"""How the objects of the Python API are displayed: one line as text, a small table in a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from recommender.printable import one_line


class Summarized(ABC):
    """An object that describes itself by a few facts, so that its display fits one screen."""

    __slots__ = ()

    @abstractmethod
    def summary(self) -> Mapping[str, str]:
        """Return the most important facts, by name."""

    def __repr__(self) -> str:
        """Return the facts on one line."""
        facts = ", ".join(
            f"{_uncapitalized(name)} {value}" for name, value in self.summary().items() if value
        )
        return one_line(f"<{type(self).__name__}: {facts}>")

    def _repr_html_(self) -> str:
        """Return the facts as a table, for notebooks."""
        return html_table(type(self).__name__, [(name, value) for name, value in self.summary().items()])


def html_table(caption: str, rows: Iterable[Sequence[str]], headings: Sequence[str] = ()) -> str:
    """Return an HTML table; the first cell of each row is its heading. All texts are escaped."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return f"<table><caption>{escape(caption)}</caption>{head and f'<tr>{head}</tr>'}{body}</table>"


def shortened(text: str, width: int = 80) -> str:
    """Return a text cut at `width` characters, with an ellipsis if something is missing."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _uncapitalized(name: str) -> str:
    return name[:1].lower() + name[1:]
