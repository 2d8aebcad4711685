"""A real WordPress, from its archive to what its editors do all day: `make test-wordpress`."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from recommender.serving.http.auth import new_key
from recommender.training.readers.corpus import read_articles
from recommender.training.readers.wordpress import wordpress_rows
from tests.support.browsers import running_browser, visiting
from tests.support.cli import in_a_process
from tests.support.servers import ROOT, serving
from tests.support.sites import EXAMPLE, template
from tests.wordpress.site import Site, wordpress

pytestmark = [
    pytest.mark.wordpress,
    pytest.mark.skipif(
        not os.environ.get("RECOMMENDER_TEST_WORDPRESS"), reason="it takes a minute: make test-wordpress"
    ),
]

SAMPLE = Path(str(files("recommender") / "sample"))
DATA = os.environ.get("RECOMMENDER_TEST_DATA")
SECONDS = 5.0  # in which a worker knows what an editor did
KEY, SETTING = new_key("wordpress", ["articles"])
TEXT = "<p>The lobster pot draw for the beach huts of Sandrigg will be held again, the town council said.</p>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with wordpress(tmp_path_factory.mktemp("wordpress")) as running:
        yield running


@pytest.fixture(scope="module")
def archive(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, published in WordPress by PHP among what is not public, then imported over REST."""
    sample = [json.loads(line) for line in (SAMPLE / "articles.jsonl").read_text("utf-8").splitlines()]
    hidden = [
        {"id": 9001, "title": "A draft", "body": TEXT, "status": "draft"},
        {"id": 9002, "title": "Private", "body": TEXT, "status": "private"},
        {"id": 9003, "title": "For members", "body": TEXT, "post_password": "open"},
        {"id": 9004, "title": "To come", "body": TEXT, "published_at": "2040-01-01T00:00:00Z"},
        {"id": 9005, "title": "Thrown away", "body": TEXT, "status": "trash"},
        {"id": 9006, "title": "Waiting", "body": TEXT, "status": "pending"},
    ]
    site.fill(sample + hidden)
    path = tmp_path_factory.mktemp("archive") / "posts.jsonl"
    recommender("import", "wordpress", site.url, "-o", path)
    return path


@pytest.fixture(scope="module")
def models_dir(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    recommender("train", archive, "--models-dir", folder, "--recipe", SAMPLE / "recipe.toml")
    return folder


@pytest.fixture(scope="module")
def service(site: Site, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Service"]:
    """A running service; only the plugin of the site tells it anything."""
    made = Service(site, models_dir, tmp_path_factory.mktemp("service"))
    site.use_plugin()
    made.start()
    yield made
    made.stop()


class Service:
    """`recommender serve`, which may stop and begin again on its database."""

    def __init__(self, site: Site, models_dir: Path, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.settings: dict[str, Any] = {
            "models_dir": models_dir,
            "write_keys": SETTING,
            "database_url": f"sqlite:///{folder / 'live.db'}",
            "state_file": folder / "state.json",
        }
        (folder / "key").write_text(KEY)

    def start(self) -> None:
        """Let it run, and tell the site where."""
        self._running = ExitStack()
        self.server = self._running.enter_context(serving(self.folder / "serve.log", **self.settings))
        self.site.tell(self.address, KEY)

    def stop(self) -> None:
        """Let it end; its database stays."""
        self._running.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def status(self, post_id: int) -> int:
        return int(self._ask(f"/v1/articles/{post_id}").status)

    def title(self, post_id: int) -> Any:
        answer = self._ask(f"/v1/articles/{post_id}")
        return answer.body["title"] if answer.status == 200 else None

    def facts(self, post_id: int) -> Any:
        return self._ask(f"/v1/articles/{post_id}").body

    def related(self, post_id: int) -> list[str]:
        answer = self._ask(f"/v1/articles/{post_id}/related?limit=50")
        return [item["id"] for item in answer.body["items"]]

    def changed(self, since: datetime) -> set[str]:
        query = urlencode({"updated_after": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "limit": 50})
        return {item["id"] for item in self._ask(f"/v1/articles?{query}").body["items"]}

    def reconcile(self, *arguments: object) -> str:
        given = ["--to", self.address, "--key-file", self.folder / "key", *arguments]
        return recommender("import", "wordpress", self.site.url, *given)

    def _ask(self, target: str) -> Any:
        return self.server.ask("GET", target)


def recommender(*arguments: object) -> str:
    """Run the command as an operator does."""
    done = in_a_process(sys.executable, "-m", "recommender", *arguments, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def soon(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)


def test_the_archive_holds_what_everybody_may_read(site: Site, archive: Path) -> None:
    found = {article.id: article for article in read_articles(archive).articles}
    sample = {article.id: article for article in read_articles(SAMPLE / "articles.jsonl").articles}

    assert found.keys() == sample.keys()
    assert [(each.category, each.published_at, set(each.tags)) for each in found.values()] == [
        (each.category, each.published_at, set(each.tags)) for each in sample.values()
    ]
    assert "0 new, 0 changed, 0 gone" in recommender("import", "wordpress", site.url, "-o", archive)


def test_what_editors_do_is_known_within_seconds(site: Site, service: Service) -> None:
    post_id = site.save(title="Sandrigg draws again", content=TEXT, status="draft")["id"]
    time.sleep(0.5)
    assert service.status(post_id) == 404

    site.save(post_id, status="publish")
    soon(lambda: str(post_id) in service.related(1001))
    assert service.related(post_id)[0] == "1001"

    site.save(post_id, title="Sandrigg draws once more")
    soon(lambda: service.title(post_id) == "Sandrigg draws once more")

    site.trash(post_id)
    soon(lambda: service.status(post_id) == 410)
    assert str(post_id) not in service.related(1001)

    site.save(post_id, status="publish")
    soon(lambda: str(post_id) in service.related(1001))

    for hidden in ({"status": "private"}, {"status": "publish", "password": "open"}):
        site.save(post_id, **hidden)
        soon(lambda: service.status(post_id) == 410)
        site.save(post_id, status="publish", password="")
        soon(lambda: service.status(post_id) == 200)

    site.trash(post_id, for_good=True)
    soon(lambda: service.status(post_id) == 410)


def test_a_post_of_the_archive_that_is_edited_or_trashed_is_known(site: Site, service: Service) -> None:
    site.save(1002, title="Toll bridge approved, narrowly")
    soon(lambda: service.title(1002) == "Toll bridge approved, narrowly")

    site.trash(1003)
    soon(lambda: service.status(1003) == 410)


def test_a_post_that_was_scheduled_is_known_once_it_is_public(site: Site, service: Service) -> None:
    due = datetime.now(UTC) + timedelta(days=1)
    post_id = site.save(title="At noon", content=TEXT, status="future", date_gmt=due.isoformat()[:19])["id"]
    time.sleep(0.5)
    assert service.status(post_id) == 404

    site.php("publish.php", str(post_id))

    soon(lambda: service.status(post_id) == 200)
    assert str(post_id) in service.related(1001)
    site.trash(post_id, for_good=True)


def test_what_happens_while_the_service_is_stopped_is_sent_afterwards(site: Site, service: Service) -> None:
    gone = site.save(title="Soon gone", content=TEXT, status="publish")["id"]
    soon(lambda: service.status(gone) == 200)
    service.stop()
    stopped = datetime.now(UTC) - timedelta(seconds=1)
    new = site.save(title="While you were away", content=TEXT, status="publish")["id"]
    site.save(1004, title="Corrected while you were away")
    site.trash(gone)
    site.trash(1005)
    site.minute()

    service.start()
    site.minute()

    soon(lambda: service.title(new) == "While you were away")
    assert service.title(1004) == "Corrected while you were away"
    assert [service.status(post_id) for post_id in (gone, 1005)] == [410, 410]
    assert service.changed(stopped) == {str(new), "1004"}
    told = service.reconcile("--modified-after", stopped.isoformat())
    assert told.endswith("0 sent, 2 unchanged, 0 rejected, 0 withdrawn\n")


def test_without_the_plugin_one_command_reconciles(site: Site, service: Service) -> None:
    time.sleep(1.1)  # WordPress counts in seconds
    site.use_plugin(in_use=False)
    since = datetime.now(UTC) - timedelta(seconds=1)
    new = site.save(title="Nobody told", content=TEXT, status="publish")["id"]
    site.save(1006, title="Corrected, nobody told")
    site.trash(1007)

    told = service.reconcile("--modified-after", since.isoformat())

    site.use_plugin()
    assert told.endswith("2 sent, 0 unchanged, 0 rejected, 1 withdrawn\n")
    assert service.title(1006) == "Corrected, nobody told"
    assert service.status(1007) == 410
    assert service.changed(since) >= {str(new), "1006"}


def test_what_the_plugin_told_is_what_an_import_tells(site: Site, service: Service) -> None:
    time.sleep(1.1)  # WordPress counts in seconds
    since = datetime.now(UTC) - timedelta(seconds=1)
    text = "<!-- wp:paragraph --><p>Ferry’s “last” trip &amp; more.</p><!-- /wp:paragraph -->\n\n[gallery]"
    title = "Ferry's last trip -- & <em>more</em>"
    post_id = site.save(title=title, content=text, status="publish", tags=[site.tag("harbour & sea")])["id"]
    soon(lambda: service.status(post_id) == 200)

    told = service.reconcile("--modified-after", since.isoformat())

    assert told.endswith("0 sent, 1 unchanged, 0 rejected, 0 withdrawn\n")


def test_new_names_of_sections_tags_and_authors_reach_their_posts(site: Site, service: Service) -> None:
    politics = next(term for term in site.terms("categories") if term["name"] == "Politics")
    before = service.facts(1001)

    site.rename(f"categories/{politics['id']}", "Power & People")
    soon(lambda: service.facts(1001)["category"] == "Power & People")
    site.rename("users/1", "Jane Doe")
    soon(lambda: service.facts(1001)["authors"] == ["Jane Doe"])
    tag = next(term for term in site.terms("tags") if term["name"] in before["tags"])
    site.rename(f"tags/{tag['id']}?force=true", None)
    soon(lambda: tag["name"] not in service.facts(1001)["tags"])


def test_a_post_that_cannot_be_sent_holds_up_no_other(site: Site, service: Service) -> None:
    long = site.save(title="Far too long", content="word " * 300_000, status="publish")["id"]
    short = site.save(title="Short enough", content=TEXT, status="publish")["id"]

    soon(lambda: service.title(short) == "Short enough")
    assert service.status(long) == 404
    assert f"recommender: post {long}, status 413" in site.log.read_text()


def test_the_widget_stands_under_a_post(site: Site, service: Service) -> None:
    """With RECOMMENDER_SCREENSHOT=FILE an image of the page is kept."""
    site.use_snippet(template("php").replace(EXAMPLE, service.address))
    post_id = site.save(title="Sandrigg draws again", content=TEXT, status="publish")["id"]
    soon(lambda: service.status(post_id) == 200)

    with running_browser() as browser, visiting(browser, viewport={"width": 900, "height": 1100}) as visit:
        visit.page.goto(f"{site.url}/?p={post_id}")
        items = visit.page.locator("[data-recommender] a")
        items.first.wait_for()
        shown = items.all_inner_texts()
        if path := os.environ.get("RECOMMENDER_SCREENSHOT"):
            visit.page.screenshot(path=path, full_page=True)
        complaints = [told for told in visit.complaints if "favicon" not in told]

    assert "Sandrigg draws names from a lobster pot for beach huts" in " ".join(shown)
    assert complaints == []


@pytest.mark.skipif(DATA is None, reason="needs RECOMMENDER_TEST_DATA")
@pytest.mark.parametrize("name", ["my-daily-news.xml", "kuesters.net.xml"])
def test_an_export_comes_back_over_rest(tmp_path: Path, name: str) -> None:
    export = Path(str(DATA)) / "wxr" / name
    exported = {article.id: article for article in read_articles(export).articles}
    with wordpress(tmp_path / "wordpress") as site:
        site.fill(row.values for row in wordpress_rows(export) if row.values)
        recommender("import", "wordpress", site.url, "-o", tmp_path / "posts.jsonl")

    found = {article.id: article for article in read_articles(tmp_path / "posts.jsonl").articles}

    assert found.keys() == exported.keys()
    for article_id, article in found.items():
        was = exported[article_id]
        assert article.published_at == was.published_at
        assert set(article.categories) == set(was.categories)
