"""A real browser for the tests: the system's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

TIMEOUT_MS = 15_000
# By default Chromium declares itself a robot here, and its events would not be counted.
READER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Visit(NamedTuple):
    """A reader's tab, and the errors and warnings of its console, scripts and policies."""

    page: "Page"
    context: "BrowserContext"
    complaints: list[str]


def check_accessible(page: "Page") -> None:
    """Assert that axe-core finds no barrier in a page."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 it loads Playwright

    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def check_readable(page: "Page") -> None:
    """Assert that a page is accessible and not wider than the screen."""
    check_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@contextmanager
def running_browser() -> "Iterator[Browser]":
    """Start Chromium and stop it afterwards. Without Chromium, the test is skipped or fails."""
    if CHROMIUM is None:
        if "RECOMMENDER_TEST_REQUIRE_BROWSER" in os.environ:
            pytest.fail("no Chromium on PATH, and RECOMMENDER_TEST_REQUIRE_BROWSER is set")
        pytest.skip("no Chromium on PATH")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 most tests need no browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser: "Browser", **options: Any) -> Iterator[Visit]:
    """Open a tab as a new reader; options such as `color_scheme="dark"` are of Playwright's `new_context`."""
    with browser.new_context(user_agent=READER, **options) as context:
        context.set_default_timeout(TIMEOUT_MS)
        page, complaints = context.new_page(), []
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield Visit(page, context, complaints)
