"""A server stops on SIGTERM."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.support.servers import serving

pytestmark = pytest.mark.slow


def test_an_unresponsive_worker_is_killed(models_dir: Path, tmp_path: Path) -> None:
    database, state = f"sqlite:///{tmp_path / 'live.db'}", tmp_path / "state.json"
    with serving(tmp_path / "log", models_dir=models_dir, database_url=database, state_file=state) as server:
        workers = psutil.Process(server.process.pid).children()
        workers[0].suspend()  # as unresponsive as a worker that is still starting

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(60) == 0
        assert not any(worker.is_running() for worker in workers)
