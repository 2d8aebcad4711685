"""A real nginx in front of a real service, on the loopback interface, configured as in the guide."""

import http.client
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.guide import block
from tests.support.servers import Answer, Server, serving
from tests.support.waiting import eventually

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CACHE_FOLDER = "/var/cache/nginx/recommender"  # in the configuration of the guide


class Proxy(NamedTuple):
    """A running nginx, and the service behind it."""

    port: int
    service: Server
    folder: Path  # of its cache

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a GET request to nginx."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request("GET", target, headers={"Connection": "close", **(headers or {})})
            response = connection.getresponse()
            text = response.read()
        response_headers = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in response_headers.get("content-type", "")
        return Answer(response.status, response_headers, json.loads(text) if is_json else None)

    def state(self, target: str) -> str:
        """Return the cache status of nginx: HIT, MISS, EXPIRED, STALE …"""
        return self.get(target).headers["x-cache"]


def configuration() -> str:
    """Return the nginx configuration in the guide."""
    return block("caching.md", "nginx")


@contextmanager
def proxied(folder: Path, workers: int = 1, **settings: object) -> Iterator[Proxy]:
    """Run a service with these settings behind nginx; with `purge=True`, the service purges the cache."""
    if NGINX is None:
        pytest.skip("nginx is not installed: apt install nginx-light")
    cache = folder / "cache"
    if settings.pop("purge", False):
        settings["purge_url"] = f"file://{cache}"
    store = {"database_url": f"sqlite:///{folder / 'store.db'}", "state_file": folder / "state.json"}
    cache.mkdir()
    with serving(folder / "service.log", workers, **{**store, **settings}) as service:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        process = _start(folder, cache, port, service.port)
        try:
            wait_until_open(port)
            yield Proxy(port, service, cache)
        finally:
            process.terminate()
            process.wait(10)


def _start(folder: Path, cache: Path, port: int, service_port: int) -> "subprocess.Popen[bytes]":
    http_block = (
        configuration().replace(CACHE_FOLDER, str(cache)).replace("listen 80;", f"listen 127.0.0.1:{port};")
    )
    return run_nginx(folder, http_block.replace("127.0.0.1:8000", f"127.0.0.1:{service_port}"))


def run_nginx(folder: Path, http_block: str) -> "subprocess.Popen[bytes]":
    """Start nginx with this `http` block; its files are in the folder."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temp_paths = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    text = f"""
        daemon off; {user} worker_processes 1; pid {folder / "nginx.pid"};
        error_log {folder / "nginx.log"} warn;
        events {{ worker_connections 512; }}
        http {{ access_log off; {temp_paths}\n{http_block} }}
    """
    path = folder / "nginx.conf"
    path.write_text(text)
    assert NGINX is not None
    return subprocess.Popen([NGINX, "-c", str(path), "-p", str(folder), "-e", str(folder / "nginx.log")])


def wait_until_open(port: int) -> None:
    """Wait until something listens on a port."""

    def is_open() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    eventually(is_open, 10, lambda: "nginx did not start")
