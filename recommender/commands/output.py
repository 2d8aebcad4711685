"""The output of reporting commands: a table, or JSON, CSV or Markdown, on the terminal or in a file."""

import csv
import functools
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.measure import Measurement

from recommender.commands.files import echo_json, write
from recommender.options import Command
from recommender.printable import plain

_SUFFIXES = {
    "--json": (".json",),
    "--csv": (".csv",),
    "--markdown": (".md", ".markdown"),
    "--html": (".html", ".htm"),
}
_STDOUT = "-"
_METAVAR = "[FILE]"
_WIDE = 10_000  # columns
_MIN_WIDTH = 80

Records = Sequence[Mapping[str, Any]]


class Reporting(click.Command):
    """A command with the options of `output_options`.

    `--json` alone prints to standard output. The next word is its file if it is `-` or ends in `.json`;
    `--json=FILE` accepts any name. If the command reads files, an existing one is never taken for the output.
    """

    any_name = False  # whether the next word is the file whatever its name

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of a command. Raises UsageError if two reports would be mixed."""
        words = list(self._with_files(args, ctx))
        printed = [word for word in words if word in {f"{option}={_STDOUT}" for option in self._options}]
        if len(set(printed)) > 1:
            raise click.UsageError(
                f"only one of {' and '.join(word.partition('=')[0] for word in printed)} can be printed; "
                "write the others to files, such as --csv=report.csv",
                ctx,
            )
        return super().parse_args(ctx, words)

    @property
    def _options(self) -> list[str]:
        """The options of this command whose file may be left out."""
        names = [name for param in self.params for name in param.opts if param.metavar == _METAVAR]
        return [name for name in names if name in _SUFFIXES]

    def _with_files(self, args: list[str], ctx: click.Context) -> Sequence[str]:
        rest = list(args)
        words: list[str] = []
        while rest:
            word = rest.pop(0)
            if word == "--":
                return [*words, word, *rest]
            if word in self._options:
                word = f"{word}={rest.pop(0) if rest and self._is_file(word, rest[0], ctx) else _STDOUT}"
            words.append(word)
        return words

    def _is_file(self, option: str, word: str, ctx: click.Context) -> bool:
        if word == _STDOUT:
            return True
        if self.any_name:
            return not word.startswith("-")
        is_file = not word.startswith("-") and word.lower().endswith(_SUFFIXES[option])
        reads_files = any(param.name == "corpus" for param in self.params)
        if is_file and reads_files and Path(word).exists():
            raise click.UsageError(
                f"{word} exists: write {option}={word} to replace it, or name it before {option} to read it",
                ctx,
            )
        return is_file


class ReportingAnyName(Reporting):
    """A reporting command whose `--json FILE` has always accepted any name."""

    any_name = True


def output_options(command: Command) -> Command:
    """Add the options `--json`, `--csv` and `--markdown` to a `Reporting` command."""
    return functools.reduce(_with_option, ("--markdown", "--csv", "--json"), command)


def html_option(command: Command) -> Command:
    """Add the option `--html` to a `Reporting` command."""
    return _with_option(command, "--html")


def report(
    options: Mapping[str, Any],
    table: Callable[[], RenderableType],
    records: Callable[[], Records],
    document: Callable[[], str] | None = None,
    markdown: Callable[[], str] | None = None,
    html: Callable[[], str] | None = None,
) -> None:
    """Write a report in the formats that were asked for, and print the table unless one of them is printed.

    `records` are the rows of CSV and Markdown, with full precision. `document` is the JSON and `markdown` the
    Markdown, by default those of the records. `html` is for commands with `html_option`.
    """
    texts: dict[str, Callable[[], str]] = {
        "json_path": document or (lambda: _json(records())),
        "csv_path": lambda: _csv(records()),
        "markdown_path": markdown or (lambda: _markdown(records())),
    }
    if html is not None:
        texts["html_path"] = html
    paths = {name: options[name] for name in texts if options[name]}
    for name, path in paths.items():
        text = texts[name]()
        if path != _STDOUT:
            write(path, text if text.endswith("\n") else text + "\n")
        elif name == "json_path":
            echo_json(text)
        else:
            click.echo(plain(text), nl=False)
    if _STDOUT not in paths.values():
        show(table())


def show(renderable: RenderableType) -> None:
    """Print tables; if standard output is no terminal, so wide that no line is wrapped or cut."""
    console = Console()
    if not console.is_terminal:
        size = Measurement.get(console, console.options.update(max_width=_WIDE), renderable)
        console = Console(width=max(size.maximum, _MIN_WIDTH))
    console.print(renderable)


def _with_option(command: Command, name: str) -> Command:
    label = {"--json": "JSON", "--csv": "CSV", "--markdown": "Markdown", "--html": "an HTML page"}[name]
    what = f"Write {label} to FILE, or print it instead of the table."
    return click.option(name, f"{name[2:]}_path", metavar=_METAVAR, help=what)(command)


def _json(records: Records) -> str:
    return json.dumps(list(records), ensure_ascii=False, indent=2)


def _csv(records: Records) -> str:
    output = io.StringIO()
    rows = csv.DictWriter(output, fieldnames=_names(records), lineterminator="\n")
    rows.writeheader()
    rows.writerows(records)
    return output.getvalue()


def _markdown(records: Records) -> str:
    names = _names(records)
    lines = [names, ["---"] * len(names), *([_cell(row.get(name)) for name in names] for row in records)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _names(records: Records) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _cell(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")
