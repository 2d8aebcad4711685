"""Tables print any text safely."""

import json
from io import StringIO
from typing import Any

from rich.console import Console

from recommender.list_tables import list_table
from recommender.printable import one_line, plain, plain_json


def test_control_characters_are_escaped() -> None:
    assert plain("\x1b[31mred\x9b0m\x07 日本\tnew\nline") == "\\x1b[31mred\\x9b0m\\x07 日本\tnew\nline"


def test_a_name_stays_on_its_line() -> None:
    assert one_line("a\nerror: b\tc\r\x85\udcff") == "a\\x0aerror: b\\x09c\\x0d\\x85\\udcff"


def test_json_without_control_characters_has_the_same_values() -> None:
    value = {"id": "\x7f\x9b31m\x85\udcff 日本\n"}

    printed = plain_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert json.loads(printed) == value
    assert plain(printed) == printed


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
