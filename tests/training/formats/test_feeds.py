"""RSS, Atom and JSON feeds as corpus files."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.training.readers.corpus import CorpusError, read_articles

NOW = datetime(2026, 11, 29, tzinfo=UTC)
RSS = """{prolog}<rss version="2.0"><channel><language>en</language>{item}
<item><title>Castle theft</title><link>/theft</link><category>Law</category></item></channel></rss>"""
ITEM = "<item><guid>7</guid><title>Ferry</title><pubDate>Sun, 01 Feb 2026 10:00:00 +0100</pubDate></item>"
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>7</id><title>Ferry</title>
<published>2026-02-01T09:00:00Z</published></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="x"><title>x</title></channel>
<item rdf:about="7"><link>7</link><title>Ferry</title>
<dc:date>2026-02-01T09:00:00Z</dc:date></item></rdf:RDF>"""


@pytest.mark.parametrize("name", ["feed.xml", "feed.rss", "feed"])
@pytest.mark.parametrize(
    "text",
    [
        RSS.format(prolog="", item=ITEM),
        RSS.format(prolog='\ufeff<?xml version="1.0"?>\n<!-- made by > hand -->\n', item=ITEM),
        ATOM,
        RDF,
    ],
)
def test_a_feed_is_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    article = read_articles(tmp_path / name).articles[-1]

    assert (article.id, article.title) == ("7", "Ferry")
    assert article.published_at is not None
    assert article.published_at.isoformat() == "2026-02-01T09:00:00+00:00"


def test_an_entry_without_an_id_is_identified_by_its_address_also_compressed(tmp_path: Path) -> None:
    text = RSS.format(prolog="", item="")
    (tmp_path / "feed.rss.gz").write_bytes(gzip.compress(text.encode()))

    (article,) = read_articles(tmp_path).articles

    assert (article.id, article.url, article.category) == ("/theft", "/theft", "Law")


def test_a_file_that_is_not_a_feed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feed.rss").write_text("<entries></entries>")

    with pytest.raises(CorpusError, match=r"feed\.rss is not an RSS, Atom or JSON feed"):
        read_articles(tmp_path)


@pytest.mark.parametrize(
    "mark",
    [
        '<app:control xmlns:app="http://www.w3.org/2007/app"><app:draft>yes</app:draft></app:control>',
        "<status>draft</status>",
        '<wp:status xmlns:wp="http://wordpress.org/export/1.2/">private</wp:status>',
        '<b:status xmlns:b="http://schemas.google.com/blogger/2018">DRAFT</b:status>',
        "<visibility>hidden</visibility>",
    ],
)
def test_an_entry_that_is_marked_as_a_draft_is_skipped(tmp_path: Path, mark: str) -> None:
    draft = "<entry><id>8</id><title>Secret</title><published>2026-02-01T09:00:00Z</published>"
    (tmp_path / "feed.atom").write_text(ATOM.replace("</feed>", f"{draft}{mark}</entry></feed>"))

    corpus = read_articles(tmp_path)

    assert [article.id for article in corpus.articles] == ["7"]
    assert corpus.report.skipped.total() == 1


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2026/6/29 15:07:41", "2026-06-29T13:07:41"),
        ("Sun, 06 Sep 2026 16:18:00 JST", "2026-09-06T07:18:00"),
        ("Sun, 06 Sep 2026 16:18:00 CEST", "2026-09-06T14:18:00"),
        ("Fri, Sep 04 2026 08:18:00 PM", "2026-09-04T18:18:00"),
        ("1788711480", "2026-09-06T16:18:00"),
        ("2026-09-06 16:18:00", "2026-09-06T14:18:00"),
        ("Mo, 29 Jun 2026 11:41:36 +0200", "2026-06-29T09:41:36"),
        ("mer., 04 févr. 2026 10:00:00 +0100", "2026-02-04T09:00:00"),
        ("sob., 05 wrz 2026 10:00:00 +0200", "2026-09-05T08:00:00"),
        ("pe, 04 syys 2026 10:00:00 +0300", "2026-09-04T07:00:00"),
        ("Sun, 06 Sep 2026 16:18:00 IST", ""),
        ("Sun, 06 Sep 2026", "2026-09-05T22:00:00"),
        ("03/04/2026 10:00", ""),
        ("gestern", ""),
    ],
)
def test_the_date_of_an_entry_is_the_moment_it_means_or_the_entry_is_refused(
    tmp_path: Path, date: str, expected: str
) -> None:
    entry = f"<item><guid>8</guid><title>Quay</title><pubDate>{date}</pubDate></item>"
    (tmp_path / "feed.rss").write_text(RSS.format(prolog="", item=entry))

    corpus = read_articles(tmp_path, timezone="Europe/Berlin", max_bad=0.5, now=NOW)

    dates = {article.id: article.published_at for article in corpus.articles}
    if expected:
        assert dates["8"] == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    else:
        assert "8" not in dates
        assert corpus.report.refused_by_reason == {"published_at: impossible date": 1}


def test_the_dates_of_a_feed_prove_their_order_together(tmp_path: Path) -> None:
    dates = {"8": "03.04.2026 10:00", "9": "24.03.2026 10:00"}
    items = "".join(
        f"<item><guid>{guid}</guid><title>Quay</title><pubDate>{date}</pubDate></item>"
        for guid, date in dates.items()
    )
    (tmp_path / "feed.rss").write_text(RSS.format(prolog="", item=items))

    articles = {article.id: article.published_at for article in read_articles(tmp_path, now=NOW).articles}

    assert articles["8"] == datetime(2026, 4, 3, 10, tzinfo=UTC)


def test_of_a_blogger_export_only_posts_are_read(tmp_path: Path) -> None:
    kind = '<category scheme="http://schemas.google.com/g/2005#kind" term="http://x/kind#{}"/>'
    entries = "".join(
        f"<entry><id>{name}</id><title>{name}</title>{kind.format(name)}<category term='News'/></entry>"
        for name in ("settings", "template", "post", "comment")
    )
    path = tmp_path / "blog.xml"
    path.write_text(f"<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title>{entries}</feed>")

    corpus = read_articles(path)

    assert [(article.id, article.categories) for article in corpus.articles] == [("post", ("News",))]
    assert corpus.report.skipped == {"settings": 1, "template": 1, "comment": 1}


WARNING = "<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/x.php</b> on line <b>7</b><br />\n"


@pytest.mark.parametrize("feed", [RSS.format(prolog='<?xml version="1.0"?>', item=ITEM), ATOM, RDF])
@pytest.mark.parametrize("before", ["\n\n", "\ufeff\n", WARNING, "Notice: x in /a.php on line 1\n\ufeff"])
@pytest.mark.parametrize("name", ["feed.xml", "feed.atom", "feed"])
def test_what_a_server_printed_before_a_feed_is_ignored(
    tmp_path: Path, feed: str, before: str, name: str
) -> None:
    (tmp_path / name).write_text(before + feed, encoding="utf-8")

    corpus = read_articles(tmp_path / name)

    assert corpus.articles[-1].id == "7"
    assert any("was ignored" in note for note in corpus.report.notes) == bool(before.strip("\ufeff\n"))


FRENCH = (
    "Le conseil a voté mardi la reconstruction du vieux pont de pierre. Les travaux dureront deux ans et les "
    "commerçants de la rue craignent déjà pour leurs recettes."
)


@pytest.mark.parametrize(
    ("attribute", "element", "body", "lang"),
    [
        ("", "", "Kort", "en"),
        (' xml:lang="nb"', "", "Kort", "no"),
        ("", "<dc:language>da-DK</dc:language>", "Kort", "da"),
        (' xml:lang="de"', "", FRENCH, "de"),
        ("", "", FRENCH, "fr"),
    ],
)
def test_an_entry_states_its_language_before_its_text_and_its_feed(
    tmp_path: Path, attribute: str, element: str, body: str, lang: str
) -> None:
    entry = (
        f"<item{attribute}><guid>7</guid><title>Pont</title>{element}<description>{body}</description></item>"
    )
    feed = RSS.format(prolog="", item=entry).replace(
        "<rss", '<rss xmlns:dc="http://purl.org/dc/elements/1.1/"'
    )
    (tmp_path / "feed.rss").write_text(feed, encoding="utf-8")

    assert {article.id: article.lang for article in read_articles(tmp_path).articles}["7"] == lang


def test_the_language_of_an_atom_feed_is_not_that_of_its_entries(tmp_path: Path) -> None:
    french = f"<entry><id>8</id><title>Pont</title><content>{FRENCH}</content></entry></feed>"
    stated = french.replace("<content>", '<content xml:lang="de">').replace("8", "9")
    feed = ATOM.replace("<feed ", '<feed xml:lang="en" ').replace(
        "</feed>", french.replace("</feed>", stated)
    )
    (tmp_path / "feed.atom").write_text(feed, encoding="utf-8")

    langs = {article.id: article.lang for article in read_articles(tmp_path).articles}

    assert langs == {"7": "en", "8": "fr", "9": "de"}


def items(*entries: dict[str, str]) -> str:
    parts = ("".join(f"<{name}>{text}</{name}>" for name, text in entry.items()) for entry in entries)
    return (
        "<rss version='2.0'><channel>"
        + "".join(f"<item>{part}</item>" for part in parts)
        + "</channel></rss>"
    )


def ids_of(folder: Path, *entries: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the ids of the articles in a feed with these entries, by title, and the notes."""
    (folder / "feed.rss").write_text(items(*entries), encoding="utf-8")
    corpus = read_articles(folder, max_bad=1)
    notes = [note.partition(": ")[2] for note in corpus.report.notes]
    return {article.title: article.id for article in corpus.articles}, notes


A = {"title": "A", "link": "http://www.courier.example/a/?utm_source=rss#top"}
B = {"title": "B", "link": "https://courier.example/b?id=2"}
C = {"title": "C", "description": "Only a text"}


def test_an_entry_without_guid_gets_its_canonical_url_or_a_hash(tmp_path: Path) -> None:
    ids, notes = ids_of(tmp_path, A, B, C)

    assert (ids["A"], ids["B"]) == ("https://courier.example/a", "https://courier.example/b?id=2")
    assert ids["C"].startswith("entry-")
    assert notes == [
        "2 entries without guid got an id from their URL",
        "1 entry without guid got an id from its content",
    ]


def test_ids_do_not_depend_on_the_order_of_the_entries(tmp_path: Path) -> None:
    shared = [entry | {"guid": "x"} for entry in (A, B, C)]
    pages = [A, B, C, *[entry | {"title": f"{entry['title']}2"} for entry in shared]]

    assert ids_of(tmp_path, *pages) == ids_of(tmp_path, *reversed(pages))


def test_entries_that_share_a_guid_but_not_a_url_are_different_articles(tmp_path: Path) -> None:
    ids, notes = ids_of(tmp_path, A | {"guid": "1"}, B | {"guid": "1"}, C | {"guid": "2"})

    assert ids == {"A": "https://courier.example/a", "B": "https://courier.example/b?id=2", "C": "2"}
    assert notes == ["2 entries with the guid of another got an id from their URL"]


def test_entries_that_share_a_url_get_a_hash(tmp_path: Path) -> None:
    home = "https://courier.example/"
    ids, notes = ids_of(tmp_path, A | {"link": home}, B | {"link": home}, C)

    assert len({*ids.values()}) == 3
    assert notes == ["3 entries without guid got an id from their content"]


def test_entries_that_share_an_address_as_guid_are_different_articles(tmp_path: Path) -> None:
    guid = {"guid": "https://courier.example/"}
    ids, notes = ids_of(tmp_path, guid | {"title": "A"}, guid | {"title": "B"})

    assert len({*ids.values()}) == 2
    assert notes == ["2 entries with the guid of another got an id from their content"]


def test_a_guid_that_is_no_address_is_not_used_as_one(tmp_path: Path) -> None:
    (tmp_path / "feed.rss").write_text(items({"guid": "47", "title": "A"}))

    corpus = read_articles(tmp_path)

    assert (corpus.articles[0].id, corpus.articles[0].url) == ("47", None)
    assert not corpus.report.fields_refused


def test_two_versions_of_an_entry_are_one_article(tmp_path: Path) -> None:
    ids, notes = ids_of(tmp_path, A | {"guid": "1"}, A | {"guid": "1", "title": "A, corrected"})

    assert list(ids.values()) == ["1"]
    assert not notes


def json_feed(*entries: object, **fields: object) -> str:
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": entries, **fields})


ENTRY = {
    "id": "7",
    "url": "https://courier.example/ferry",
    "title": "Ferry & <harbour>",
    "content_html": "<p>All of <b>it</b>.</p>",
    "summary": "In short",
    "date_published": "2026-02-01T10:00:00+01:00",
    "date_modified": "2026-02-02T10:00:00Z",
    "tags": ["Economy", "harbour"],
    "authors": [{"name": "Jane Doe"}, {"url": "https://courier.example/x"}],
    "image": "https://courier.example/ferry.jpg",
    "language": "en-GB",
}


@pytest.mark.parametrize("name", ["feed.json", "feed"])
def test_a_json_feed_is_read_with_all_its_fields(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(f"\ufeff\n{json_feed(ENTRY, title='Courier')}", encoding="utf-8")

    assert read_articles(tmp_path / name).articles == [
        Article(
            id="7",
            title="Ferry & <harbour>",
            body="All of it.",
            url="https://courier.example/ferry",
            category="Economy",
            categories=("Economy",),
            tags=("harbour",),
            authors=("Jane Doe",),
            published_at=datetime(2026, 2, 1, 9, tzinfo=UTC),
            updated_at=datetime(2026, 2, 2, 10, tzinfo=UTC),
            lang="en",
            image_url="https://courier.example/ferry.jpg",
        )
    ]


def test_version_1_of_json_feed_and_plain_text_are_read(tmp_path: Path) -> None:
    entry = {
        "url": "https://courier.example/a",
        "content_text": "1 < 2 & [gallery]",
        "author": {"name": "Ada"},
    }
    text = json_feed(entry, {"id": 8, "title": "B"}, author={"name": "Desk"}, language="de")
    old = text.replace("https://jsonfeed.org/version/1.1", "https:\\/\\/jsonfeed.org\\/version\\/1")
    (tmp_path / "feed.json").write_text(old)

    corpus = read_articles(tmp_path)

    assert [(article.id, article.authors, article.lang) for article in corpus.articles] == [
        ("8", ("Desk",), "de"),
        ("https://courier.example/a", ("Ada",), "de"),
    ]
    assert corpus.articles[1].body == "1 < 2 & [gallery]"
    assert corpus.report.notes[0].endswith("1 entry without guid got an id from its URL")


def test_the_version_of_a_json_feed_may_come_after_long_items(tmp_path: Path) -> None:
    long = {
        "items": [ENTRY | {"content_html": "word " * 40_000}],
        "version": "https://jsonfeed.org/version/1",
    }
    (tmp_path / "feed.json").write_text(json.dumps(long))

    assert [article.id for article in read_articles(tmp_path).articles] == ["7"]


def test_wrong_entries_of_a_json_feed_are_refused_with_their_value(tmp_path: Path) -> None:
    wrong = [ENTRY, "text", {"id": "9", "content_html": ["x"]}, {"id": [1], "title": "x"}]
    (tmp_path / "feed.json").write_text(json_feed(*wrong, *({"id": "d", "title": "x", "status": "draft"},)))

    corpus = read_articles(tmp_path, max_bad=1)

    assert [article.id for article in corpus.articles] == ["7"]
    assert corpus.report.refused_by_reason == {"no JSON object": 1, "body: wrong type": 1, "bad id": 1}
    assert corpus.report.skipped == {"draft": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": "https://jsonfeed.org/version/1.1"', "is not an RSS, Atom or JSON feed"),
        ('{"version": "https://jsonfeed.org/version/1.1", "items": {}}', "items are dict, not a list"),
    ],
)
def test_a_broken_json_feed_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "feed.json").write_text(text)

    with pytest.raises(CorpusError, match=message):
        read_articles(tmp_path)


def test_json_lines_with_items_are_no_feed(tmp_path: Path) -> None:
    line = json.dumps(
        {"id": "1", "title": "A", "items": [1], "body": '"version": "https://jsonfeed.org/version/1"'}
    )
    (tmp_path / "rows.json").write_text(f"{line}\n")

    assert [article.title for article in read_articles(tmp_path).articles] == ["A"]
