"""Jetpack's calls before a WordPress site, sent to the service by the README's lines for nginx."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.serving.newsroom import NOW
from tests.serving.sites import Site, listening, readme_block

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on PATH"),
]

FRAME = """daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {shown}
}}
"""


@contextmanager
def nginx(folder: Path, shown: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    file = folder / "nginx.conf"
    file.write_text(FRAME.format(folder=folder, shown=shown.replace("listen 80;", f"listen {address};")))
    with subprocess.Popen(["nginx", "-c", file, "-e", folder / "errors"]) as process:
        try:
            _wait_for(address)
            yield f"http://{address}"
        finally:
            process.terminate()


def _wait_for(address: str) -> None:
    host, port = address.split(":")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("nginx did not start")


def test_a_post_is_the_sites_and_what_is_related_to_it_is_ours(models_dir: Path, tmp_path: Path) -> None:
    site = Site()
    site.pages["/9/"] = "the post"
    app = create_app(Settings(models_dir=models_dir, drop_in=("jetpack",)), clock=lambda: NOW)
    with listening(site) as page, listening(app) as service:
        shown = readme_block("nginx", "arg_relatedposts")
        shown = shown.replace("http://127.0.0.1:8080", page).replace("http://127.0.0.1:8000", service)
        shown = shown.replace("$http_host", "www.courier.example")  # whose address the articles have
        with nginx(tmp_path, shown) as address:
            post = urlopen(f"{address}/9/").read()  # noqa: S310 our own
            related = json.loads(urlopen(f"{address}/9/?relatedposts=1").read())  # noqa: S310

    assert post == b"the post"
    assert [item["id"] for item in related["items"]] == [14, 11, 10]
