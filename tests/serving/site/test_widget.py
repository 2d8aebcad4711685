"""The widget in a real browser, on pages whose origin differs from that of the service."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support.browsers import Visit, check_accessible, visiting
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.sites import EXAMPLE, Recorded, Site, Stage, listening, template

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = [pytest.mark.slow, pytest.mark.browser]

RELATED = '<div data-recommender="related" data-article="9"></div>'
TRENDING = '<aside data-recommender="trending" data-limit="3"></aside>'
STRICT = (
    "default-src 'none'; base-uri 'none'; script-src {service}; connect-src {service}; img-src 'self'; "
    "require-trusted-types-for 'script'"
)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str, Flask]]:
    """A site, its origin, and a service whose articles are on that site."""
    site, folder = Site(), tmp_path_factory.mktemp("widget")
    with listening(site) as origin:
        articles = [
            replace(article, url=f"{origin}/{number}/", image_url=f"{origin}/pictures/{number}.svg")
            for number, article in enumerate(newsroom(), 1)
        ]
        articles[9] = replace(articles[9], image_url=f"{origin}/lost.jpg")
        site.pages["/lost.jpg"] = "no picture"
        publish(build_model(articles), folder, now=NOW)
        database = f"sqlite:///{folder / 'recommender.db'}"
        settings = Settings(
            models_dir=folder,
            database_url=database,
            state_file=folder / "state.json",
            live_poll_seconds=0,
            cors_origins=(origin,),
            event_origins=(origin,),
        )
        yield site, origin, create_app(settings, clock=lambda: NOW)


@pytest.fixture
def stage(premises: tuple[Site, str, Flask]) -> Iterator[Stage]:
    """Each test has its own port, because a browser may send an event after its page was closed."""
    site, origin, app = premises
    site.headers.clear()
    service = Recorded(app)
    with listening(service) as service_origin:
        yield Stage(site, origin, service, service_origin)


def titles(page: "Page", kind: str) -> list[str]:
    return page.locator(f"[data-recommender={kind}] a").all_text_contents()


def test_both_lists_of_an_article_are_fetched_in_one_request(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED + TRENDING)

    expected = stage.answer("/v1/page?id=9&trending_limit=3")
    assert stage.calls() == ["/v1/page"]
    for kind in ("related", "trending"):
        assert titles(page, kind) == [item["title"] for item in expected[kind]["items"]]
    assert visit.complaints == []


def test_lists_are_regions_with_headings_and_links_to_the_articles(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED + TRENDING)

    related = page.get_by_role("region", name="Related posts")
    assert related.get_by_role("heading", level=2).count() == 1
    assert related.get_by_role("list").get_by_role("listitem").count() == 9
    first = related.get_by_role("link").first
    assert first.get_attribute("href") == stage.answer("/v1/related?id=9")["items"][0]["url"]
    assert page.get_by_role("region", name="Trending").get_by_role("listitem").count() == 3


def test_an_item_shows_its_category_date_and_reading_time(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED, html='lang="de"')

    lines = page.locator("li").first.inner_text().split("\n")
    assert [line for line in lines if line] == ["Environment", "Storm inquiry opens", "01.03.2026 1 Min."]


def test_the_widget_works_under_a_strict_content_security_policy(stage: Stage, visit: Visit) -> None:
    stage.site.headers["Content-Security-Policy"] = STRICT.format(service=stage.service_origin)

    page = stage.open(visit, RELATED + TRENDING)

    assert len(titles(page, "related")) == 9
    assert page.locator("ul").evaluate("list => getComputedStyle(list).display") == "grid"
    assert page.locator("[style], style").count() == 0
    assert visit.complaints == []


def test_a_view_is_counted_once_and_nothing_is_stored_in_the_browser(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED + TRENDING)

    assert stage.events(visit, 1) == [{"article_id": "9", "type": "view"}]
    assert visit.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_background_tab_is_counted_once_it_is_visible(stage: Stage, visit: Visit) -> None:
    visit.page.add_init_script(
        "let state = 'hidden'; Object.defineProperty(document, 'visibilityState', {get: () => state});"
        "window.look = () => { state = 'visible'; document.dispatchEvent(new Event('visibilitychange')); };"
    )
    page = stage.open(visit, RELATED)
    before = stage.events(visit, 0)

    page.evaluate("look()")

    assert before == []
    assert len(stage.events(visit, 1)) == 1


@pytest.mark.parametrize("button", ["left", "middle"])
def test_a_click_event_has_the_list_and_the_position(stage: Stage, visit: Visit, button: Any) -> None:
    page = stage.open(visit, RELATED)
    target = stage.answer("/v1/related?id=9")
    stage.site.pages["/11/"] = stage.site.pages["/10/"] = "<!doctype html><title>Next</title>"

    page.locator("li").nth(1).click(button=button, position={"x": 5, "y": 20})

    view, click = sorted(stage.events(visit, 2), key=lambda event: str(event["type"]), reverse=True)
    assert view == {"article_id": "9", "type": "view"}
    assert click == {
        "article_id": target["items"][1]["id"],
        "type": "click",
        "from_id": "9",
        "list": "related",
        "position": 2,
        "model_version": target["model"]["version"],
    }


def test_events_can_be_disabled(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED, script='data-events="none"')
    page.locator("li a").first.click(modifiers=["Control"])

    assert stage.events(visit, 0) == []


def test_a_page_without_an_article_shows_trending_and_sends_no_view(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, TRENDING)

    assert titles(page, "trending") == [
        item["title"] for item in stage.answer("/v1/trending?limit=3")["items"]
    ]
    assert (stage.calls(), stage.events(visit, 0)) == (["/v1/trending"], [])


def test_a_trending_list_fetched_separately_omits_the_article_of_the_page(stage: Stage, visit: Visit) -> None:
    related = '<div data-recommender="related" data-article="14"></div>'

    page = stage.open(visit, related + TRENDING.replace(">", ' data-query="window=24h">', 1))

    newest = [item["title"] for item in stage.answer("/v1/trending?limit=4")["items"]]
    assert newest[0] == "Storm inquiry opens"
    assert titles(page, "trending") == newest[1:]


def test_an_article_is_identified_by_its_canonical_url(stage: Stage, visit: Visit) -> None:
    head = f'<link rel="canonical" href="{stage.site_origin}/9/?utm_source=mail">'

    page = stage.open(visit, '<div data-recommender="related"></div>', head=head)

    assert len(titles(page, "related")) == 9
    assert stage.events(visit, 1) == [{"article_id": "9", "type": "view"}]


def test_attributes_set_the_limit_the_heading_and_the_filters(stage: Stage, visit: Visit) -> None:
    page = stage.open(
        visit,
        '<div data-recommender="related" data-article="9" data-limit="2" data-heading="Mehr dazu" '
        'data-level="3" data-query="category=politics&amp;max_age_days=30" data-images="none" '
        'data-href="/?p={id}"></div>',
    )

    assert page.get_by_role("heading", name="Mehr dazu", level=3).count() == 1
    query = next(request.query for request in stage.service.requests if request.path == "/v1/related")
    filters = {"category": "politics", "max_age_days": "30"}
    assert query == {"id": "9", "limit": "2", "unknown": "fallback"} | filters
    assert page.locator("img").count() == 0
    links = page.locator("li a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert len(links) == 2
    assert all(link.startswith(f"{stage.site_origin}/?p=") for link in links)


def test_an_unknown_article_gets_recent_articles(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, '<div data-recommender="related" data-article="new"></div>' + TRENDING)

    assert len(titles(page, "related")) == 9
    assert len(titles(page, "trending")) == 3


def test_a_missing_image_is_removed_and_others_are_loaded_lazily(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED)
    page.locator("li").last.scroll_into_view_if_needed()
    page.wait_for_function(
        """() => {
            const images = [...document.querySelectorAll('li img')];
            return images.length === 8 && images.every((image) => image.complete);
        }"""
    )

    pictures = page.locator("li img").evaluate_all(
        "images => images.map((i) => [i.loading, i.alt, i.complete && i.naturalWidth > 0])"
    )
    assert pictures == [["lazy", "", True]] * 8


def test_values_of_a_response_are_never_rendered_as_html(stage: Stage, visit: Visit) -> None:
    hostile = {"id": "1", "title": HOSTILE, "category": HOSTILE, "lang": None, "reading_minutes": 1}
    hostile |= {"published_at": None, "url": f"{stage.site_origin}/1/", "image_url": "javascript:alert(1)"}
    items = [hostile, hostile | {"id": "2", "url": "javascript:alert(2)"}, hostile | {"id": "3", "url": None}]
    answer = json.dumps({"article_id": "9", "model": {"version": "v"}, "items": items})
    headers = {"Access-Control-Allow-Origin": "*"}
    visit.page.route("**/v1/related?*", lambda route: route.fulfill(body=answer, headers=headers))
    alerts: list[str] = []
    visit.page.on("dialog", lambda dialog: alerts.append(dialog.message))

    page = stage.open(visit, RELATED)

    assert titles(page, "related") == [HOSTILE]
    assert page.locator("img").count() == 0
    assert alerts == []


def _refuse(route: "Route") -> None:
    route.fulfill(status=503, headers={"Access-Control-Allow-Origin": "*"}, body="{}")


def _cut(route: "Route") -> None:
    route.abort()


@pytest.mark.parametrize("fail", [_refuse, _cut])
@pytest.mark.parametrize("pattern", ["**/v1/**", "**/widget.js"])
def test_a_page_is_unchanged_if_the_service_is_down(
    stage: Stage, visit: Visit, fail: Any, pattern: str
) -> None:
    visit.page.route(pattern, fail)

    page = stage.open(visit, RELATED.replace("></div>", "><p>Our archive</p></div>") + TRENDING)

    assert page.locator("main").inner_text().split() == ["A", "story", "Our", "archive"]
    assert all("Failed to load resource" in message for message in visit.complaints)


def test_a_page_is_unchanged_if_the_list_is_empty(stage: Stage, visit: Visit) -> None:
    answer = json.dumps({"article_id": "9", "items": []})
    headers = {"Access-Control-Allow-Origin": "*"}
    visit.page.route("**/v1/related?*", lambda route: route.fulfill(body=answer, headers=headers))

    page = stage.open(visit, RELATED.replace("></div>", "><p>Our archive</p></div>"))

    assert page.locator("main").inner_text().split() == ["A", "story", "Our", "archive"]
    assert visit.complaints == []


def test_a_page_can_render_lists_that_it_adds_later(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, "")

    page.evaluate(
        """async (place) => {
          document.querySelector("main").insertAdjacentHTML("beforeend", place);
          await recommender.render();
          await recommender.render();
        }""",
        RELATED,
    )

    assert len(titles(page, "related")) == 9
    assert len(stage.events(visit, 1)) == 1


def test_the_page_of_the_readme_shows_both_lists(stage: Stage, visit: Visit) -> None:
    page = stage.show(visit, template("html").replace("4711", "9").replace(EXAMPLE, stage.service_origin))

    expected = stage.answer("/v1/page?id=9")
    for kind in ("related", "trending"):
        assert titles(page, kind) == [item["title"] for item in expected[kind]["items"]]
        assert titles(page, kind)


def test_right_to_left_pages_have_numbers_and_images_on_the_right(stage: Stage, browser: "Browser") -> None:
    with visiting(browser, viewport={"width": 360, "height": 740}) as visit:
        page = stage.open(visit, RELATED + TRENDING, html='lang="ar" dir="rtl"')

        left_of = "item => item.getBoundingClientRect().left"
        row = page.locator("[data-recommender=related] li").first
        picture = row.locator(".recommender-image").evaluate(left_of)
        assert picture > row.locator(".recommender-text").evaluate(left_of)
        entry = page.locator("[data-recommender=trending] li").first
        text = entry.locator(".recommender-text").bounding_box()
        box = entry.bounding_box()
        assert text
        assert box
        assert text["x"] == box["x"]
        assert text["width"] < box["width"]


def test_the_widget_fits_a_narrow_page(stage: Stage, browser: "Browser") -> None:
    with visiting(browser, viewport={"width": 360, "height": 740}) as visit:
        page = stage.open(
            visit, RELATED + TRENDING, head='<meta name="viewport" content="width=device-width">'
        )

        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("width", "columns"), [("24em", 1), ("36em", 2), ("60em", 3)])
def test_lists_fill_the_rows_of_any_width(stage: Stage, visit: Visit, width: str, columns: int) -> None:
    visit.page.set_viewport_size({"width": 1200, "height": 800})
    page = stage.open(visit, RELATED)

    page.locator("main").evaluate(f"main => {{ main.style.width = '{width}'; }}")

    tops = page.locator("li").evaluate_all("items => items.map((item) => item.getBoundingClientRect().top)")
    rows = [tops.count(top) for top in sorted(set(tops))]
    assert rows == {1: [1] * 9, 2: [1, 2, 2, 2, 2], 3: [3, 3, 3]}[columns]


def test_the_widget_is_accessible_in_light_and_dark_mode(stage: Stage, visit: Visit) -> None:
    page = stage.open(visit, RELATED + TRENDING, head='<meta name="color-scheme" content="light dark">')
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)

        check_accessible(page)


def test_in_dark_mode_the_widget_has_the_colours_of_the_page(stage: Stage, browser: "Browser") -> None:
    with visiting(browser, color_scheme="dark") as visit:
        page = stage.open(visit, RELATED, head='<meta name="color-scheme" content="light dark">')

        colour = "element => getComputedStyle(element).color"
        text = page.locator("h1").evaluate(colour)
        assert text == "rgb(255, 255, 255)"
        assert page.locator("li a").first.evaluate(colour) == text
        assert page.locator("h2").evaluate(colour) == text
