"""`recommender serve` rejects an address that it cannot use, and starts without a warning."""

import socket
from pathlib import Path

import pytest

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
