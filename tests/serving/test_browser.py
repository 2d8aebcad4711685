"""The demo in a real browser, on the real server: what a reader sees, and a silent console."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

TIMEOUT_SECONDS = 30
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
    "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=2000"
).split()


@pytest.fixture(scope="module")
def site(published: Path) -> Iterator[str]:
    """Serve the sample newsroom with the command that operators use; yields its address."""
    if BROWSER is None:
        if "RECOMMENDER_REQUIRE_BROWSER" in os.environ:
            pytest.fail("no Chromium on PATH, and RECOMMENDER_REQUIRE_BROWSER is set")
        pytest.skip("no Chromium on PATH")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "recommender", "serve", "--port", port, "--models-dir", str(published)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_until_ready(int(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_a_reader_sees_the_article_nine_related_and_eight_latest(site: str, tmp_path: Path) -> None:
    page, console = _visit(f"{site}/demo/", tmp_path)

    titles = re.findall(r"<h3[^>]*>.*?</h3>", page, re.DOTALL)
    assert len(re.findall(r"<h1\b", page)) == 1
    assert len(titles) == len(set(titles)) == 17
    assert "min read" in page
    assert console == []


def test_a_search_shows_what_holds_the_words(site: str, tmp_path: Path) -> None:
    page, console = _visit(f"{site}/demo/search?q=toll+bridge", tmp_path)

    assert "Assembly backs Quillmouth toll bridge by a single vote" in page
    assert console == []


def _visit(address: str, profile: Path) -> tuple[str, list[str]]:
    """Return the page as the browser holds it, and what it wrote to its console."""
    assert BROWSER
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _wait_until_ready(port: int) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        try:
            with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the server did not become ready")
