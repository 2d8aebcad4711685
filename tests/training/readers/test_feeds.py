"""RSS and Atom feeds as corpus files."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

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

    with pytest.raises(CorpusError, match=r"feed\.rss is not an RSS or Atom feed"):
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
