"""Tables for the terminal that never lose a figure: wide in a file, stacked when the terminal is narrow."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_WORD = 16  # characters of a column of texts below which it is unreadable
_GAP = 3  # between two columns
_EDGES = 2  # one space on each side of a table
_NOTE = 100  # characters in a line of a note
_WIDE = 10_000  # columns of a file

_Rows = Sequence[tuple[Sequence[RenderableType], str]]


class Sheet:
    """A table that fits its terminal.

    `>` before a heading means numbers, which are aligned to the right and never wrapped; `<` means texts that
    are never wrapped, such as names to copy. Other texts are wrapped, and columns without a value are left
    out. If the terminal is too narrow, intervals are put below their means; if it is still too narrow, each
    row becomes a block of lines.
    """

    def __init__(self, *headings: str, lines: bool = False) -> None:
        self._headings = headings
        self._lines = lines
        self._rows: list[tuple[Sequence[RenderableType], str]] = []

    def add(self, *cells: RenderableType, style: str = "") -> None:
        """Add a row. A text is printed as it is, without markup."""
        self._rows.append(([Text(cell) if isinstance(cell, str) else cell for cell in cells], style))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table if it fits, else with intervals below their means, else the blocks."""
        for rows in (self._rows, [([*map(_on_two_lines, cells)], style) for cells, style in self._rows]):
            widths = list(self._least_widths(console, rows))
            if sum(widths) + _GAP * (len(widths) - 1) + _EDGES <= options.max_width:
                yield self._table(rows)
                return
        yield from self._blocks()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of the table on one line for each row."""
        return Measurement.get(console, options.update(max_width=_WIDE), self._table(self._rows))

    @property
    def _columns(self) -> list[tuple[int, str, str]]:
        """The place, the heading and the mark (`>`, `<` or none) of each column with a value."""
        return [
            (place, heading.lstrip("<>"), heading[:1] if heading.startswith(("<", ">")) else "")
            for place, heading in enumerate(self._headings)
            if not self._rows or any(not _is_blank(cells[place]) for cells, _ in self._rows)
        ]

    def _least_widths(self, console: Console, rows: _Rows) -> Iterable[int]:
        wide = console.options.update(max_width=_WIDE)
        for place, heading, mark in self._columns:
            sizes = [Measurement.get(console, wide, cells[place]) for cells, _ in rows]
            if mark:
                yield max([cell_len(heading), *(size.maximum for size in sizes)])
            else:
                yield min(max([cell_len(heading), *(size.minimum for size in sizes)]), _WORD)

    def _table(self, rows: _Rows) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=self._lines)
        for _, heading, mark in self._columns:
            side: JustifyMethod = "right" if mark == ">" else "left"
            table.add_column(Text(heading), justify=side, overflow="fold", no_wrap=bool(mark))
        for cells, style in rows:
            table.add_row(*(cells[place] for place, *_ in self._columns), style=style)
        return table

    def _blocks(self) -> Iterable[RenderableType]:
        yield Text()
        for cells, style in self._rows:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="dim", overflow="fold", max_width=_WORD)
            grid.add_column(overflow="fold")
            for place, heading, _ in self._columns:
                grid.add_row(Text(heading), cells[place])
            yield Padding(grid, (0, 0, 1, 0), style=style)


def _is_blank(cell: RenderableType) -> bool:
    return isinstance(cell, Text) and not cell.plain.strip()


def _on_two_lines(cell: RenderableType) -> RenderableType:
    """Return a mean with its interval, such as `.95 [.91, .98]`, on two lines."""
    return Text(cell.plain.replace(" [", "\n["), style=cell.style) if isinstance(cell, Text) else cell


class Note:
    """A paragraph, wrapped so that it can be read."""

    def __init__(self, text: str, style: str = "dim") -> None:
        self._text = Text(text, style=style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the paragraph."""
        yield Constrain(self._text, min(_NOTE, options.max_width))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return a width that does not widen the page."""
        return Measurement(1, min(_NOTE, cell_len(self._text.plain)))
