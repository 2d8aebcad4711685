"""`models push`, `pull` and `rollback --push` copy versions, and never print credentials."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from recommender.artifact import current_version, publish
from recommender.registry import RegistryFollower
from tests.support.cli import Run
from tests.support.newsroom import NOW, build_model, newsroom

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "url", ["ftp://me:S3CRET%21@127.0.0.1:1/models?sig=T0KEN", "unknown://me:S3CRET%21@host/models?sig=T0KEN"]
)
def test_credentials_in_a_url_are_never_shown(run: Run, url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    ended = run("models", "pull", url)
    RegistryFollower("models", url).run_once()

    assert ended.status == 1
    assert "://***@" in ended.err
    for secret in ("S3CRET", "T0KEN"):
        assert secret not in ended.err + ended.out + caplog.text


def test_the_commands_push_pull_and_roll_back_in_the_registry(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, registry = tmp_path / "source", tmp_path / "registry"
    older, newer = (
        publish(build_model(newsroom()), source, now=NOW + timedelta(hours=hours)) for hours in range(2)
    )
    without = run("models", "push", "--models-dir", source)
    monkeypatch.setenv("RECOMMENDER_MODELS_URL", registry.as_uri())

    empty = run("models", "pull")
    pushed = run("models", "push", "--models-dir", source)
    pulled = run("models", "pull")
    rolled_back = run("models", "rollback", "--push", "--models-dir", source)

    assert (without.status, empty.status) == (2, 1)
    assert "set RECOMMENDER_MODELS_URL" in without.err
    assert empty.err.endswith("run `recommender models push`\n")
    assert pushed.out.startswith(f"{newer} is now the current version in the registry (")
    assert pulled.out.startswith(f"{newer} is now the current version in models (")
    assert rolled_back.out.endswith(f"{older} is now the current version in the registry\n")
    assert current_version(registry) == older
