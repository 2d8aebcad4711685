"""The service on its production server: raw bytes over a socket, and what a worker has loaded."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

from tests.support.waiting import eventually

TIMEOUT_SECONDS = 10
TRAINING_ONLY = ["joblib", "numba", "pandas", "pyarrow", "recommender.training", "sklearn"]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def port(models_dir: Path) -> Iterator[int]:
    """Start a worker on a free port of the loopback interface, and end it after the module."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free: int = probe.getsockname()[1]
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "RECOMMENDER_MODELS_DIR": str(models_dir),
        "RECOMMENDER_MAX_BODY_BYTES": "4096",
    }
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--host", "127.0.0.1"]
    command += ["--port", str(free), "--blocking-threads", "2", "--no-ws", "tests.support.loaded:create_app"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        try:
            _wait_until_ready(server, free)
            yield free
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    def is_ready_or_ended() -> bool:
        with suppress(OSError):
            return server.poll() is not None or _get(port, "/readyz").status == 200
        return False

    eventually(is_ready_or_ended, TIMEOUT_SECONDS)
    if server.poll() is not None:
        pytest.fail("the server ended")


def _send(port: int, request: bytes) -> Answer:
    """Send bytes as they are and read the answer, which the server must end within the time allowed."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        raw = b""
        while b"\r\n\r\n" not in raw or len(raw) < _whole(raw):
            chunk = connection.recv(65536)
            if not chunk:
                break
            raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


def _whole(raw: bytes) -> int:
    head, _, _ = raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(head) + 4 + int(lengths[0].split(b":")[1])


def _get(port: int, target: str) -> Answer:
    return _send(port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def _post(port: int, body: bytes, *headers: str) -> Answer:
    head = [
        "POST /v1/similar HTTP/1.1",
        "Host: x",
        "Connection: close",
        "Content-Type: application/json",
        *headers,
    ]
    return _send(port, "\r\n".join([*head, "", ""]).encode() + body)


@pytest.mark.parametrize("article_id", ["a", "a,b", "%2F", "日本 🗞", "a/related", "https://x/y//z", "/abs"])
def test_an_id_in_the_query_finds_its_article(port: int, article_id: str) -> None:
    encoded = quote(article_id, safe="")

    assert json.loads(_get(port, f"/v1/article?id={encoded}").body)["id"] == article_id
    assert json.loads(_get(port, f"/v1/related?id={encoded}").body)["article_id"] == article_id


@pytest.mark.parametrize("article_id", ["a,b", "%2F", "日本 🗞"])
def test_an_id_without_a_slash_can_be_in_the_path(port: int, article_id: str) -> None:
    encoded = quote(article_id, safe="")

    assert json.loads(_get(port, f"/v1/articles/{encoded}").body)["id"] == article_id
    assert json.loads(_get(port, f"/v1/articles/{encoded}/related").body)["article_id"] == article_id


def test_an_unencoded_id_is_accepted(port: int) -> None:
    assert json.loads(_get(port, "/v1/articles/日本%20🗞").body)["id"] == "日本 🗞"
    assert json.loads(_get(port, "/v1/article?id=日本%20🗞").body)["id"] == "日本 🗞"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a/related", "/v1/article?id=a%2Frelated or /v1/related?id=a"),
        ("a%2Frelated", "/v1/article?id=a%2Frelated or /v1/related?id=a"),
        ("a%2Frelated/related", "/v1/article?id=a%2Frelated%2Frelated or /v1/related?id=a%2Frelated"),
        ("https%3A%2F%2Fx%2Fy%2F%2Fz", "/v1/article?id=https%3A%2F%2Fx%2Fy%2F%2Fz"),
        ("https://x/y//z", "/v1/article?id=https%3A%2F%2Fx%2Fy%2F%2Fz"),
        ("%2Fabs", "/v1/article?id=%2Fabs"),
        ("/abs", "/v1/article?id=%2Fabs"),
        ("/abs/related", "/v1/article?id=%2Fabs%2Frelated or /v1/related?id=%2Fabs"),
        ("%2F", "/v1/article?id=%2F"),
    ],
)
def test_the_response_to_an_id_with_a_slash_in_the_path_names_the_right_address(
    port: int, path: str, address: str
) -> None:
    answer = _get(port, f"/v1/articles/{path}")

    assert answer.status == 404
    assert json.loads(answer.body)["detail"].endswith(f"use {address}")


@pytest.mark.parametrize(
    "target", ["..", "%2e%2e", ".", "%00", "%ff", "%ed%a0%80", "x" * 513, "../related", ""]
)
def test_an_impossible_id_is_rejected(port: int, target: str) -> None:
    answer = _get(port, f"/v1/articles/{target}")

    assert answer.status == 400
    assert json.loads(answer.body)["errors"][0]["in"] == "path"
    assert _get(port, "/v1/related?id=a").status == 200


@pytest.mark.parametrize("target", ["..", "%2e%2e", "%00", "%ff", "%ed%a0%80", ""])
def test_an_impossible_id_in_the_query_is_rejected(port: int, target: str) -> None:
    answer = _get(port, f"/v1/related?id={target}")

    assert answer.status == 400
    assert json.loads(answer.body)["errors"][0]["name"] == "id"


@pytest.mark.parametrize("target", ["//v1/related?id=a", "/v1/x/../related?id=a", "/v1//related?id=a", "*"])
def test_a_path_is_not_normalised(port: int, target: str) -> None:
    assert _get(port, target).status == 404


def test_a_body_without_a_length_is_read(port: int) -> None:
    chunk = b'{"title": "storm"}'

    answer = _post(port, b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk), "Transfer-Encoding: chunked")

    assert answer.status == 200
    assert json.loads(answer.body)["article_id"] is None


def test_a_body_over_the_limit_is_rejected_with_and_without_a_length(port: int) -> None:
    body = b'{"title": "' + b"x" * 5000 + b'"}'
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    stated = _post(port, body, f"Content-Length: {len(body)}")
    unstated = _post(port, chunked, "Transfer-Encoding: chunked")

    assert (stated.status, unstated.status) == (413, 413)
    assert json.loads(unstated.body)["type"] == "too-large"
    assert _get(port, "/v1/related?id=a").status == 200


def test_a_body_longer_than_its_length_is_cut_there(port: int) -> None:
    answer = _post(port, b'{"title": "storm"}' + b"x" * 5000, "Content-Length: 18")

    assert answer.status == 200


def test_a_caller_that_hangs_up_does_no_harm(port: int) -> None:
    head = b"POST /v1/similar HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.sendall(head + b"Content-Length: 99\r\n\r\n{")

    assert _get(port, "/v1/related?id=a").status == 200


def test_a_worker_has_loaded_no_training_library_after_every_call(port: int) -> None:
    routes = json.loads(_get(port, "/test/routes").body)
    for route in routes:
        _get(port, route.replace("<tail:tail>", "9/related").replace("<path:filename>", "site.css"))
    for target in ("/v1/related?id=9&category=politics", "/v1/article?id=9", "/demo/search?q=storm"):
        assert _get(port, target).status == 200
    text = b'{"title": "Sturmflut", "body": "<p>Die Flut traf den Deich.</p>"}'
    assert _post(port, text, f"Content-Length: {len(text)}").status == 200

    loaded = json.loads(_get(port, "/test/modules").body)

    assert "recommender.serving.lists.related" in loaded
    assert [name for name in TRAINING_ONLY if name in loaded] == []
