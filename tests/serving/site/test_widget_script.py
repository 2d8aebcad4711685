"""The served widget script, and the templates of the guide that include it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from jinja2 import Environment

from tests.support.sites import template


def test_the_script_has_at_most_five_kilobytes_gzipped(client: FlaskClient) -> None:
    response = client.get("/widget.js", headers={"Accept-Encoding": "gzip"})

    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.data) <= 5_000


def test_every_site_may_load_the_script_and_cache_it_for_an_hour(client: FlaskClient) -> None:
    response = client.get("/widget.js")

    assert response.mimetype == "text/javascript"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "max-age=3600" in response.headers["Cache-Control"]
    assert client.get("/widget.js", headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_the_script_writes_no_html_and_stores_nothing(client: FlaskClient) -> None:
    script = client.get("/widget.js").text

    for forbidden in ("innerHTML", "insertAdjacentHTML", "cookie", "localStorage", "sessionStorage", "eval("):
        assert forbidden not in script


def test_the_jinja_template_escapes_the_id() -> None:
    page = Environment().from_string(template("jinja")).render(article={"id": '"><script>'})  # noqa: S701 as a site may

    assert 'data-article="&#34;&gt;&lt;script&gt;"' in page


@pytest.mark.skipif(shutil.which("php") is None, reason="no php on PATH")
def test_the_wordpress_snippet_changes_only_posts(tmp_path: Path) -> None:
    stub = """<?php
        function add_action($hook, $call) { if ($hook == 'wp_enqueue_scripts') $call(); }
        function add_filter($hook, $call) { if ($hook == 'the_content') { global $filter; $filter = $call; } }
        function wp_enqueue_script($name, $address) { echo $address, "\\n"; }
        function is_singular($type) { global $singular; return $singular && $type == 'post'; }
        function in_the_loop() { return true; }
        function is_main_query() { return true; }
        function get_the_ID() { return 4711; }
    """
    calls = """foreach ([true, false] as $singular) echo $filter('<p>Text</p>'), "\\n";"""
    file = tmp_path / "snippet.php"
    file.write_text(stub + template("php") + calls)

    done = subprocess.run(["php", file], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "https://recommender.example/widget.js",
        '<p>Text</p><div data-recommender="related" data-article="4711"></div>',
        "<p>Text</p>",
    ]
