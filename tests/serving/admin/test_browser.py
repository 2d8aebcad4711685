"""The admin page in a real browser, with and without scripts, on a phone and in the dark."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.admin import KEY, AdminUnderTest
from tests.support.browsers import Visit, check_readable, visiting
from tests.support.sample import NOW
from tests.support.sites import listening

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
DESKTOP = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}


@pytest.fixture
def admin(published: Path) -> AdminUnderTest:
    admin = AdminUnderTest(published)
    admin.now = NOW
    return admin


@pytest.fixture
def origin(admin: AdminUnderTest) -> Iterator[str]:
    with listening(admin.app) as origin:
        yield origin


def test_a_rule_against_a_crowding_article_takes_two_clicks_and_no_script(
    admin: AdminUnderTest, origin: str, browser: "Browser"
) -> None:
    with visiting(browser, java_script_enabled=False) as visit:
        page = visit.page
        _sign_in(page, origin)
        crowding = page.locator("#lists tbody tr").first
        title = crowding.locator("a").first.inner_text()
        crowding.locator(".button").click()
        page.locator("main form button", has_text="Add rule").click()

        page.locator(".done", has_text="Rule saved: boost").wait_for()
        assert page.locator("h1").inner_text() == title
        page.locator(".effects", has_text="its score is multiplied by 0.5").wait_for()
        page.goto(f"{origin}/admin/")
        assert "boost" in page.locator("#lists tbody tr").first.inner_text()
        assert title in page.locator("#rules .rules").first.inner_text()
        page.locator("#rules .remove summary").first.click()
        page.locator("#rules .remove button").first.click()
        page.locator("main", has_text="No rule is active.").wait_for()
    assert admin.rules() == []


def test_the_browser_keeps_the_cookie_from_scripts_and_forgets_it_on_signing_out(
    origin: str, visit: Visit
) -> None:
    page = visit.page
    _sign_in(page, origin)
    [cookie] = visit.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/admin")
    assert page.evaluate("document.cookie") == ""
    visit.complaints.clear()  # that the first page had the status 401
    page.goto(f"{origin}/admin/rules")
    assert visit.complaints == []
    page.locator("button", has_text="Sign out").click()
    page.locator("#key").wait_for()

    assert visit.context.cookies() == []


def test_another_site_cannot_use_the_session(admin: AdminUnderTest, origin: str, visit: Visit) -> None:
    page = visit.page
    _sign_in(page, origin)
    other = origin.replace("127.0.0.1", "localhost")  # another site for cookies
    page.route(f"{other}/**", lambda route: route.fulfill(content_type="text/html", body=_forged(origin)))
    page.goto(f"{other}/forged")
    page.locator("button").click()
    page.wait_for_url(f"{origin}/**")

    page.locator("#key").wait_for()  # as if nobody had signed in
    assert admin.rules() == []


def test_a_wrong_key_is_reported(origin: str, visit: Visit) -> None:
    visit.page.goto(f"{origin}/admin/")
    visit.page.locator("#key").fill("wrong")
    visit.page.keyboard.press("Enter")

    visit.page.locator(".alarm", has_text="the API key is not valid for this service").wait_for()


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_pages_are_accessible_and_not_wider_than_the_screen(
    origin: str, browser: "Browser", screen: dict[str, Any]
) -> None:
    with visiting(browser, **screen) as visit:
        page = visit.page
        page.goto(f"{origin}/admin/")
        check_readable(page)
        _sign_in(page, origin)
        check_readable(page)
        page.locator("#lists .button").first.click()
        page.locator("main form button", has_text="Add rule").click()
        page.locator(".done").wait_for()
        check_readable(page)
        for path in ("/admin/rules", "/admin/search?q=harbour", "/admin/", "/admin/article?id=nobody"):
            page.goto(origin + path)
            check_readable(page)


def _sign_in(page: "Page", origin: str) -> None:
    page.goto(f"{origin}/admin/")
    page.locator("#key").fill(KEY)
    page.keyboard.press("Enter")
    page.locator("#lists").wait_for()


def _forged(origin: str) -> str:
    fields = {"rule_id": "forged", "action": "block", "reason": "r", "author": "a"}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    return f'<form action="{origin}/admin/article?id=1001" method="post">{inputs}<button>Go</button></form>'
