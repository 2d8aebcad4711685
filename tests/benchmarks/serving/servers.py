"""Servers to measure: the service with a model, and the applications of `plain`."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.processes import RECOMMENDER

_START_SECONDS, _STOP_SECONDS = 60, 20
NO_LIMITS = {
    **dict.fromkeys(
        (f"RECOMMENDER_{name}_LIMIT" for name in ("SCORING", "COMPUTING", "ADDRESS", "ADDRESS_READ")),
        "100000/second",
    ),
    "RECOMMENDER_CONNECTIONS_PER_ADDRESS": "1000",
}
_STORE = {
    "RECOMMENDER_DATABASE_URL": "sqlite:///{}/store.db",
    "RECOMMENDER_STATE_FILE": "{}/state.json",
}


class Measured(NamedTuple):
    """A running server."""

    port: int
    start_seconds: float  # from exec to the first response with 200
    process: "subprocess.Popen[bytes]"


@contextmanager
def service(
    models: Path, folder: Path, workers: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Measured]:
    """Serve the models with a new store in the folder; without settings, no limit of rates is in force."""
    environment = {name: value.format(folder) for name, value in _STORE.items()}
    environment |= NO_LIMITS if settings is None else settings
    with _started(
        [RECOMMENDER, "serve", "--models-dir", str(models), "--workers", str(workers)], "/readyz", environment
    ) as server:
        yield server


@contextmanager
def plain(factory: str) -> Iterator[Measured]:
    """Serve an application of `plain` by granian with its default options."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"]
    with _started([*command, f"tests.benchmarks.serving.plain:{factory}"], "/", {}) as server:
        yield server


@contextmanager
def _started(command: Sequence[str], path: str, environment: Mapping[str, str]) -> Iterator[Measured]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment},
    )
    try:
        while not _is_ready(port, path):
            if time.perf_counter() - start > _START_SECONDS or process.poll() is not None:
                raise TimeoutError(f"{' '.join(command)} did not start")
            time.sleep(0.005)
        yield Measured(port, time.perf_counter() - start, process)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _is_ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
