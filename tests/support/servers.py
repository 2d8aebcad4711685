"""Real servers for the tests: `recommender serve` on the loopback interface."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


class Answer(NamedTuple):
    """A response; `body` is the decoded JSON, or None if it is empty."""

    status: int
    headers: dict[str, str]
    body: Any


class Server(NamedTuple):
    """A running server."""

    port: int
    process: "subprocess.Popen[bytes]"

    def ask(
        self, method: str, target: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request on a new connection, so that any worker may answer it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = None if body is None else json.dumps(body).encode()
        given = {
            "Connection": "close",
            **({"Content-Type": "application/json"} if sent else {}),
            **(headers or {}),
        }
        try:
            connection.request(method, target, sent, given)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        response_headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, response_headers, json.loads(text) if text else None)

    def kill(self) -> None:
        """Kill the server and its workers at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(log: Path, workers: int = 1, **settings: object) -> Iterator[Server]:
    """Start a server with these settings and stop it afterwards; its log goes to the file."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RECOMMENDER_LIVE_POLL_SECONDS": "0.3"}
    environment["PYTHONFAULTHANDLER"] = "1"  # a process that crashes writes where into its log
    environment |= {f"RECOMMENDER_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "recommender", "serve", "--port", str(port), "--workers", str(workers)]
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    server = Server(port, process)
    try:
        _wait_until_ready(server, log)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def connected(client: socket.socket) -> bool:
    """Return whether the server has not closed a connection; the client must not expect any data."""
    poll = select.poll()  # unlike select, for descriptors above 1,024, too
    poll.register(client, select.POLLIN)
    readable = poll.poll(0)
    try:
        return not readable or client.recv(1) != b""
    except ConnectionError:
        return False


def _wait_until_ready(server: Server, log: Path) -> None:
    def is_ready_or_ended() -> bool:
        with suppress(OSError):
            return server.process.poll() is not None or server.ask("GET", "/readyz").status == 200
        return False

    eventually(is_ready_or_ended, START_SECONDS, lambda: log.read_text()[-2000:])
    if server.process.poll() is not None:
        pytest.fail(f"the server ended: {log.read_text()[-2000:]}")
