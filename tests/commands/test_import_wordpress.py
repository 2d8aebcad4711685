"""`recommender import wordpress` into a file: all posts, then changes; atomically."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from click.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from recommender.cli import cli
from tests.support.fake_wordpress import FakeWordPress
from tests.support.sites import listening

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def site() -> Iterator[FakeWordPress]:
    fake = FakeWordPress()
    with listening(fake) as fake.url:
        for post_id in range(1, 4):
            fake.add(post_id)
        yield fake


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "posts.jsonl"


def imported(site: FakeWordPress, *arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", "wordpress", f"{site.url}/", *map(str, arguments)])


def lines(path: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in rows}) == len(rows)
    return {line["id"]: line for line in rows}


def test_an_imported_post_equals_the_exported_one(site: FakeWordPress, path: Path) -> None:
    site.terms = {"categories": {7: "Politics", 8: "Economy &amp; Business"}, "tags": {5: "harbour"}}
    site.posts.clear()
    trail = {"@type": "BreadcrumbList", "itemListElement": [{"name": "Home"}, {"name": "Politics"}]}
    site.add(
        4711,
        title={"rendered": "Ferry&#8217;s <em>last</em> trip"},
        categories=[7, 8],
        tags=[5],
        yoast_head_json={"schema": {"@graph": [{"@type": "WebPage"}, trail]}},
        _embedded={
            "author": [{"name": "Jane Doe"}],
            "wp:featuredmedia": [{"source_url": "https://courier.example/ferry.jpg"}],
            "wp:term": [[{"id": 7, "name": "Politics"}], []],
        },
    )  # fmt: skip

    done = imported(site, "-o", path)

    assert done.stdout == f"1 posts: 1 new, 0 changed, 0 removed, in {path}\n"
    assert lines(path)["4711"] == {
        "id": "4711",
        "title": "Ferry’s last trip",
        "body": "What happened, number 4711.",
        "url": f"{site.url}/4711/",
        "category": "Politics",
        "categories": ["Politics", "Economy & Business"],
        "tags": ["harbour"],
        "authors": ["Jane Doe"],
        "type": "post",
        "published_at": "2026-02-01T09:00:00+00:00",
        "updated_at": "2026-02-01T10:00:00+00:00",
        "lang": "en",
        "image_url": "https://courier.example/ferry.jpg",
    }
    assert site.queries("/wp-json/wp/v2/categories") == [
        {"include": "8", "per_page": "100", "_fields": "id,name"}
    ]


@pytest.mark.parametrize(
    ("fields", "lang"),
    [
        ({"lang": "fr"}, "fr"),
        ({"lang": "zh-hant"}, "zh-Hant"),
        ({"wpml_current_locale": "pt_BR"}, "pt"),
        ({"locale": "nb_NO"}, "no"),
        ({"lang": [3], "language": [12]}, "en"),
    ],
)
def test_a_post_has_the_language_that_its_plugin_states(
    site: FakeWordPress, path: Path, fields: dict[str, Any], lang: str
) -> None:
    site.posts.clear()
    site.add(1, **fields)

    imported(site, "-o", path)

    assert lines(path)["1"]["lang"] == lang
    assert {"lang", "locale", "wpml_current_locale"} <= set(site.queries()[-1]["_fields"].split(","))


def test_hundreds_of_posts_are_read_page_by_page_without_duplicates(site: FakeWordPress, path: Path) -> None:
    for post_id in range(4, 260):
        site.add(post_id)

    imported(site, "-o", path)

    assert list(lines(path)) == [str(post_id) for post_id in range(1, 260)]


@pytest.mark.parametrize("gone", [{50, 51, 52}, set(range(60, 101))])
def test_posts_trashed_between_two_pages_do_not_hide_others(
    site: FakeWordPress, path: Path, gone: set[int]
) -> None:
    for post_id in range(4, 260):
        site.add(post_id)

    def trash_after_the_first_page(request: Request) -> None:
        if request.args.get("offset") == "99":
            site.posts = {post_id: post for post_id, post in site.posts.items() if post_id not in gone}

    site.spoil = trash_after_the_first_page
    imported(site, "-o", path)

    assert lines(path).keys() == {str(post_id) for post_id in range(1, 260) if post_id not in gone}


def test_posts_with_a_password_are_not_read(site: FakeWordPress, path: Path) -> None:
    site.posts[2]["content"] = {"rendered": "", "protected": True}

    def protect_once_listed(request: Request) -> None:
        if "include" in request.args:
            site.posts[3]["content"] = {"rendered": "", "protected": True}

    site.spoil = protect_once_listed
    imported(site, "-o", path)

    assert lines(path).keys() == {"1"}


def test_an_existing_file_is_updated(site: FakeWordPress, path: Path) -> None:
    imported(site, "-o", path)
    site.add(2, title={"rendered": "Corrected"}, modified_gmt="2026-02-02T10:00:00")
    site.add(4, date_gmt="2026-02-03T09:00:00", modified_gmt="2026-01-01T09:00:00")  # it was scheduled
    del site.posts[1]
    site.asked.clear()

    done = imported(site, "-o", path)

    assert done.stdout == f"3 posts: 1 new, 1 changed, 1 removed, in {path}\n"
    assert {article_id: line["title"] for article_id, line in lines(path).items()} == {
        "3": "Story 3",
        "2": "Corrected",
        "4": "Story 4",
    }
    assert [query["include"] for query in site.queries() if "include" in query] == ["2,4"]


def test_an_interrupted_import_continues(site: FakeWordPress, path: Path) -> None:
    for post_id in range(4, 260):
        site.add(post_id)
    site.spoil = lambda request: Response(status=403) if "259" in request.args.get("include", "") else None
    failed = imported(site, "-o", path)
    partial = path.with_name("posts.jsonl.partial")
    with partial.open("a") as file:
        file.write('{"id": "201", "title": "torn')
    site.spoil = lambda _: None
    site.asked.clear()

    done = imported(site, "-o", path)

    assert failed.exit_code == 1
    assert done.stdout == f"259 posts: 200 read before; 259 new, 0 changed, 0 removed, in {path}\n"
    assert lines(path).keys() == {str(post_id) for post_id in range(1, 260)}
    assert len([query for query in site.queries() if "include" in query]) == 1
    assert not partial.exists()


def test_only_posts_changed_since_a_date_are_requested(site: FakeWordPress, path: Path) -> None:
    site.add(2, modified_gmt="2026-02-05T00:00:00")
    site.add(3, date_gmt="2026-02-06T00:00:00")

    imported(site, "-o", path, "--modified-after", "2026-02-04T12:00:00-05:00")
    first = lines(path).keys()
    site.add(3, date_gmt="2026-02-06T00:00:00", modified_gmt="2026-02-08T00:00:00")
    done = imported(site, "-o", path, "--modified-after", "2026-02-07")

    assert first == {"2", "3"}
    assert done.stdout == f"1 posts: 0 new, 1 changed, 0 removed, in {path}\n"
    assert lines(path).keys() == {"2", "3"}
    asked = [query["modified_after"] for query in site.queries() if "modified_after" in query]
    assert asked == ["2026-02-04T17:00:00Z", "2026-02-07T00:00:00Z"]


def test_fewer_posts_are_requested_from_a_failing_site(site: FakeWordPress, path: Path) -> None:
    for post_id in range(4, 60):
        site.add(post_id)

    def spoil(request: Request) -> Response | None:
        many = int(request.args.get("per_page", 0)) > 25
        return (
            Response("Allowed memory size exhausted", 500)
            if many or request.args.get("include") == "3"
            else None
        )

    site.spoil = spoil
    done = imported(site, "-o", path)

    assert done.exit_code == 0
    assert lines(path).keys() == {str(post_id) for post_id in range(1, 60)}


def test_a_post_that_breaks_the_site_is_rejected_and_reported(site: FakeWordPress, path: Path) -> None:
    def spoil(request: Request) -> Response | None:
        return Response(status=500) if "2" in request.args.get("include", "").split(",") else None

    for post_id in range(4, 100):
        site.add(post_id)
    site.spoil = spoil
    done = imported(site, "-o", path)

    assert lines(path).keys() == {str(post_id) for post_id in range(1, 100) if post_id != 2}
    assert "rejected: 2: unreadable post" in done.stderr


def test_a_retry_after_header_is_honoured(site: FakeWordPress, path: Path) -> None:
    answers = iter([Response(status=429, headers={"Retry-After": "7"}), Response(status=503)])
    site.spoil = lambda request: next(answers, None) if request.path.endswith("/posts") else None

    done = imported(site, "-o", path)

    assert len(lines(path)) == 3
    assert "returned status 429; it requires a wait of 7 seconds" in done.stderr


def test_a_retry_after_of_hours_ends_the_import(site: FakeWordPress, path: Path) -> None:
    site.spoil = lambda request: (
        Response(status=429, headers={"Retry-After": "7200"}) if request.path.endswith("/posts") else None
    )

    done = imported(site, "-o", path)

    assert done.exit_code == 1
    assert "it requires a wait of 7,200 seconds" in str(done.exception)
    assert len(site.queries()) == 1


def test_a_site_that_is_not_wordpress_is_rejected(site: FakeWordPress, path: Path) -> None:
    site.spoil = lambda _: Response("<html><head></head></html>", content_type="text/html")

    done = imported(site, "-o", path)

    assert "has no link to a WordPress REST API" in str(done.exception)


@pytest.mark.parametrize("page", [Response("<html></html>", content_type="text/html"), Response(status=403)])
def test_an_api_without_a_link_is_found_at_its_default_address(
    site: FakeWordPress, path: Path, page: Response
) -> None:
    site.spoil = lambda request: page if request.path == "/" else None

    assert imported(site, "-o", path).exit_code == 0
    assert lines(path).keys() == {"1", "2", "3"}


def test_the_api_is_found_by_the_link_in_a_page_without_pretty_permalinks(
    site: FakeWordPress, path: Path
) -> None:
    def spoil(request: Request) -> Response | None:
        if "rest_route" in request.args:
            request.environ["PATH_INFO"] = "/wp-json" + request.args["rest_route"]
            site.asked.pop()
            return Response.from_app(site, request.environ) if request.path == "/" else None
        head = f'<link rel="https://api.w.org/" href="{site.url}/?rest_route=/">'
        return Response(f"<head>{head}</head>", content_type="text/html") if request.path == "/" else None

    site.spoil = spoil

    assert imported(site, "-o", path).exit_code == 0


def test_an_empty_site_does_not_empty_the_file(site: FakeWordPress, path: Path) -> None:
    for post_id in range(4, 20):
        site.add(post_id)
    imported(site, "-o", path)
    site.posts = {1: site.posts[1]}

    done = imported(site, "-o", path)

    assert "18 of the 19 articles" in done.output
    assert len(lines(path)) == 19


def test_a_post_that_becomes_password_protected_is_removed_from_the_file(
    site: FakeWordPress, path: Path
) -> None:
    imported(site, "-o", path)
    site.add(2, modified_gmt="2026-02-05T00:00:00", content={"rendered": "", "protected": True})

    done = imported(site, "-o", path, "--modified-after", "2026-02-04")

    assert done.stdout == f"0 posts: 0 new, 0 changed, 1 removed, in {path}\n"
    assert lines(path).keys() == {"1", "3"}


def test_a_closed_site_is_read_with_the_login_file(site: FakeWordPress, path: Path, tmp_path: Path) -> None:
    def closed(request: Request) -> Response | None:
        said = request.authorization
        known = said is not None and (said.username, said.password) == ("editor", "abcd efgh")
        return None if known else Response('{"message": "closed"}', 401)

    site.spoil = closed
    (tmp_path / "login").write_text("editor:abcd efgh\n")

    assert "401 ('closed')" in str(imported(site, "-o", path).exception)
    assert imported(site, "-o", path, "--login-file", tmp_path / "login").exit_code == 0
