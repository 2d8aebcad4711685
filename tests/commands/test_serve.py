"""`recommender serve` rejects an address that it cannot use, and starts without a warning."""

import os
import re
import socket
import tomllib
from pathlib import Path

import pytest

from recommender.settings import Settings
from tests.support.cli import Run
from tests.support.servers import serving


def test_a_port_in_use_is_reported_by_its_number(run: Run, published: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = run("serve", "--port", str(port), "--models-dir", published)

    assert ended.status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err


@pytest.mark.slow
def test_the_server_starts_without_a_warning(published: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    database, state = f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "state.json"
    with serving(log, models_dir=published, database_url=database, state_file=state):
        text = log.read_text()

    assert "Started worker-1" in text
    assert "WARN" not in text


def test_settings_are_printed_as_toml_without_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = "0123456789abcdef" * 4
    monkeypatch.setenv("RECOMMENDER_WRITE_KEYS", f"cms:{digest}:articles+events app:{digest}:rules")
    monkeypatch.setenv("RECOMMENDER_READ_KEYS", f"desk:{digest}:read")
    monkeypatch.setenv(
        "RECOMMENDER_PURGE_URL", "https://me:secret@1@cache.example/purge?token=secret2&x=secret3"
    )
    monkeypatch.setenv("RECOMMENDER_PURGE_HEADER", "Fastly-Key: secret4")
    monkeypatch.setenv("RECOMMENDER_DATABASE_URL", "postgresql://me:secret/5@db/live?password=secret6")
    monkeypatch.setenv("RECOMMENDER_SITE_NAME", 'The "Courier"')

    printed = run("serve", "--print-settings", "--port", 8001)

    assert (printed.status, printed.err) == (0, "")
    assert tomllib.loads(printed.out) == {
        "port": 8001,
        "site_name": 'The "Courier"',
        "live_poll_seconds": 0.0,
        "state_file": os.environ["RECOMMENDER_STATE_FILE"],
        "database_url": "postgresql://***@db/live?***",
        "purge_url": "https://***@cache.example/purge?***",
        "purge_header": "Fastly-Key: ***",
        "write_keys": "cms:***:articles+events app:***:rules",
        "read_keys": "desk:***:read",
    }
    assert set(re.findall(r"^(?:# )?(\w+) = ", printed.out, re.MULTILINE)) == set(Settings.model_fields)
    assert digest not in printed.out
    assert "secret" not in printed.out
