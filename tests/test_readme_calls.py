"""Every call that the README shows is asked, in its order, and every answer that it shows is the answer."""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import recommender
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support.sites import README as README_PATH

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # on the morning of the examples
KEY = "key-of-the-readme"
SERVICE = "http://127.0.0.1:8000"
METHODS = {"-X", "-d", "-H"}
README = README_PATH.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def client(published: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("readme")
    settings = Settings.read(
        models_dir=published,
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
        write_keys=f"cms:{sha256(KEY.encode()).hexdigest()}:articles+events",
    )
    return create_app(settings, clock=lambda: NOW).test_client()


def commands() -> Iterator[list[str]]:
    """Yield the arguments of every call of curl to the service, with our key in place of `$KEY`."""
    for shown in re.findall(r"```sh\n(.*?)```", README, re.DOTALL):
        lines = shown.replace("\\\n", " ").replace("$KEY", KEY)
        # A body may go over several lines, so that quotes decide where a command ends.
        for line in re.split(r"\n(?=curl |recommender |\w+ )", lines):
            if line.startswith("curl ") and SERVICE in line:
                yield shlex.split(line)[1:]


def ask(client: FlaskClient, arguments: list[str]) -> TestResponse:
    """Ask what curl would."""
    given: dict[str, list[str]] = {name: [] for name in METHODS}
    address, left = "", list(arguments)
    while left:
        word = left.pop(0)
        if word in given:
            given[word].append(left.pop(0))
        else:
            address = word
    headers = dict(header.split(": ", 1) for header in given["-H"])
    method = (given["-X"] or ["POST" if given["-d"] else "GET"])[0]
    return client.open(
        address.removeprefix(SERVICE), method=method, headers=headers, data="".join(given["-d"]) or None
    )


def masked(value: dict[str, Any]) -> dict[str, Any]:
    """Return a list without what differs from one time to the next."""
    return value | {"as_of": "", "model": value["model"] | {"version": "", "trained_at": ""}}


def test_every_call_shown_is_answered(client: FlaskClient) -> None:
    answers = [(arguments, ask(client, arguments)) for arguments in commands()]

    assert len(answers) >= 6
    for arguments, answer in answers:
        assert answer.status_code < 300, (arguments, answer.text)


def test_the_list_shown_is_the_answer_to_the_call_above_it(client: FlaskClient) -> None:
    call, shown = re.findall(r"```sh\n(curl [^\n]*)\n```\n\n```json\n(.*?)```", README, re.DOTALL)[0]

    answer, told = ask(client, shlex.split(call)[1:]).get_json(), json.loads(shown)

    score = told["items"][0].pop("score")
    assert answer["items"][0].pop("score") == pytest.approx(score, abs=1e-5)
    assert masked(answer) == masked(told)


def test_what_the_answer_to_events_is_said_to_be_is_the_answer(client: FlaskClient) -> None:
    told = re.search(r'`({"accepted".*?})`', README)
    event = next(arguments for arguments in commands() if arguments[0].endswith("/v1/events"))
    assert told

    assert ask(client, event).get_json() == json.loads(told[1])


def test_what_a_page_sends_is_counted(client: FlaskClient) -> None:
    script = re.search(r'sendBeacon\("([^"]+)", JSON.stringify\((.*?)\)\);', README, re.DOTALL)
    assert script
    plain = re.sub(r"//.*", "", script[2]).replace("crypto.randomUUID()", '"one of its own"')
    body = re.sub(r"(\w+):(?= )", r'"\1":', plain)

    answer = client.post(script[1], data=body, content_type="text/plain;charset=UTF-8")

    assert json.loads(body)["position"] == 2
    assert answer.get_json()["accepted"] == 1


@pytest.mark.slow
def test_what_is_shown_of_a_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert shown
    sample = Path(recommender.__file__).parent / "sample" / "articles.jsonl"
    code = shown[1].replace("export.xml", str(sample)).replace('"4711"', '"1048"')
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    exec(code, names)  # noqa: S102 our own words

    assert names["model"].articles.ids.find("1048") is not None


def test_every_command_shown_is_there() -> None:
    from recommender.cli import cli  # noqa: PLC0415 it loads the command line

    shown = set(re.findall(r"^recommender ([a-z-]+)(?: ([a-z-]+)\b)?", README, re.MULTILINE))

    assert len(shown) >= 10
    for command, below in shown:
        found = CliRunner().invoke(cli, [command, "--help"])
        assert found.exit_code == 0, command
        if command in {"models", "rules", "import"}:
            assert re.search(rf"^  {below}\b", found.output, re.MULTILINE), (command, below)
