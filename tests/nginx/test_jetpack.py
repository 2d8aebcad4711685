"""Requests of Jetpack's script to a WordPress site, routed to the service as in the guide."""

import json
import os
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.nginx.proxy import NGINX, run_nginx, wait_until_open
from tests.support.guide import block
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.sites import Site, listening

pytestmark = [
    pytest.mark.nginx,
    pytest.mark.skipif(not os.environ.get("RECOMMENDER_TEST_NGINX"), reason="run it with make test-nginx"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt install nginx-light"),
]


def test_posts_come_from_the_site_and_related_posts_from_the_service(tmp_path: Path) -> None:
    publish(build_model(newsroom()), tmp_path / "models", now=NOW)
    app = create_app(Settings(models_dir=tmp_path / "models", drop_in=("jetpack",)), clock=lambda: NOW)
    site = Site()
    site.pages["/9/"] = "the post"
    with listening(site) as page, listening(app) as service:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        http_block = block("moving.md", "nginx").replace("listen 80;", f"listen 127.0.0.1:{port};")
        http_block = http_block.replace("http://127.0.0.1:8080", page).replace(
            "http://127.0.0.1:8000", service
        )
        http_block = http_block.replace(
            "$http_host", "www.courier.example"
        )  # the host in the URLs of the articles
        with run_nginx(tmp_path, http_block) as process:
            try:
                wait_until_open(port)
                post = urlopen(f"http://127.0.0.1:{port}/9/").read()
                related = json.loads(urlopen(f"http://127.0.0.1:{port}/9/?relatedposts=1").read())
            finally:
                process.terminate()

    assert post == b"the post"
    assert [item["id"] for item in related["items"]] == [14, 11, 10]
