"""RSS and Atom feeds as corpus files."""

import gzip
from pathlib import Path

import pytest

from recommender.training.readers.corpus import CorpusError, read_articles

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
    (tmp_path / "feed.rss").write_text("<html></html>")

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
