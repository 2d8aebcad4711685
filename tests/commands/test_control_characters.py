"""Control characters in articles, files and options never reach the terminal, and nothing is a traceback."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import ROWS, CommandResult, Run

HOSTILE = "\x1b]0;owned\x07\x9b31m\x7f\r\x85\nx"
UNDECODED = "\udcff"  # how Python reads the byte 0xff in an argument


def controls_in(ended: CommandResult) -> list[str]:
    return re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", ended.out + ended.err)


@pytest.fixture
def hostile_models(run: Run, tmp_path: Path) -> Path:
    """A published model with control characters in ids, titles and names."""
    rows = [
        {
            **row, "id": row["id"] + HOSTILE, "title": row["title"] + HOSTILE, "category": HOSTILE,
            "tags": [HOSTILE], "authors": [HOSTILE], "type": HOSTILE, "x" + HOSTILE: 1,
        }
        for row in ROWS
    ]  # fmt: skip
    (tmp_path / "hostile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = run("train", "hostile.jsonl", "--no-gate")
    assert (ended.status, controls_in(ended)) == (0, [])
    return tmp_path / "models"


@pytest.mark.slow
@pytest.mark.usefixtures("hostile_models")
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_articles_are_printed_without_control_characters(run: Run, as_json: list[str]) -> None:
    commands: list[tuple[str, ...]] = [
        ("related", "a" + HOSTILE, "--explain"),
        ("related", "b" + HOSTILE, "--category", HOSTILE),
        ("similar", "--title", "ferry"),
        ("search", "ferry"),
        ("search", HOSTILE),
        ("topics",),
        ("lint", "hostile.jsonl"),
    ]
    for command in commands:
        ended = run(*command, *as_json)

        assert ended.status in {0, 1, 2}
        assert controls_in(ended) == []


@pytest.mark.usefixtures("hostile_models")
def test_json_contains_the_same_ids(run: Run) -> None:
    items = run("related", "a" + HOSTILE, "--json").json()["items"]

    assert {item["id"] for item in items} == {"b" + HOSTILE, "c" + HOSTILE}


@pytest.mark.usefixtures("hostile_models")
def test_other_reports_are_printed_without_control_characters(run: Run) -> None:
    for command in (
        ("evaluate", "--json", "-"), ("rules", "explain", "a" + HOSTILE), ("models", "list"),
        ("models", "verify", HOSTILE), ("rules", "explain", HOSTILE),
    ):  # fmt: skip
        assert controls_in(run(*command)) == []


WRONG: list[tuple[Any, ...]] = [
    ("related", "?"), ("search", "?"), ("similar", "?"), ("similar", "--title", "?"), ("?",), ("--?",),
    ("related", "1", "--?"), ("related", "1", "--limit", "?"), ("related", "1", "--category", "?"),
    ("related", "1", "--models-dir", "?"), ("rules", "check", "?"), ("rules", "explain", "?"), ("key", "?"),
    ("key", "a", "--scopes", "?"), ("train", "?"), ("train", "x.jsonl", "--map", "?"), ("lint", "?"),
    ("train", "x.jsonl", "--timezone", "?"), ("train", "x.jsonl", "--recipe", "?"),
    ("train", "x.jsonl", "--labels", "?"), ("train", "x.jsonl", "--baseline", "?"),
    ("train", "x.jsonl", "--models-dir", "/proc/?"), ("evaluate", "--version", "?"),
    ("evaluate", "--labels", "?"), ("backtest", "?"), ("backtest", "x", "--horizon", "?"),
    ("import", "views", "?"), ("import", "feed", "?", "-o", "x"), ("models", "rollback", "?"),
    ("import", "wordpress", "?", "-o", "x"), ("serve", "--host", "?"), ("export-live", "-o", "?/x"),
    ("import", "wordpress", "http://127.0.0.1:1/", "-o", "x", "--modified-after", "?"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [UNDECODED, *(pytest.param(text, marks=pytest.mark.slow) for text in (HOSTILE, "\x1b\udc80" * 99))],
)
@pytest.mark.parametrize("command", WRONG, ids="_".join)
def test_a_wrong_argument_is_an_error_without_control_characters(
    run: Run, published: Path, command: tuple[str, ...], text: str
) -> None:
    needs_model = command[0] in {"related", "search", "similar"} and "--models-dir" not in command
    folder = ["--models-dir", str(published)] if needs_model else []

    ended = run(*(part.replace("?", text) for part in command), *folder)

    assert ended.status in {0, 1, 2} if command[0] in {"search", "similar"} else {1, 2}
    assert controls_in(ended) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", '"id?",title\n1,a\n'),
        ("a.csv", 'id,title\n"1?","a\n'),
        ("a.jsonl", '{"id": "?", "title": ""}\n?'),
        ("a.jsonl", "?"),
        ("a.xml", "<?>"),
        ("a.feed?", "<rss>?</rss>"),
    ],
)
def test_a_broken_corpus_is_an_error_without_control_characters(run: Run, name: str, content: str) -> None:
    Path(name.replace("?", HOSTILE)).write_text(content.replace("?", HOSTILE))

    for command in ("train", "lint", "backtest"):
        ended = run(command, name.replace("?", HOSTILE))

        assert ended.status in {0, 1}
        assert controls_in(ended) == []
