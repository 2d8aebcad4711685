"""The code for CMSs in the guide works: the relay for Ghost relays, other code can be parsed."""

import hashlib
import hmac
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support.guide import block, blocks
from tests.support.newsroom import build_model, newsroom
from tests.support.sites import listening

KEY, SECRET = "key-of-the-guide", "secret-of-the-webhook"
NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


@pytest.fixture
def service(tmp_path: Path) -> Flask:
    publish(build_model(newsroom()), tmp_path / "models", now=NOW)
    settings = Settings(
        models_dir=tmp_path / "models",
        live_poll_seconds=0,
        write_keys=(f"cms:{sha256(KEY.encode()).hexdigest()}:articles+events",),
    )
    return create_app(settings, clock=lambda: NOW)


@pytest.fixture
def relay(service: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The relay of the page about Ghost, in front of a service."""
    with listening(service) as origin:
        monkeypatch.setenv("RECOMMENDER_URL", origin)
        monkeypatch.setenv("RECOMMENDER_KEY", KEY)
        monkeypatch.setenv("GHOST_WEBHOOK_SECRET", SECRET)
        module = ModuleType("relay")
        exec(compile(block("ghost.md", "python"), "relay.py", "exec"), module.__dict__)  # noqa: S102 our own page
        yield module.app.test_client()


def post(**fields: Any) -> dict[str, Any]:
    tags = [{"name": "Weather", "visibility": "public"}, {"name": "#wide", "visibility": "internal"}]
    facts = {
        "id": "5f1a", "title": "Storm floods the harbour", "html": "<p>The storm.</p>", "status": "published",
        "visibility": "public", "tags": tags, "authors": [{"name": "A. Reyes"}],
        "published_at": "2026-11-23T06:00:00.000Z", "updated_at": "2026-11-23T06:00:00.000Z",
        "url": "https://blog.example/storm/", "feature_image": None,
    }  # fmt: skip
    return facts | fields


def send(
    relay: FlaskClient, current: Any, previous: Any = None, *, secret: str = SECRET, age: float = 0
) -> int:
    body = json.dumps({"post": {"current": current, "previous": previous or {}}}).encode()
    stamp = str(int((time.time() - age) * 1000))
    digest = hmac.new(secret.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return relay.post(
        "/ghost", data=body, headers={"X-Ghost-Signature": f"sha256={digest}, t={stamp}"}
    ).status_code


def test_the_relay_puts_public_posts_and_withdraws_all_others(relay: FlaskClient, service: Flask) -> None:
    client = service.test_client()
    later = "2026-11-23T06:10:00.000Z"

    published = send(relay, post())
    facts = client.get("/v1/articles/5f1a").json
    for_members = send(relay, post(visibility="members", updated_at=later), post())
    hidden = client.get("/v1/articles/5f1a").status_code
    send(relay, post(updated_at="2026-11-23T06:20:00.000Z", id="other"))
    deleted = send(relay, {}, post(id="other"))

    assert (published, for_members, deleted) == (204, 204, 204)
    assert facts is not None
    assert (facts["title"], facts["category"]) == ("Storm floods the harbour", "Weather")
    assert hidden == 410
    assert client.get("/v1/articles/other").status_code == 410


@pytest.mark.parametrize("fault", [{"secret": "another"}, {"age": 400}, {"age": -400}])
def test_the_relay_refuses_what_ghost_has_not_just_signed(
    relay: FlaskClient, service: Flask, fault: dict[str, Any]
) -> None:
    assert send(relay, post(), **fault) == 403
    assert relay.post("/ghost", data=b"{}").status_code == 403
    assert service.test_client().get("/v1/articles/5f1a").status_code == 404


@pytest.mark.skipif(shutil.which("php") is None, reason="no PHP on PATH")
@pytest.mark.parametrize("text", blocks("drupal.md", "php"))
def test_the_module_for_drupal_has_valid_syntax(text: str) -> None:
    code = text if text.startswith("<?php") else f"<?php\n{text}"

    checked = subprocess.run(["php", "-l"], input=code, text=True, capture_output=True, check=False)

    assert checked.returncode == 0, checked.stdout
