"""The import and the plugin with a real WordPress: `make test-wordpress`."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recommender.training.formats.files import SourceOptions
from recommender.training.formats.wordpress import wordpress_rows
from recommender.training.readers.corpus import read_articles
from tests.support.browsers import running_browser, visiting
from tests.support.sites import EXAMPLE, template
from tests.wordpress.service import SAMPLE, TEXT, Service, recommender, wait_until
from tests.wordpress.site import Site, wordpress

pytestmark = [
    pytest.mark.wordpress,
    pytest.mark.skipif(
        not os.environ.get("RECOMMENDER_TEST_WORDPRESS"), reason="it takes a minute: make test-wordpress"
    ),
]

DATA = os.environ.get("RECOMMENDER_TEST_DATA")


def test_the_import_contains_exactly_the_public_posts(site: Site, archive: Path) -> None:
    imported = {article.id: article for article in read_articles(archive).articles}
    sample = {article.id: article for article in read_articles(SAMPLE / "articles.jsonl").articles}

    assert imported.keys() == sample.keys()
    assert [(post.category, post.published_at, set(post.tags)) for post in imported.values()] == [
        (article.category, article.published_at, set(article.tags)) for article in sample.values()
    ]
    assert "0 new, 0 changed, 0 removed" in recommender("import", "wordpress", site.url, "-o", archive)


def test_changes_by_editors_reach_the_service_within_seconds(site: Site, service: Service) -> None:
    post_id = site.save(title="Sandrigg draws again", content=TEXT, status="draft")["id"]
    time.sleep(0.5)
    assert service.status(post_id) == 404

    site.save(post_id, status="publish")
    wait_until(lambda: str(post_id) in service.related(1001))
    assert service.related(post_id)[0] == "1001"

    site.save(post_id, title="Sandrigg draws once more")
    wait_until(lambda: service.title(post_id) == "Sandrigg draws once more")

    site.trash(post_id)
    wait_until(lambda: service.status(post_id) == 410)
    assert str(post_id) not in service.related(1001)

    site.save(post_id, status="publish")
    wait_until(lambda: str(post_id) in service.related(1001))

    for hidden in ({"status": "private"}, {"status": "publish", "password": "open"}):
        site.save(post_id, **hidden)
        wait_until(lambda: service.status(post_id) == 410)
        site.save(post_id, status="publish", password="")
        wait_until(lambda: service.status(post_id) == 200)

    site.trash(post_id, for_good=True)
    wait_until(lambda: service.status(post_id) == 410)


def test_an_imported_post_that_is_edited_or_trashed_is_updated(site: Site, service: Service) -> None:
    site.save(1002, title="Toll bridge approved, narrowly")
    wait_until(lambda: service.title(1002) == "Toll bridge approved, narrowly")

    site.trash(1003)
    wait_until(lambda: service.status(1003) == 410)


def test_a_scheduled_post_is_sent_once_it_is_public(site: Site, service: Service) -> None:
    due = datetime.now(UTC) + timedelta(days=1)
    post_id = site.save(title="At noon", content=TEXT, status="future", date_gmt=due.isoformat()[:19])["id"]
    time.sleep(0.5)
    assert service.status(post_id) == 404

    site.php("publish.php", str(post_id))

    wait_until(lambda: service.status(post_id) == 200)
    assert str(post_id) in service.related(1001)
    site.trash(post_id, for_good=True)


def test_changes_made_while_the_service_is_stopped_are_sent_later(site: Site, service: Service) -> None:
    trashed = site.save(title="Soon gone", content=TEXT, status="publish")["id"]
    wait_until(lambda: service.status(trashed) == 200)
    service.stop()
    stopped = datetime.now(UTC) - timedelta(seconds=1)
    new = site.save(title="While you were away", content=TEXT, status="publish")["id"]
    site.save(1004, title="Corrected while you were away")
    site.trash(trashed)
    site.trash(1005)
    site.run_cron()

    service.start()
    site.run_cron()

    wait_until(lambda: service.title(new) == "While you were away")
    assert service.title(1004) == "Corrected while you were away"
    assert [service.status(post_id) for post_id in (trashed, 1005)] == [410, 410]
    assert service.changed(stopped) == {str(new), "1004"}
    output = service.reconcile("--modified-after", stopped.isoformat())
    assert output.endswith("0 sent, 2 unchanged, 0 rejected, 0 withdrawn\n")


def test_one_command_reconciles_a_site_without_the_plugin(site: Site, service: Service) -> None:
    time.sleep(1.1)  # WordPress counts in seconds
    site.use_plugin(in_use=False)
    since = datetime.now(UTC) - timedelta(seconds=1)
    new = site.save(title="Without the plugin", content=TEXT, status="publish")["id"]
    site.save(1006, title="Corrected without the plugin")
    site.trash(1007)

    output = service.reconcile("--modified-after", since.isoformat())

    site.use_plugin()
    assert output.endswith("2 sent, 0 unchanged, 0 rejected, 1 withdrawn\n")
    assert service.title(1006) == "Corrected without the plugin"
    assert service.status(1007) == 410
    assert service.changed(since) >= {str(new), "1006"}


def test_the_plugin_sends_the_same_fields_as_an_import(site: Site, service: Service) -> None:
    time.sleep(1.1)  # WordPress counts in seconds
    since = datetime.now(UTC) - timedelta(seconds=1)
    text = "<!-- wp:paragraph --><p>Ferry’s “last” trip &amp; more.</p><!-- /wp:paragraph -->\n\n[gallery]"
    title = "Ferry's last trip -- & <em>more</em>"
    post_id = site.save(title=title, content=text, status="publish", tags=[site.tag("harbour & sea")])["id"]
    wait_until(lambda: service.status(post_id) == 200)

    output = service.reconcile("--modified-after", since.isoformat())

    assert output.endswith("0 sent, 1 unchanged, 0 rejected, 0 withdrawn\n")


def test_renaming_a_category_tag_or_author_updates_the_posts(site: Site, service: Service) -> None:
    politics = next(term for term in site.terms("categories") if term["name"] == "Politics")
    before = service.facts(1001)

    site.rename(f"categories/{politics['id']}", "Power & People")
    wait_until(lambda: service.facts(1001)["category"] == "Power & People")
    site.rename("users/1", "Jane Doe")
    wait_until(lambda: service.facts(1001)["authors"] == ["Jane Doe"])
    tag = next(term for term in site.terms("tags") if term["name"] in before["tags"])
    site.rename(f"tags/{tag['id']}?force=true", None)
    wait_until(lambda: tag["name"] not in service.facts(1001)["tags"])


def test_a_post_that_cannot_be_sent_does_not_delay_others(site: Site, service: Service) -> None:
    long = site.save(title="Far too long", content="word " * 300_000, status="publish")["id"]
    short = site.save(title="Short enough", content=TEXT, status="publish")["id"]

    wait_until(lambda: service.title(short) == "Short enough")
    assert service.status(long) == 404
    assert f"recommender: post {long}, status 413" in site.log.read_text()


def test_a_post_shows_the_widget(site: Site, service: Service) -> None:
    """If RECOMMENDER_SCREENSHOT is set, a screenshot is saved to that file."""
    site.use_snippet(template("php").replace(EXAMPLE, service.address))
    post_id = site.save(title="Sandrigg draws again", content=TEXT, status="publish")["id"]
    wait_until(lambda: service.status(post_id) == 200)

    with running_browser() as browser, visiting(browser, viewport={"width": 900, "height": 1100}) as visit:
        visit.page.goto(f"{site.url}/?p={post_id}")
        items = visit.page.locator("[data-recommender] a")
        items.first.wait_for()
        shown = items.all_inner_texts()
        if path := os.environ.get("RECOMMENDER_SCREENSHOT"):
            visit.page.screenshot(path=path, full_page=True)
        complaints = [message for message in visit.complaints if "favicon" not in message]

    assert "Sandrigg draws names from a lobster pot for beach huts" in " ".join(shown)
    assert complaints == []


@pytest.mark.skipif(DATA is None, reason="needs RECOMMENDER_TEST_DATA")
@pytest.mark.parametrize("name", ["my-daily-news.xml", "kuesters.net.xml"])
def test_a_rest_import_equals_the_export(tmp_path: Path, name: str) -> None:
    export = Path(str(DATA)) / "wxr" / name
    exported = {article.id: article for article in read_articles(export).articles}
    with wordpress(tmp_path / "wordpress") as site:
        site.fill(row.values for row in wordpress_rows(export, SourceOptions()) if row.values)
        recommender("import", "wordpress", site.url, "-o", tmp_path / "posts.jsonl")

    imported = {article.id: article for article in read_articles(tmp_path / "posts.jsonl").articles}

    assert imported.keys() == exported.keys()
    for article_id, article in imported.items():
        original = exported[article_id]
        assert article.published_at == original.published_at
        assert set(article.categories) == set(original.categories)
