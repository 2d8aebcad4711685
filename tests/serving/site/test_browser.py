"""The demo in a real browser, used by readers and editors, without console errors."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from flask import Flask

from recommender.article import Article
from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.store import Store
from recommender.settings import Settings
from tests.support.browsers import Visit, check_readable, visiting
from tests.support.newsroom import build_model, newsroom
from tests.support.sample import NOW
from tests.support.servers import serving
from tests.support.sites import listening
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

KEY, KEY_SETTING = new_key("editor", ["rules"])
PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
DESKTOP = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}


class Paper:
    """The sample newsroom, served on the loopback interface, with an adjustable clock."""

    def __init__(self, models_dir: Path, folder: Path) -> None:
        settings = Settings(
            models_dir=models_dir,
            database_url=f"sqlite:///{folder / 'store.db'}",
            state_file=folder / "state.json",
            write_keys=(KEY_SETTING,),
            live_poll_seconds=0,
            verify=False,
        )
        self.now: datetime = NOW
        self.app: Flask = create_app(settings, clock=lambda: self.now)
        self.store: Store = self.app.extensions["recommender"].store
        self.origin = ""

    @property
    def newest(self) -> str:
        """The URL of the page of the newest story."""
        with self.app.test_client() as client:
            newest = client.get("/v1/articles?limit=1").get_json()["items"][0]["id"]
        return f"{self.origin}/demo/article?id={quote(newest, safe='')}"

    def events(self) -> int:
        """Return the number of counted events."""
        return int(self.store.counts().counts.sum())


@pytest.fixture
def paper(published: Path, tmp_path: Path) -> Iterator[Paper]:
    paper = Paper(published, tmp_path)
    with listening(paper.app) as paper.origin:
        yield paper
    paper.store.close()


def test_trending_changes_after_a_reader_opens_three_stories(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.clock.install()
    page.goto(paper.newest)
    before, read = _ids(page, "trending"), [_story(page)]
    for clicks, link in enumerate([".related .card-title a", ".trending h3 a", ".beside a"], 1):
        page.locator(link).first.click()
        page.wait_for_function("id => document.querySelector('.story').dataset.story !== id", arg=read[-1])
        read.append(_story(page))
        eventually(lambda clicks=clicks: paper.events() == 2 * clicks + 1)  # type: ignore[misc]
        _check_titles(page)
    paper.now += timedelta(minutes=1)
    page.clock.run_for(62_000)
    page.locator(".trending", has_text="updated every minute").wait_for()

    shown_elsewhere = {_story(page), *_ids(page, "related"), *_ids(page, "beside")}
    assert set(read) - shown_elsewhere
    assert set(_ids(page, "trending")[: len(set(read) - shown_elsewhere)]) == set(read) - shown_elsewhere
    assert _ids(page, "trending") != before
    _check_titles(page)
    assert visit.complaints == []


def test_a_list_is_not_replaced_while_in_use_and_keeps_the_focus(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.clock.install(time=NOW)
    page.goto(paper.newest)
    page.clock.pause_at(NOW + timedelta(seconds=30))
    reloads: list[str] = []
    page.on(
        "request", lambda request: reloads.append(request.url) if "/demo/article?" in request.url else None
    )
    eventually(lambda: paper.events() == 1)
    with paper.app.test_client() as client:
        client.post("/v1/events", json={"article_id": _ids(page, "trending")[-1], "type": "view"})
    paper.now += timedelta(minutes=1)
    wait = 1000 * int(page.locator(".trending").get_attribute("data-seconds") or 0)
    page.clock.run_for(wait - 31_000)
    page.locator(".trending h3 a").nth(2).focus()
    focused = page.evaluate("document.activeElement.textContent")
    page.clock.run_for(3500)
    assert reloads == []
    page.clock.run_for(1500)
    page.locator(".trending", has_text="updated every minute").wait_for()

    assert len(reloads) == 1
    assert page.evaluate("document.activeElement.textContent") == focused


def test_the_reasons_for_a_story_open_on_hover_and_close_on_escape(paper: Paper, visit: Visit) -> None:
    visit.page.goto(paper.newest)
    card = visit.page.locator(".related .card").first
    card.hover()
    reasons = card.locator(".reasons")
    reasons.wait_for(state="visible")

    shared = reasons.locator(".word span").all_inner_texts()
    assert shared
    visit.page.keyboard.press("Escape")
    reasons.wait_for(state="hidden")
    assert visit.complaints == []


def test_the_reasons_for_a_story_open_on_keyboard_focus(paper: Paper, visit: Visit) -> None:
    visit.page.goto(paper.newest)
    visit.page.locator(".related .label").first.focus()
    visit.page.keyboard.press("Tab")

    visit.page.locator(".related .card").first.locator(".reasons").wait_for(state="visible")
    for _ in range(3):
        visit.page.keyboard.press("Tab")
    visit.page.locator(".related .card").first.locator(".reasons").wait_for(state="hidden")


def test_the_search_shows_results_while_a_reader_types(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.goto(paper.newest)
    page.keyboard.press("Control+k")
    page.keyboard.type("toll bri")
    matches = page.locator(".overlay .card-title a", has_text="Quillmouth toll bridge")
    matches.first.wait_for()

    assert page.url == paper.newest
    page.keyboard.press("ArrowDown")
    first = page.locator(".overlay .card-title a").first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != paper.newest)
    assert page.locator("h1").inner_text() == first
    assert visit.complaints == []


def test_the_search_overlay_closes_and_keeps_the_words(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.goto(paper.newest)
    page.locator("#q").click()
    page.keyboard.type("zzyzx")
    page.locator(".overlay .empty").wait_for()
    page.keyboard.press("Escape")

    page.locator(".overlay").wait_for(state="hidden")
    eventually(lambda: page.locator("#q").input_value() == "zzyzx")


def test_an_editor_pins_and_blocks_with_a_key_and_undoes_it(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.goto(paper.newest)
    before = _ids(page, "related")
    _enter(page, KEY)
    page.locator(".related [data-id] button", has_text="Pin").nth(4).click()
    eventually(lambda: _ids(page, "related")[0] == before[4])
    page.locator(".trending [data-id] button", has_text="Block").first.click()
    page.locator(".rules li", has_text="block").wait_for()

    assert "Editors’ choice" in page.locator(".related .card").first.inner_text()
    page.reload()
    page.locator(".rules li").nth(1).wait_for()
    for remaining in (1, 0):
        page.locator(".rules button").first.click()
        eventually(lambda remaining=remaining: page.locator(".rules button").count() == remaining)  # type: ignore[misc]
    eventually(lambda: _ids(page, "related") == before)
    assert visit.complaints == []


def test_an_editor_pins_a_search_result_in_a_section(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.goto(paper.newest)
    _enter(page, KEY)
    page.locator("[name=place][value=section]").check()
    page.locator("#q").click()
    page.keyboard.type("lobster")
    result = page.locator(".overlay [data-id]").first
    pinned = result.get_attribute("data-id") or ""
    result.locator("button", has_text="Pin").click()
    page.locator(".rules li", has_text="pin").wait_for()
    eventually(lambda: _ids(page, "related")[0] == pinned)

    category = page.locator(".story").get_attribute("data-section")
    with paper.app.test_client() as client:
        rule = client.get("/v1/rules", headers={"Authorization": f"Bearer {KEY}"}).get_json()["rules"][0]
    assert (rule["for_category"], rule["articles"], rule["kind"]) == (category, [pinned], "pin")
    assert page.locator(".overlay").is_hidden()
    assert visit.complaints == []


def test_an_editor_needs_a_reason_and_boosts_and_caps_sections_for_a_time(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.goto(paper.newest)
    _enter(page, KEY)
    page.locator("[name=reason]").fill("")
    page.locator(".related [data-id] button", has_text="Pin").first.click()
    assert page.evaluate("document.activeElement.name") == "reason"
    page.locator("[name=reason]").fill("Elections")
    page.locator("[name=until]").fill("2099-01-01T12:00")
    for number, kind in enumerate(("boost", "sensitive", "cap"), 1):
        page.locator(f"[data-rule={kind}]").click()
        page.locator(".rules button").nth(number - 1).wait_for()

    with paper.app.test_client() as client:
        rules = client.get("/v1/rules", headers={"Authorization": f"Bearer {KEY}"}).get_json()["rules"]
    by_kind = {rule["kind"]: rule for rule in rules}
    assert by_kind.keys() == {"boost", "sensitive", "cap"}
    assert (by_kind["boost"]["factor"], by_kind["cap"]["at_most"]) == (1.5, 3)
    assert all(rule["until"].startswith("2099-01-0") and rule["author"] == "R. Editor" for rule in rules)
    assert visit.complaints == []


def test_a_misspelt_search_shows_what_was_found_and_marks_it(paper: Paper, visit: Visit) -> None:
    page = visit.page
    page.goto(f"{paper.origin}/demo/")
    page.locator("#q").click()
    page.keyboard.type("quilmouth tol")
    page.locator(".overlay .status", has_text="Results for “quillmouth tol").wait_for()

    marks = page.locator(".overlay mark").all_inner_texts()
    assert {"Quillmouth", "toll"} <= set(marks)
    assert visit.complaints == []


def test_the_header_leaves_room_on_a_phone(paper: Paper, browser: "Browser") -> None:
    with visiting(browser, **PHONE) as visit:
        visit.page.goto(f"{paper.origin}/demo/")
        assert visit.page.locator(".masthead").bounding_box()["height"] <= 160  # type: ignore[index]


def test_an_invalid_key_is_reported_and_not_stored(paper: Paper, visit: Visit) -> None:
    visit.page.goto(paper.newest)
    _enter(visit.page, "wrong")

    with paper.app.test_client() as client:
        detail = client.get("/v1/rules", headers={"Authorization": "Bearer wrong"}).get_json()["detail"]
    visit.page.locator(".status", has_text=detail).wait_for()
    assert visit.page.evaluate("sessionStorage.length") == 0
    assert visit.page.locator(".edit").count() == 0


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_pages_are_accessible_and_not_wider_than_the_screen(
    paper: Paper, browser: "Browser", screen: dict[str, Any]
) -> None:
    with visiting(browser, **screen) as visit:
        page = visit.page
        for path in (
            "/",
            "/demo/section?name=politics",
            "/demo/search?q=harbour",
            "/demo/article?id=nobody",
            "/demo/",
        ):
            page.goto(paper.origin + path)
            check_readable(page)
        page.goto(paper.newest)
        _enter(page, KEY)
        page.locator(".related [data-id] button").first.click()
        page.locator(".rules button").wait_for()
        page.locator(".related .why summary").nth(1).click()
        check_readable(page)
        page.locator("#q").click()
        page.keyboard.type("harbour")
        page.locator(".overlay .card").first.wait_for()
        check_readable(page)


def test_texts_of_authors_are_never_rendered_as_html(tmp_path: Path, visit: Visit) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    articles = [
        Article(
            id=word + hostile,
            title=f"Quay {word} {hostile}",
            body=hostile,
            category=hostile,
            authors=(hostile,),
        )
        for word in ("walls", "cranes", "ropes")
    ]
    publish(build_model([*newsroom(), *articles]), tmp_path / "models", now=NOW)
    paper, page = Paper(tmp_path / "models", tmp_path), visit.page
    with listening(paper.app) as origin:
        page.goto(f"{origin}/demo/article?id={quote(articles[0].id)}")
        _enter(page, KEY)
        page.locator(".related [data-id]", has_text=hostile).first.locator("button").first.click()
        page.locator(".rules li", has_text=hostile).wait_for()
        page.locator("#q").click()
        page.keyboard.type("quay")
        page.locator(".overlay .card", has_text=hostile).first.wait_for()
    paper.store.close()

    assert page.locator("img").count() == 0
    assert visit.complaints == []


def test_the_real_server_serves_everything_that_a_page_needs(
    published: Path, tmp_path: Path, visit: Visit
) -> None:
    settings: dict[str, Any] = {"models_dir": published, "database_url": f"sqlite:///{tmp_path / 'store.db'}"}
    with serving(tmp_path / "log", state_file=tmp_path / "state.json", **settings) as server:
        visit.page.goto(f"http://127.0.0.1:{server.port}/demo/")
        visit.page.locator(".lead-title a").click()
        visit.page.wait_for_url("**/demo/article?id=*")
        _check_titles(visit.page)
        visit.page.locator("#q").click()
        visit.page.locator(".overlay").wait_for(state="visible")
        visit.page.locator(".corner").wait_for(state="visible")

    assert visit.complaints == []


def test_the_lists_the_reasons_and_the_search_work_without_scripts(paper: Paper, browser: "Browser") -> None:
    with visiting(browser, java_script_enabled=False) as visit:
        page = visit.page
        page.goto(paper.newest)
        assert page.locator(".related h3").count() == 9
        assert page.locator(".trending h3").count() == 8
        assert page.locator(".corner").is_hidden()
        page.locator(".why summary").first.click()
        assert page.locator(".reasons").first.is_visible()
        page.locator("#q").fill("toll bridge")
        page.keyboard.press("Enter")
        page.wait_for_url("**/demo/search?q=toll+bridge")
        assert "Quillmouth toll bridge" in page.locator(".grid").inner_text()


def _check_titles(page: "Page") -> None:
    titles = page.locator(".page :is(h1, h3)").all_inner_texts() + page.locator(".beside a").all_inner_texts()
    assert page.locator(".related h3").count() == 9
    assert page.locator(".trending h3").count() == 8
    assert len(titles) == len(set(titles))


def _story(page: "Page") -> str:
    return page.locator(".story").get_attribute("data-story") or ""


def _ids(page: "Page", name: str) -> list[str]:
    ids: list[str] = page.locator(f".{name} [data-id]").evaluate_all(
        "items => items.map(item => item.dataset.id)"
    )
    return ids


def _enter(page: "Page", key: str) -> None:
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    if page.locator(".rule-form").is_visible():
        page.locator("[name=reason]").fill("Anniversary")
        page.locator("[name=author]").fill("R. Editor")
