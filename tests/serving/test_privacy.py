"""No file and no log contains a visitor's id, an address or a key, even after errors."""

import json
import socket
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from recommender.serving.http.auth import new_key
from recommender.serving.store import Store
from tests.support.servers import serving
from tests.support.service import VIEW, WITH_KEY, ServiceUnderTest

VISITOR, EVENT, ADDRESS, BROWSER = (
    "visitor-of-the-test",
    "event-of-the-test",
    "198.51.100.77",
    "Browser of the test",
)
KEY, SETTING = new_key("cms", ["events"])
SECRETS = [
    *(secret.encode() for secret in (VISITOR, EVENT, ADDRESS, BROWSER, KEY)),
    socket.inet_aton(ADDRESS),
    sha256(KEY.encode()).digest(),
]
READER = {"X-Forwarded-For": f"6.6.6.6, {ADDRESS}", "User-Agent": BROWSER}
EVENT_OF_READER = VIEW | {"visitor_id": VISITOR, "event_id": EVENT}


def requests() -> list[tuple[str, str, Any, dict[str, str]]]:
    """Return valid and invalid requests of a reader and of a CMS."""
    with_key = READER | {"Authorization": f"Bearer {KEY}"}
    wrong = READER | {"Authorization": f"Bearer {KEY}x"}
    many = {"events": [EVENT_OF_READER] * 1001}
    return [
        ("POST", "/v1/events", EVENT_OF_READER, READER),
        ("POST", "/v1/events", VIEW, READER),
        ("POST", "/v1/events", EVENT_OF_READER | {"count": 3}, with_key),
        ("POST", "/v1/events", EVENT_OF_READER | {"type": VISITOR}, READER),
        ("POST", "/v1/events", EVENT_OF_READER | {VISITOR: 1}, READER),
        ("POST", "/v1/events", [VISITOR], READER),
        ("POST", "/v1/events", many, READER),
        ("POST", "/v1/events", EVENT_OF_READER, wrong),
        ("PUT", "/v1/article?id=a", {"title": "t"}, with_key),
        ("GET", f"/v1/related?id=a&key={KEY}", None, READER),
        ("GET", f"/v1/{VISITOR}", None, READER),
    ]


def found_in(folder: Path) -> dict[str, list[bytes]]:
    """Return the secrets in each file that contains any."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    contents = {path.name: path.read_bytes() for path in files}
    return {
        name: hits
        for name, text in contents.items()
        if (hits := [secret for secret in SECRETS if secret in text])
    }


@pytest.mark.slow
def test_no_file_of_a_server_contains_data_about_a_reader(tmp_path: Path, models_dir: Path) -> None:
    settings: dict[str, object] = {
        "models_dir": models_dir,
        "write_keys": SETTING,
        "trusted_proxies": "127.0.0.1",
        "daily_visitor_hash": "true",
        "database_url": f"sqlite:///{tmp_path / 'store.db'}",
        "state_file": tmp_path / "state.json",
    }
    statuses = []
    with serving(tmp_path / "log", 1, **settings) as server:
        for method, target, body, headers in requests():
            statuses.append(server.ask(method, target, body, headers).status)
        assert {"store.db", "store.db-wal", "log"} <= {path.name for path in tmp_path.iterdir()}
        assert found_in(tmp_path) == {}

        (tmp_path / "store.db").rename(tmp_path / "was.db")
        (tmp_path / "store.db").mkdir()
        for method, target, body, headers in requests():
            statuses.append(server.ask(method, target, body, headers).status)
        server.kill()

    assert {200, 400, 403, 404, 413, 503} <= set(statuses), statuses
    assert (tmp_path / "log").stat().st_size > 0
    assert found_in(tmp_path) == {}


def test_an_internal_error_reveals_no_data_about_a_reader(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room = ServiceUnderTest(models_dir, trusted_proxies="127.0.0.1")

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Store, "count", fail)
    answers = [room.post(EVENT_OF_READER, headers) for headers in (READER, READER | WITH_KEY)]

    assert [answer.status_code for answer in answers] == [500, 500]
    assert "a mistake" in caplog.text
    key = WITH_KEY["Authorization"].split()[1]
    output = caplog.text + "".join(json.dumps(answer.get_json()) for answer in answers)
    assert not [secret for secret in (VISITOR, EVENT, ADDRESS, BROWSER, key) if secret in output]
