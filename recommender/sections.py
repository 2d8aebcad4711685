"""Reports in sections, which are printed as tables or written as Markdown or HTML."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from recommender.html_page import html_page
from recommender.list_tables import estimate, fraction
from recommender.printable import one_line
from recommender.sheets import Note, Sheet

_MARKUP = re.compile(r"([\\`*_\[\]<>|&~])")
_NONE = "(none)"
_SHOWN = 3  # titles in a cell
_PERCENTAGE = re.compile(r"\d{1,3}(\.\d+)?%")
_STYLE = """
.number { text-align: right; white-space: nowrap } th, td { text-align: left; vertical-align: top }
div { overflow-x: auto } h1 { overflow-wrap: anywhere }
td[style] { background: linear-gradient(to right, #bfdbfe var(--share), transparent 0) no-repeat }
td[style] { background-size: 100% 2em }
"""

Cell = str | Sequence[str]  # a text, or one text per line


@dataclass(frozen=True)
class Section:
    """A table with a title, which is left out without rows, and a note below."""

    title: str
    headings: Sequence[str] = ()  # as in `Sheet`
    rows: list[Sequence[Cell]] = field(default_factory=list)
    note: str = ""


def sections_table(heading: str, sections: Iterable[Section]) -> RenderableType:
    """Return the sections as tables for the terminal."""
    parts: list[RenderableType] = [Text(one_line(heading), style="bold")]
    for section in sections:
        if section.rows:
            parts += [Text(f"\n{section.title}", style="bold"), _sheet(section)]
        if section.note:
            parts.append(Note(section.note))
    return Group(*parts)


def sections_markdown(heading: str, sections: Iterable[Section]) -> str:
    """Return the sections as Markdown; texts cannot contain markup."""
    lines = [f"# {markdown(heading)}", ""]
    for section in sections:
        if section.rows:
            marks = ["---:" if name.startswith(">") else "---" for name in section.headings]
            names = [name.lstrip("<>") for name in section.headings]
            lines += [f"## {section.title}", "", _line(names), _line(marks)]
            lines += [_line("<br>".join(map(markdown, _texts(cell))) for cell in row) for row in section.rows]
            lines.append("")
        if section.note:
            lines += [markdown(section.note), ""]
    return "\n".join(lines)


def sections_html(heading: str, sections: Iterable[Section]) -> str:
    """Return the sections as an HTML page; texts cannot contain markup."""
    parts = [f"<h1>{_html(heading)}</h1>"]
    for section in sections:
        if section.rows:
            marks = [" class=number" if name.startswith(">") else "" for name in section.headings]
            names = [name.lstrip("<>") for name in section.headings]
            head = "".join(f"<th{mark}>{_html(name)}" for mark, name in zip(marks, names, strict=True))
            rows = ("".join(map(_html_cell, row, marks)) for row in section.rows)
            lines = "".join(f"<tr>{row}" for row in rows)
            parts.append(
                f"<h2>{_html(section.title)}</h2><div><table><thead><tr>{head}<tbody>{lines}</table></div>"
            )
        if section.note:
            parts.append(f"<p>{_html(section.note)}</p>")
    return html_page(heading, "".join(parts), _STYLE)


def markdown(text: str) -> str:
    """Return a text on one line, with the characters that Markdown and HTML interpret escaped."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def difference_sections(difference: Any) -> list[Section]:
    """Return the sections of a difference between two models."""
    overlap, common = difference.overlap, difference.articles_in_common
    articles = (
        f"{common:,} in common, {difference.articles_added:,} added, {difference.articles_removed:,} removed"
    )
    facts = [("Articles", articles)]
    if overlap.mean is not None:
        facts.append(("Lists", f"{overlap.mean:.1%} of a list stayed (median {overlap.median:.1%})"))
    before, after = difference.orphans_before, difference.orphans_after
    facts.append(("In no list", f"{before:,} → {after:,} articles"))
    before, after = difference.crowders_before, difference.crowders_after
    facts.append(("In very many lists", f"{before:,} → {after:,} articles, in over three times the mean"))
    kept = [
        (f"{items} of 9", f"{count:,}", f"{count / common:.1%}")
        for items, count in enumerate(overlap.kept)
        if count
    ]
    moved = [
        (item.before or _NONE, item.after or _NONE, f"{item.articles:,}", item.example)
        for item in difference.moved
    ]
    categories = [
        (item.category or _NONE, f"{item.articles:,}", fraction(item.overlap))
        for item in difference.categories
    ]
    listed = (">Before", ">Now", "Article", "Id")
    return [
        Section("Summary", ("Compared", "Result"), [*facts]),
        Section("Items of a list that stayed", ("Items", ">Articles", ">Share"), [*kept]),
        most_changed_section(difference.most_changed),
        Section("New in no list", listed, [*map(_listed, difference.new_orphans)]),
        Section("New in very many lists", listed, [*map(_listed, difference.new_crowders)]),
        Section("Moved to another category", ("From", "To", ">Articles", "Example"), [*moved]),
        Section(
            "Share of a list that stayed, by category", ("Category", ">Articles", ">Same"), [*categories]
        ),
    ]


def gate_rows(verdict: Any) -> Iterator[tuple[str, str, str, bool]]:
    """Yield the name, the value, the bound and the result of each measure of the quality gate."""
    for check in verdict.checks:
        if check.value is not None:
            side = "≥" if check.side == "at least" else "≤"
            yield check.label, check.formatted_value, f"{side} {check.bound:g}", check.passed
    for comparison in verdict.comparisons:
        difference = estimate(comparison.difference, "+")
        change = f"{fraction(comparison.old)} → {fraction(comparison.new)}: {difference}"
        label = f"{comparison.label}, old → new"
        if not comparison.enough:
            label += f" (few: {comparison.count})"
        yield label, change, f"≥ -{comparison.margin:g}", comparison.passed


def gate_notes(verdict: Any) -> Iterator[tuple[str, str]]:
    """Yield the other results of the quality gate as texts, each with its style in the terminal."""
    for guard in verdict.guards:
        yield (guard.detail, "") if guard.passed else (f"REFUSED: {guard.detail}", "bold red")
    if verdict.not_compared:
        yield verdict.not_compared, "bold"
    if verdict.list_overlap is not None:
        yield (
            f"{verdict.list_overlap:.0%} of a list is unchanged, compared with {verdict.compared_with}",
            "dim",
        )


def training_sections(facts: Iterable[tuple[str, str]], verdict: Any) -> list[Section]:
    """Return the sections of a report on a training, with the results of the quality gate first."""
    gate = [
        (label, value, bound, "passed" if passed else "REFUSED")
        for label, value, bound, passed in gate_rows(verdict)
    ]
    return [
        Section("Quality gate", ("Measure", ">Value", ">Bound", "Result"), [*gate]),
        *(Section("", note=text) for text, _ in gate_notes(verdict)),
        most_changed_section(verdict.most_changed),
        Section("Training", ("Fact", "Value"), [*facts]),
    ]


def most_changed_section(most_changed: Iterable[Any]) -> Section:
    """Return the section of the articles whose lists changed the most."""
    rows = [
        (
            item.title,
            item.id,
            f"{item.overlap:.0%}",
            _only(item.before, item.after),
            _only(item.after, item.before),
        )
        for item in most_changed
    ]
    return Section("Most changed", ("Article", "Id", ">Same", "No longer listed", "New in the list"), [*rows])


def _listed(article: Any) -> tuple[str, ...]:
    before = "new" if article.lists_before is None else f"{article.lists_before:,}"
    return before, f"{article.lists_after:,}", article.title, article.id


def _only(titles: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the first titles that are not among the others."""
    return [title for title in titles if title not in others][:_SHOWN]


def _texts(cell: Cell) -> Sequence[str]:
    return [cell] if isinstance(cell, str) else cell


def _sheet(section: Section) -> Sheet:
    sheet = Sheet(*section.headings, lines=any(not isinstance(cell, str) for cell in section.rows[0]))
    for row in section.rows:
        sheet.add(*("\n".join(map(one_line, _texts(cell))) for cell in row))
    return sheet


def _html(text: str) -> str:
    return escape(one_line(text))


def _html_cell(cell: Cell, mark: str) -> str:
    """Return a cell; a percentage has a bar of its length behind it."""
    is_share = isinstance(cell, str) and _PERCENTAGE.fullmatch(cell)
    bar = f" style='--share: {cell}'" if is_share else ""
    return f"<td{mark}{bar}>{'<br>'.join(map(_html, _texts(cell)))}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
