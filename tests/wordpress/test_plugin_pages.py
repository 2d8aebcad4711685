"""What editors and readers see of the plugin: its settings page, its block and its lists.

If RECOMMENDER_SCREENSHOTS is set, pictures of the page and the block are saved in that folder.
"""

import os
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from recommender.serving.http.auth import new_key
from tests.support.browsers import Visit, running_browser, visiting
from tests.wordpress.service import KEY, TEXT, Service, wait_until
from tests.wordpress.site import PASSWORD, Site

pytestmark = [
    pytest.mark.wordpress,
    pytest.mark.skipif(
        not os.environ.get("RECOMMENDER_TEST_WORDPRESS"), reason="it takes a minute: make test-wordpress"
    ),
]

_, READ_SETTING = new_key("reader", ["read"])
PAGE = "/wp-admin/options-general.php?page=recommender"
STORY = 1001
SHORTCODES = '[recommender limit="3"] [recommender list="trending" limit="4" title="Most <b>read"]'
# Wraps every string of the plugin that can be translated.
PSEUDO_TRANSLATION = """
add_filter('gettext_recommender', function ($text) { return "«{$text}»"; });
add_filter('ngettext_recommender', function ($text) { return "«{$text}»"; });
"""


@pytest.fixture(scope="module")
def service(site: Site, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service where reading needs a key."""
    service = Service(site, models_dir, tmp_path_factory.mktemp("service"), read_keys=READ_SETTING)
    site.use_plugin()
    service.start()
    yield service
    service.stop()


@pytest.fixture
def admin(site: Site, service: Service) -> Iterator[Visit]:
    """The browser of an administrator; the settings are not in wp-config.php."""
    site.configure(None)
    with running_browser() as browser, visiting(browser, viewport={"width": 1280, "height": 900}) as visit:
        log_in(visit, site, "editor")
        yield visit
    site.configure(service.address, KEY)


def log_in(visit: Visit, site: Site, name: str) -> None:
    visit.page.goto(f"{site.url}/wp-login.php")
    visit.page.fill("#user_login", name)
    visit.page.fill("#user_pass", PASSWORD)
    visit.page.click("#wp-submit")
    visit.page.wait_for_url("**/wp-admin/**")


def fill_in(visit: Visit, site: Site, address: str, key: str) -> None:
    visit.page.goto(f"{site.url}{PAGE}")
    visit.page.fill("#recommender-url", address)
    visit.page.fill("#recommender-key", key)
    visit.page.click("text=Save >> visible=true")
    visit.page.wait_for_load_state()


def result_of(visit: Visit, button: str) -> str:
    """Click a button of the settings page, and return what the page says afterwards."""
    visit.page.click(f"#{button}")
    visit.page.wait_for_load_state()
    return visit.page.locator(".wrap .notice").first.inner_text()


def save_picture(visit: Visit, name: str) -> None:
    if folder := os.environ.get("RECOMMENDER_SCREENSHOTS"):
        visit.page.screenshot(path=Path(folder) / f"{name}.png")


def links_in(html: str, heading: str) -> list[str]:
    """Return the titles of a list under a heading."""
    section = html.partition(f"<h2>{heading}</h2>")[2].partition("</section>")[0]
    return [unescape(title) for title in re.findall(r"<li><a href=\"http[^\"]+\">([^<]+)</a></li>", section)]


def test_an_administrator_saves_and_tests_the_connection(site: Site, service: Service, admin: Visit) -> None:
    page = admin.page
    page.goto(f"{site.url}{PAGE}")
    assert page.is_disabled("#recommender_test")

    fill_in(admin, site, service.address, "not the key")
    assert "contains a character that no key has" in page.inner_text(".wrap")
    fill_in(admin, site, "javascript:alert(1)", "wrong-key")
    assert page.input_value("#recommender-url") == service.address
    fill_in(admin, site, service.address, "wrong-key")
    assert "The key may not read" in result_of(admin, "recommender_test")
    fill_in(admin, site, "http://127.0.0.1:1", KEY)
    assert "The service does not respond" in result_of(admin, "recommender_test")
    fill_in(admin, site, service.address, "")  # keeps the key
    assert result_of(admin, "recommender_test") == "The service responds, and the key may send posts."
    save_picture(admin, "wordpress-settings")
    assert KEY not in page.content()

    post_id = site.save(title="By settings", content=TEXT, status="publish")["id"]
    wait_until(lambda: service.title_with_key(post_id) == "By settings")
    assert "0 posts wait to be sent" in result_of(admin, "recommender_send")
    site.trash(post_id, for_good=True)


def test_every_text_of_the_settings_page_can_be_translated(site: Site, admin: Visit) -> None:
    site.use_snippet(PSEUDO_TRANSLATION)
    admin.page.goto(f"{site.url}{PAGE}")

    texts = admin.page.evaluate("""() => [
        ...[...document.querySelectorAll('.wrap :is(h1, h2, th, p, button)')].map(node => node.innerText),
        ...[...document.querySelectorAll('.wrap [type=submit]')].map(node => node.value),
    ]""")

    site.use_snippet("")
    assert len(texts) > 10
    assert [text for text in texts if text.strip() and "«" not in text] == []


def test_only_administrators_with_a_nonce_may_act(site: Site, admin: Visit) -> None:
    for action in ("recommender_test", "recommender_send"):
        response = admin.page.request.post(f"{site.url}/wp-admin/admin-post.php", form={"action": action})
        assert response.status == 403

    author = {"username": "author", "password": PASSWORD, "email": "a@courier.example", "roles": ["author"]}
    assert site.editor.post(f"{site.url}/wp-json/wp/v2/users", json=author).is_success
    browser = admin.context.browser
    assert browser is not None
    with visiting(browser) as visit:
        log_in(visit, site, "author")
        assert visit.page.request.get(f"{site.url}{PAGE}").status == 403
        address = f"{site.url}/wp-admin/admin-post.php"
        assert visit.page.request.post(address, form={"action": "recommender_test"}).status == 403


def test_lists_are_rendered_with_a_key_and_without_the_service(site: Site, service: Service) -> None:
    post_id = site.save(STORY, content=TEXT + SHORTCODES)["id"]
    block = '<!-- wp:recommender/list {"limit":2,"title":"By a block"} /-->'
    other_id = site.save(title="With a block", content=TEXT + block, status="publish")["id"]
    wait_until(lambda: service.title_with_key(other_id) == "With a block")

    html = site.get(f"/?p={post_id}")
    related = links_in(html, "Related")

    assert len(related) == 3
    assert len(links_in(html, "Most &lt;b&gt;read")) == 4
    assert len(links_in(site.get(f"/?p={other_id}"), "By a block")) == 2
    assert KEY not in html
    for text in (site.rendered(other_id), service.stored(other_id), site.get("/feed/")):
        assert "beach huts of Sandrigg will be held again" in text
        assert "recommender-list" not in text

    service.stop()
    assert links_in(site.get(f"/?p={post_id}"), "Related") == related
    gone = site.post_id(related[0])
    site.trash(gone)
    assert links_in(site.get(f"/?p={post_id}"), "Related") == related[1:]
    site.expire_lists()
    assert links_in(site.get(f"/?p={post_id}"), "Related") == related[1:]
    service.start()
    site.expire_lists()
    site.save(gone, status="publish")
    assert links_in(site.get(f"/?p={post_id}"), "Related") == related


def test_the_block_shows_a_preview_in_the_editor(site: Site, service: Service, admin: Visit) -> None:
    fill_in(admin, site, service.address, KEY)
    page = admin.page
    page.goto(f"{site.url}/wp-admin/post.php?post={STORY}&action=edit")
    page.wait_for_function("() => window.wp?.blocks?.getBlockType('recommender/list')")

    page.evaluate("""() => {
        wp.data.dispatch('core/edit-post').toggleFeature('welcomeGuide');
        const block = wp.blocks.createBlock('recommender/list', {limit: 4, title: 'Read on'});
        wp.data.dispatch('core/block-editor').insertBlocks(block, 0);
    }""")
    items = page.locator(".recommender-list li")
    items.first.wait_for()

    assert items.count() == 4
    assert page.locator(".recommender-list h2").inner_text() == "Read on"
    page.locator("text=Related to this post").first.wait_for(state="attached")
    save_picture(admin, "wordpress-block")


def test_a_plugin_that_is_deleted_leaves_nothing_behind(site: Site, admin: Visit) -> None:
    fill_in(admin, site, "http://127.0.0.1:1", KEY)
    site.save(title="In the queue", content=TEXT, status="publish")

    assert site.php("plugin.php", "uninstall") == ""
