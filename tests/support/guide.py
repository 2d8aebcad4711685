"""README and guide, for the tests that check them: pages, code blocks, and calls of the service."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
ALL = "\n".join(TEXT.values())
SERVICE = "http://127.0.0.1:8000"
_STATUS = re.compile(r"# status (\d{3})")


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT[page], re.DOTALL | re.MULTILINE)


def block(page: str, language: str, holding: str = "") -> str:
    """Return the first code block of a language on a page that contains a text."""
    return next(text for text in blocks(page, language) if holding in text)


def commands(page: str) -> Iterator[str]:
    """Yield the commands in the shell blocks of a page, each on one line, with its comment."""
    for text in blocks(page, "sh"):
        # A body may span several lines, so the next command decides where one ends.
        yield from re.split(r"\n(?=\w+ |\. )", text.replace("\\\n", " ").strip())


def inline(page: str) -> list[str]:
    """Return the code within the lines of a page."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", TEXT[page], flags=re.DOTALL | re.MULTILINE))


def check_arguments(words: list[str]) -> None:
    """Parse the arguments of a command as the program does. Raises ClickException if they are wrong."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.commands.get(words[0])
        assert found is not None, words
        command, words = found, words[1:]
    if words and isinstance(command, click.Command):
        command.make_context(command.name, list(words))


@dataclass(frozen=True, slots=True)
class Call:
    """A call of curl to the service, and the status that the guide names."""

    method: str
    target: str
    headers: dict[str, str]
    body: str | None
    status: int | None  # None: any success

    def send(self, client: FlaskClient) -> TestResponse:
        """Send the request that curl would send."""
        return client.open(self.target, method=self.method, headers=self.headers, data=self.body)


def calls(page: str, key: str) -> list[Call]:
    """Return the calls of the service on a page, in their order, with our key instead of `$KEY`."""
    lines = [line for line in commands(page) if line.startswith("curl ") and SERVICE in line]
    return [_call(line.replace("$KEY", key)) for line in lines]


def _call(line: str) -> Call:
    words, status = shlex.split(line, comments=True)[1:], _STATUS.search(line)
    given: dict[str, list[str]] = {"-X": [], "-d": [], "-H": []}
    address = ""
    while words:
        word = words.pop(0)
        if word in given:
            given[word].append(words.pop(0))
        else:
            address = word
    return Call(
        method=(given["-X"] or ["POST" if given["-d"] else "GET"])[0],
        target=address.removeprefix(SERVICE),
        headers=dict(header.split(": ", 1) for header in given["-H"]),
        body="".join(given["-d"]) or None,
        status=int(status[1]) if status else None,
    )
