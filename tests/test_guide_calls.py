"""The example calls in README and guide succeed in their order, with the responses shown there."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import recommender
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support.guide import TEXT, block, blocks, calls

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # on the morning of the examples
KEY = "key-of-the-guide"
PAGES = [page for page in TEXT if calls(page, KEY)]


@pytest.fixture
def client(published: Path, tmp_path: Path) -> FlaskClient:
    settings = Settings.read(
        models_dir=published,
        database_url=f"sqlite:///{tmp_path / 'store.db'}",
        state_file=tmp_path / "state.json",
        write_keys=f"cms:{sha256(KEY.encode()).hexdigest()}:articles+events+rules",
        live_poll_seconds=0,
    )
    return create_app(settings, clock=lambda: NOW).test_client()


def masked(value: dict[str, Any]) -> dict[str, Any]:
    """Return a list without the values that change over time."""
    return value | {"as_of": "", "model": value["model"] | {"version": "", "trained_at": ""}}


def test_many_pages_show_calls() -> None:
    assert {"README.md", "quickstart.md", "http-api.md", "live-articles.md", "any-cms.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_example_call_succeeds(client: FlaskClient, page: str) -> None:
    for call in calls(page, KEY):
        answer = call.send(client)

        if call.status is None:
            assert answer.status_code < 300, (call, answer.text)
        else:
            assert answer.status_code == call.status, (call, answer.text)


def test_the_example_list_is_the_response_to_the_call_above_it(client: FlaskClient) -> None:
    shown, expected = shown_with_response("limit=1'")

    answer = shown(client)

    score = expected["items"][0].pop("score")
    assert answer["items"][0].pop("score") == pytest.approx(score, abs=1e-5)
    assert masked(answer) == masked(expected)


def test_the_example_error_is_the_response_to_the_call_above_it(client: FlaskClient) -> None:
    shown, expected = shown_with_response("limit=90'")

    assert shown(client) | {"request_id": ""} == expected | {"request_id": ""}


def shown_with_response(call: str) -> tuple[Callable[[FlaskClient], dict[str, Any]], dict[str, Any]]:
    """Return a call of the page about HTTP, and the response that is shown below it."""
    page = TEXT["http-api.md"]
    shown = re.search(
        rf"```sh\n(curl [^\n]*{re.escape(call)}[^\n]*)\n```\n\n```json\n(.*?)```", page, re.DOTALL
    )
    assert shown
    target = re.search(r"127.0.0.1:8000([^']*)", shown[1])
    assert target
    return lambda client: client.get(target[1]).get_json(), json.loads(shown[2])


def test_the_example_response_to_events_is_the_response(client: FlaskClient) -> None:
    match = re.search(r'`({"accepted".*?})`', TEXT["events.md"])
    event = next(call for call in calls("events.md", KEY) if call.target == "/v1/events")
    assert match

    assert event.send(client).get_json() == json.loads(match[1])


def test_the_event_in_the_example_page_is_counted(client: FlaskClient) -> None:
    script = re.search(
        r'sendBeacon\("([^"]+)", JSON.stringify\((.*?)\)\);', block("events.md", "js"), re.DOTALL
    )
    assert script
    plain = re.sub(r"//.*", "", script[2]).replace("crypto.randomUUID()", '"one of its own"')
    body = re.sub(r"(\w+):(?= )", r'"\1":', plain)

    answer = client.post(script[1], data=body, content_type="text/plain;charset=UTF-8")

    assert json.loads(body)["position"] == 2
    assert answer.get_json()["accepted"] == 1


def test_the_pin_of_the_quickstart_is_the_first_item(client: FlaskClient) -> None:
    answers: list[Any] = [call.send(client).get_json(silent=True) for call in calls("quickstart.md", KEY)]

    assert answers[-2]["items"][0]["source"] == "pin"
    assert answers[-2]["items"][0]["id"] == "1022"
    assert len(answers[2]["items"]) == 9  # the list of the article that was just put


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "python.md"])
def test_the_python_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Path(recommender.__file__).parent / "sample" / "articles.jsonl"
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    for code in blocks(page, "python"):
        exec(code.replace("export.xml", str(sample)).replace('"4711"', '"1048"'), names)  # noqa: S102 our own words

    assert names["trained"].model.articles.ids.find("1048") is not None
