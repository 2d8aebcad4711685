"""Tables print any text safely."""

from io import StringIO
from typing import Any

from rich.console import Console

from recommender.terminal import list_table, plain


def test_control_characters_are_escaped() -> None:
    assert plain("\x1b[31mred\x9b0m\x07 日本\tnew\nline") == "\\x1b[31mred\\x9b0m\\x07 日本\tnew\nline"


def test_hostile_titles_cannot_control_or_colour_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07[bold red]x[/]"
    item: dict[str, Any] = {
        "id": hostile,
        "title": hostile,
        "category": hostile,
        "published_at": None,
        "score": None,
        "source": "recent",
    }
    answer = {"items": [item], "returned": 1, "eligible": 1, "model": {"version": "1"}}
    shown = StringIO()

    Console(file=shown, width=200).print(list_table(answer, f"Beside {hostile}"))

    assert "\x1b" not in shown.getvalue()
    assert shown.getvalue().count("\\x1b]0;owned\\x07[bold red]x[/]") == 4
