"""The page of the contract: all of it comes from this service, and a browser shows it without complaint."""

import re
from collections.abc import Iterator
from threading import Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from tests.support.browsers import Visit


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Serve the app in a thread; yields where."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_all_that_the_page_names_is_of_this_service(client: FlaskClient) -> None:
    page = client.get("/docs")
    named = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)

    assert page.content_type.startswith("text/html")
    assert len(named) == 4
    assert {client.get(each).status_code for each in named} == {200}
    assert not re.search(r"https?://", page.text)


def test_the_page_runs_scripts_of_this_service_alone(client: FlaskClient) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


def test_who_has_the_page_is_not_sent_it_again(client: FlaskClient) -> None:
    etag = client.get("/docs/swagger-ui-bundle.js").headers["ETag"]

    assert client.get("/docs/swagger-ui-bundle.js", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_shows_the_calls_without_complaint(address: str, visit: Visit) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))

    visit.page.goto(f"{address}/docs")
    visit.page.get_by_text("The list of an article", exact=True).wait_for()
    visit.page.get_by_role("button", name="get /v1/related", exact=True).first.click()
    visit.page.get_by_text("'any' or a language code such as 'en'").wait_for()

    assert visit.complaints == []
    assert all(url.startswith((address, "data:")) for url in asked)
