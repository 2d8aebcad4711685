"""The API reference page loads everything from this service, and a browser displays it without errors."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.browsers import Visit
from tests.support.sites import listening


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Serve the app in a thread; yields its URL."""
    with listening(app) as origin:
        yield origin


def test_every_file_of_the_page_comes_from_this_service(client: FlaskClient) -> None:
    page = client.get("/docs")
    paths = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)

    assert page.content_type.startswith("text/html")
    assert len(paths) == 4
    assert {client.get(path).status_code for path in paths} == {200}
    assert not re.search(r"https?://", page.text)


def test_the_page_runs_only_scripts_of_this_service(client: FlaskClient) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


def test_a_cached_file_of_the_page_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get("/docs/swagger-ui-bundle.js").headers["ETag"]

    assert client.get("/docs/swagger-ui-bundle.js", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_shows_the_endpoints_without_errors(address: str, visit: Visit) -> None:
    requested: list[str] = []
    visit.page.on("request", lambda request: requested.append(request.url))

    visit.page.goto(f"{address}/docs")
    visit.page.get_by_text("Get the related articles to show below an article", exact=True).wait_for()
    visit.page.get_by_role("button", name="get /v1/related", exact=True).first.click()
    visit.page.get_by_text("'any' or a language code such as 'en', 'pt-BR' or 'zh-Hant'").wait_for()

    assert visit.complaints == []
    assert all(url.startswith((address, "data:")) for url in requested)


@pytest.mark.slow
@pytest.mark.browser
def test_every_public_call_works_at_the_first_click(address: str, visit: Visit) -> None:
    page = visit.page
    page.goto(f"{address}/docs")
    calls = page.locator(".opblock-get:not(:has(.authorization__btn))")
    calls.first.wait_for()
    statuses = {}
    for number in range(calls.count()):
        call = calls.nth(number)
        call.locator(".opblock-summary-control").click()
        call.locator("button.execute").click()
        status = call.locator(".live-responses-table .response-col_status").nth(1)
        statuses[call.locator(".opblock-summary-path").inner_text()] = status.inner_text().split()[0]
        call.locator(".opblock-summary-control").click()

    assert len(statuses) == 20
    assert set(statuses.values()) == {"200"}, statuses
    assert page.locator(".authorization__btn").count() == 10


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_is_dark_for_readers_who_prefer_it(address: str, visit: Visit) -> None:
    visit.page.emulate_media(color_scheme="dark")
    visit.page.goto(f"{address}/docs")

    visit.page.wait_for_function("document.documentElement.classList.contains('dark-mode')")
