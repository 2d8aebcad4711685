"""Files of a known kind that contain no articles, or are not supported, are named with what to do instead."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from recommender.training.formats.files import SourceOptions
from recommender.training.readers.corpus import CorpusError, read_articles

XML = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- made today -->\n'
SITEMAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
NEWS = 'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return content.getvalue()


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("posts.csv"))
    return content.getvalue()


UNSUPPORTED = [
    (f"{XML}<urlset {SITEMAP} {NEWS}><url/></urlset>", "is a news sitemap, which contains no texts; import"),
    (f"<urlset {SITEMAP}><url><loc>https://x.example</loc></url></urlset>", "is a sitemap, which"),
    (f"{XML}<sitemapindex {SITEMAP}/>", "is a sitemap index"),
    (f'{XML}<opml version="2.0"><body/></opml>', "is an OPML list of feeds"),
    ("<!DOCTYPE html>\n<html lang='en'><p>x", "is an HTML page"),
    ("\n<!doctype HTML><title>x</title>", "is an HTML page"),
    ("<html><body>502</body></html>", "is an HTML page"),
    ("AUTHOR: Ann\nTITLE: Ferry\nSTATUS: Publish\n-----\nBODY:\nx\n-----\n", "is a Movable Type export"),
    ("TITLE: Ferry\r\nDATE: 01/31/2024\r\n-----\r\nBODY:\r\n", "is a Movable Type export"),
    ("-- MySQL dump 10.13\n--\n/*!40101 SET NAMES utf8 */;\nDROP TABLE IF EXISTS `p`;", "is an SQL dump"),
    ("--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;", "is an SQL dump"),
    ("INSERT INTO posts VALUES (1, 'x');", "is an SQL dump"),
    (b"SQLite format 3\0\x10\0", "is an SQLite database"),
    (zipped("[Content_Types].xml", "xl/workbook.xml"), "is an Excel workbook; save the sheet as CSV"),
    (zipped("[Content_Types].xml", "word/document.xml"), "is a Word document"),
    (zipped("posts/a.md"), "is a ZIP archive; unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Office file"),
    ("%PDF-1.7\n", "is a PDF"),
    (b"\xfd7zXZ\0\0", "is compressed in an unsupported way"),
    (tarred(), "is a tar archive"),
    (b"ARROW1\0\0", "is an Arrow, Feather, ORC or Avro file; convert it to Parquet"),
]


@pytest.mark.parametrize(
    ("content", "message"), UNSUPPORTED, ids=[message[:30] for _, message in UNSUPPORTED]
)
@pytest.mark.parametrize("name", ["export.json", "export.xml", "export.csv", "export"])
def test_an_unsupported_file_is_named_whatever_its_suffix(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(CorpusError) as refused:
        read_articles(path)

    assert str(refused.value).startswith(f"{path} {message}")


@pytest.mark.parametrize(
    "header", ["title,id", "set,id,title", "drop,id,title", "use,id,title", "orc,id,title"]
)
def test_a_csv_file_with_an_unusual_header_is_still_read(tmp_path: Path, header: str) -> None:
    columns = header.split(",")
    (tmp_path / "a.csv").write_text(f"{header}\n{','.join(columns)}\n")

    assert len(read_articles(tmp_path / "a.csv").articles) == 1


@pytest.mark.parametrize("site", ["paper.example", "ftp://paper.example", "https:///"])
def test_a_site_that_is_no_address_is_refused(tmp_path: Path, site: str) -> None:
    with pytest.raises(CorpusError, match=r"it must be an address, such as https://paper\.example"):
        read_articles(tmp_path, site=site)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("/a/", "https://paper.example/blog/a/"),
        ("https://x.example/a", "https://x.example/a"),
        ("//cdn.example/a.jpg", "https://cdn.example/a.jpg"),
        ("a.jpg", None),
        ("javascript:alert(1)", None),
    ],
)
def test_a_path_gets_the_address_of_the_site(url: str, address: str | None) -> None:
    assert SourceOptions(site="https://paper.example/blog/").address(url) == address
