"""`recommender import feed`: RSS and Atom entries, kept after they leave the feed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.wrappers import Request, Response

from recommender.cli import cli
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.sites import listening

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"><channel>
<title>The Courier</title><language>en-GB</language>
<item><title>Ferry &amp;amp; harbour: 3 &lt; 4</title><link>/ferry?utm_source=rss</link>
<guid isPermaLink="false">courier-4711</guid><pubDate>Sun, 01 Feb 2026 10:00:00 +0100</pubDate>
<dc:creator>Jane Doe</dc:creator><category>Economy</category><category>harbour</category>
<description>In short.</description>
<content:encoded><![CDATA[<p>All of <b>it</b>.</p><script>alert(1)</script>]]>
</content:encoded><media:thumbnail url="/ferry.jpg"/></item>
<item><title>Without a guid</title><link>https://courier.example/b</link></item>
</channel></rss>"""

ATOM = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de">
<title>Kurier</title>{next}
<entry><id>tag:kurier.example,2026:{number}</id><title type="text">a &lt;b&gt; c</title>
<link href="https://kurier.example/{number}"/><link rel="enclosure" type="image/png" href="https://k.example/i.png"/>
<published>2026-02-01T09:00:00Z</published><updated>2026-02-02T09:00:00Z</updated>
<category term="politik" label="Politik"/><author><name>Jana</name></author>
<content type="html">&lt;p&gt;Die Sturmflut traf den Deich.&lt;/p&gt;</content></entry></feed>"""


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.jsonl"


def imported(pages: dict[str, str], *arguments: object) -> Result:
    def answer(request: Request) -> Response:
        return Response(pages[request.full_path.rstrip("?")], content_type="application/xml")

    with listening(Request.application(answer)) as url:
        return CliRunner().invoke(cli, ["import", "feed", f"{url}/feed", *map(str, arguments)])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rss_is_read(path: Path) -> None:
    done = imported({"/feed": RSS}, "-o", path)

    assert done.stdout == f"2 entries: 2 new, 0 changed, 0 removed, in {path}\n"
    first, second = lines(path)
    root = first["url"].removesuffix("/ferry?utm_source=rss")
    assert first == {
        "id": "courier-4711",
        "title": "Ferry & harbour: 3 < 4",
        "body": "All of it.",
        "url": f"{root}/ferry?utm_source=rss",
        "category": "Economy",
        "categories": ["Economy"],
        "tags": ["harbour"],
        "authors": ["Jane Doe"],
        "published_at": "2026-02-01T09:00:00+00:00",
        "lang": "en",
        "image_url": f"{root}/ferry.jpg",
    }
    assert second["id"] == second["url"] == "https://courier.example/b"


def test_atom_is_read_with_its_archive_pages(path: Path) -> None:
    following = '<link rel="next" href="/feed?page=2"/>'
    pages = {
        "/feed": ATOM.format(number=1, next=following),
        "/feed?page=2": ATOM.format(number=2, next=following),
    }

    done = imported(pages, "-o", path)

    assert done.stdout == f"2 entries: 2 new, 0 changed, 0 removed, in {path}\n"
    assert lines(path)[1] == {
        "id": "tag:kurier.example,2026:2",
        "title": "a &lt;b> c",
        "body": "Die Sturmflut traf den Deich.",
        "url": "https://kurier.example/2",
        "category": "Politik",
        "categories": ["Politik"],
        "authors": ["Jana"],
        "published_at": "2026-02-01T09:00:00+00:00",
        "updated_at": "2026-02-02T09:00:00+00:00",
        "lang": "de",
        "image_url": "https://k.example/i.png",
    }


def test_old_entries_stay_and_corrected_entries_are_replaced(path: Path) -> None:
    imported({"/feed": RSS}, "-o", path)
    later = RSS.replace("Without a guid", "Corrected").replace("courier-4711", "courier-4712")

    done = imported({"/feed": later}, "-o", path)
    again = imported({"/feed": later}, "-o", path)

    assert done.stdout == f"2 entries: 1 new, 1 changed, 0 removed, in {path}\n"
    assert again.stdout.startswith("2 entries: 0 new, ")
    assert sorted((line["id"], line["title"][:9]) for line in lines(path)) == [
        ("courier-4711", "Ferry & h"),
        ("courier-4712", "Ferry & h"),
        ("https://courier.example/b", "Corrected"),
    ]


@pytest.mark.parametrize(
    "text", ["<html><body>Nothing here</body></html>", "", '{"items": []}', "/etc/passwd"]
)
def test_a_page_that_is_not_a_feed_is_rejected(path: Path, text: str) -> None:
    done = imported({"/feed": text}, "-o", path)

    assert "is not an RSS, Atom or JSON feed" in str(done.exception)
    assert not path.exists()


def test_an_entity_bomb_is_not_expanded(path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )

    imported({"/feed": bomb + "]>" + RSS.partition("?>")[2].replace("In short.", "&i;")}, "-o", path)

    assert path.stat().st_size < 5000


def test_the_entries_are_sent_to_a_running_service(tmp_path: Path) -> None:
    key, setting = new_key("cms", ["articles"])
    (tmp_path / "key").write_text(key)
    app: Flask = create_app(Settings(models_dir=tmp_path / "models", write_keys=(setting,)))
    feed = RSS.replace("/ferry", "https://courier.example/ferry")
    with listening(app) as address:
        target = ["--to", address, "--key-file", tmp_path / "key"]
        first = imported({"/feed": feed}, *target)
        again = imported({"/feed": feed}, *target)

    assert first.stdout == "2 entries: 2 sent, 0 unchanged, 0 rejected, 0 withdrawn\n"
    assert again.stdout == "2 entries: 0 sent, 2 unchanged, 0 rejected, 0 withdrawn\n"


def test_a_draft_is_skipped_and_an_unreadable_date_rejected(path: Path) -> None:
    items = "".join(
        f"<item><title>Quay {guid}</title><guid isPermaLink='false'>{guid}</guid>{rest}</item>"
        for guid, rest in {
            "draft": "<status>draft</status>",
            "unsure": "<visibility>half</visibility>",
            "undated": "<pubDate>gestern</pubDate>",
            "local": "<pubDate>06.09.2026 16:18</pubDate>",
        }.items()
    )
    feed = RSS.replace("</channel>", f"{items}</channel>")

    done = imported(
        {"/feed": feed},
        "-o",
        path,
        "--max-bad",
        "0.5",
        "--date-format",
        "day-first",
        "--timezone",
        "Asia/Tokyo",
    )

    assert done.exit_code == 0
    assert "skipped, not public: draft 1, half 1" in done.stderr
    assert "rejected: undated: published_at: impossible date" in done.stderr
    dates = {line["id"]: line.get("published_at") for line in lines(path)}
    assert dates["local"] == "2026-09-06T07:18:00+00:00"
    assert not {"draft", "unsure", "undated"} & set(dates)


def test_all_pages_of_a_json_feed_are_read(path: Path) -> None:
    def page(number: int, following: str | None) -> str:
        entry = {"id": f"{number}", "title": f"Title {number}", "url": f"/{number}"}
        again = {"id": "1", "title": "Title 1", "url": "/1"}
        feed = {"version": "https://jsonfeed.org/version/1.1", "items": [entry, again, {"title": "No id"}]}
        return json.dumps(feed | ({"next_url": following} if following else {}))

    done = imported({"/feed": page(1, "feed?page=2"), "/feed?page=2": page(2, None)}, "-o", path)

    assert "3 entries: 3 new" in done.stdout
    assert "note: 2 entries without guid got an id from their content" in done.stderr
    assert {line["title"] for line in lines(path)} == {"Title 1", "Title 2", "No id"}


def test_a_guid_that_is_repeated_on_another_page_does_not_lose_an_entry(path: Path) -> None:
    def page(link: str, following: str) -> str:
        item = f"<item><guid>1</guid><title>{link}</title><link>https://courier.example/{link}</link></item>"
        return f'<rss version="2.0" xmlns:a="http://www.w3.org/2005/Atom"><channel>{following}{item}</channel></rss>'

    following = '<a:link rel="next" href="/feed?page=2"/>'
    done = imported({"/feed": page("x", following), "/feed?page=2": page("y", "")}, "-o", path)

    assert {line["id"] for line in lines(path)} == {"https://courier.example/x", "https://courier.example/y"}
    assert "note: 2 entries with the guid of another got an id from their URL" in done.stderr
