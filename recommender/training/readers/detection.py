"""Find the files of a corpus and detect their formats; name those that are not supported."""

import re
from collections.abc import Sequence
from pathlib import Path

from recommender.training.formats.files import (
    FORMAT_OF_SUFFIX,
    HEAD_BYTES,
    MARKDOWN_SUFFIXES,
    CorpusError,
    head_of,
    markdown_files,
    opened,
    suffix_of,
)
from recommender.training.formats.xml_text import xml_start_of


def corpus_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files in `paths`, without duplicates; a folder means its corpus files, sorted by name.

    A corpus file is recognized by its suffix; hidden files are ignored. A folder of Markdown files is
    returned itself: it is read as one source, with its subfolders. Raises CorpusError if there are no paths,
    a path does not exist, or a folder has no corpus files, or Markdown posts beside them.
    """
    if not paths:
        raise CorpusError(
            "no corpus given; pass a .jsonl, .csv, .parquet or WordPress .xml file, or a folder"
        )
    files = [file for path in paths for file in _files_in(Path(path))]
    return list({file.resolve(): file for file in reversed(files)}.values())[::-1]


def format_of(path: Path, *, may_be_utf16: bool = False) -> str:
    """Return the format of a path: `jsonl` (any JSON), `csv`, `parquet`, `wxr`, `feed` or `markdown`.

    The suffix decides, or the first bytes if it is unknown, and between a feed and a WordPress export, which
    is also RSS. A folder is `markdown`. Raises CorpusError, with what to do instead, for a file of a known
    kind that contains no articles or is not supported, and for UTF-16 text, unless it is CSV and
    `may_be_utf16`.
    """
    if path.is_dir():
        return "markdown"
    head = head_of(path)
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16", errors="replace").encode() if is_utf16 else head
    if unsupported := unsupported_format(text):
        raise CorpusError(f"{path} {unsupported}")
    kind = FORMAT_OF_SUFFIX.get(suffix_of(path)) or _format_by_content(path, text)
    if is_utf16 and kind not in {"wxr", "feed"} and not (may_be_utf16 and kind == "csv"):
        raise CorpusError(f"{path} is UTF-16 text; save it as UTF-8")
    is_feed = _is_feed(head) if kind == "wxr" else kind == "jsonl" and _is_json_feed(path, head)
    return "feed" if is_feed else kind


_JSON_FEED = re.compile(rb'"version"\s*:\s*"https?:\\?/\\?/(?:www\.)?jsonfeed\.org\\?/')
_JSON_ITEMS = re.compile(rb'"items"\s*:\s*\[')
_XML_PROLOG = rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\])?\s*>)*+"
_OTHER_SOURCES = "import the feed or the REST API instead (recommender import --help)"
_EXPORT_AS = "export it as CSV, JSON or Parquet"
_EXPORT_TABLE = "export the table of articles as CSV, JSON or Parquet"
_UNSUPPORTED = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), description)
    for pattern, description in (
        (
            _XML_PROLOG + rb"<urlset\b[^>]*sitemap-news",
            f"is a news sitemap, which contains no texts; {_OTHER_SOURCES}",
        ),
        (
            _XML_PROLOG + rb"<(?:\w+:)?urlset\b",
            f"is a sitemap, which contains no texts; {_OTHER_SOURCES}",
        ),
        (
            _XML_PROLOG + rb"<(?:\w+:)?sitemapindex\b",
            f"is a sitemap index, which contains no texts; {_OTHER_SOURCES}",
        ),
        (
            _XML_PROLOG + rb"<opml\b",
            "is an OPML list of feeds, without articles; import each feed: recommender import feed URL",
        ),
        (
            _XML_PROLOG + rb"<(?:html|head|body)\b|" + rb"\s*<!doctype\s+html",
            f"is an HTML page; {_OTHER_SOURCES}",
        ),
        (_XML_PROLOG + rb"<(?:mysqldump|pma_xml_export)\b", f"is a database dump; {_EXPORT_AS}"),
        (
            (
                rb"(?:--[^\n]*\s+|/\*.*?\*/;?\s*)*+(?:(?:CREATE|DROP|ALTER|LOCK) (?:TABLE|DATABASE)|INSERT "
                rb"INTO|BEGIN TRANSACTION|SET [@\w]|USE [`\w]|PRAGMA \w|SELECT pg_catalog)"
            ),
            f"is an SQL dump; load it into a database, then {_EXPORT_TABLE}",
        ),
        (
            rb"SQLite format 3\0",
            f"is an SQLite database; {_EXPORT_TABLE}",
        ),
        (
            rb"(?:AUTHOR|TITLE|BASENAME|STATUS|DATE): [^\n]*\r?\n(?:[A-Z ]+:[^\n]*\r?\n)*-----\r?\n",
            "is a Movable Type export; import it into WordPress and export that, or import the site's feed",
        ),
        (rb"PK\x03\x04.*?\bxl/", "is an Excel workbook; save the sheet as CSV UTF-8"),
        (rb"PK\x03\x04.*?\bword/", f"is a Word document; {_EXPORT_AS}"),
        (rb"PK\x03\x04.*?opendocument\.spreadsheet", "is an OpenDocument spreadsheet; save the sheet as CSV"),
        (rb"PK(?:\x03\x04|\x05\x06)", "is a ZIP archive; unpack it and pass the file or folder in it"),
        (rb"\xd0\xcf\x11\xe0", "is an old Office file (.xls or .doc); save it as CSV UTF-8"),
        (rb"%PDF-", f"is a PDF; {_OTHER_SOURCES}"),
        (rb"\{\\rtf", f"is a rich text document; {_EXPORT_AS}"),
        (
            rb"(?:BZh[1-9]|\xfd7zXZ|7z\xbc\xaf|Rar!)",
            "is compressed in an unsupported way; unpack it, or use .gz",
        ),
        (rb".{257}ustar", "is a tar archive; unpack it and pass the file or folder in it"),
        (
            rb"(?:ARROW1\0|FEA1\0|ORC[\0-\x08]|Obj\x01)",
            "is an Arrow, Feather, ORC or Avro file; convert it to Parquet",
        ),
    )
]


def _is_feed(head: bytes) -> bool:
    """Return whether XML is RSS or Atom, but not a WordPress export."""
    start = xml_start_of(head)
    return start is not None and "wordpress.org/export/" not in start.root and b"<wp:wxr_version" not in head


def _is_json_feed(path: Path, head: bytes) -> bool:
    """Return whether JSON is one object with the version of a JSON feed, which may come after its items."""
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return False
    if _JSON_FEED.search(head) or not _JSON_ITEMS.search(head):
        return _JSON_FEED.search(head) is not None
    with opened(path) as stream:
        end = b""
        while chunk := stream.read(HEAD_BYTES):
            end = end[-HEAD_BYTES:] + chunk
            if _JSON_FEED.search(end):
                return True
    return False


def _files_in(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise CorpusError(f"{path} does not exist or is not a file; check the path")
        files = sorted(file for file in path.iterdir() if _is_corpus_file(file))
        has_markdown = bool(files) or next(markdown_files(path), None) is not None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{str(path)!r} cannot be read ({error})") from error
    others = [file for file in files if suffix_of(file) not in MARKDOWN_SUFFIXES]
    posts = [file for file in files if file not in others and _has_front_matter(file)] if others else []
    if posts:
        others = [file for file in others if not _is_data_of_posts(file, posts)]
    if posts and others:
        raise CorpusError(
            f"folder {path} contains Markdown posts, such as {posts[0].name}, and other corpus files, "
            f"such as {others[0].name}; pass either the folder of the posts or the other files"
        )
    if not others and not has_markdown:
        raise CorpusError(
            f"folder {path} contains no corpus file ({' '.join(FORMAT_OF_SUFFIX)}, also .gz and .zst)"
        )
    return others or [path]


def _has_front_matter(file: Path) -> bool:
    return re.match(rb"(?:\xef\xbb\xbf)?(?:---|\+\+\+)", head_of(file)) is not None


def _is_data_of_posts(file: Path, posts: Sequence[Path]) -> bool:
    """Return whether a JSON file has data of its folder or of one post, as in Eleventy."""
    stem = file.name.removesuffix(".json").removesuffix(".11tydata")
    return file.name.endswith(".json") and stem in {
        file.parent.resolve().name,
        *(post.stem for post in posts),
    }


def _is_corpus_file(file: Path) -> bool:
    return not file.name.startswith(".") and suffix_of(file) in FORMAT_OF_SUFFIX and file.is_file()


def unsupported_format(head: bytes) -> str:
    """Return what a file with these first bytes is, and what to do instead; "" if it may be supported."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, description in _UNSUPPORTED:
        if pattern.match(head) or pattern.match(text):
            return description
    return ""


def _format_by_content(path: Path, head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"<"):
        return "wxr"
    if start.startswith((b"{", b"[")):
        return "jsonl"
    header = start.partition(b"\n")[0].decode(errors="replace").lower()
    if re.search(r"[,;\t|]", header) and "id" in re.split(r'[,;\t|"]+', header.strip()):
        return "csv"
    if xml_start_of(head):
        return "wxr"
    raise CorpusError(
        f"{path} has an unknown format: it begins with {start[:40]!r}; "
        f"give it the suffix of its format ({' '.join(FORMAT_OF_SUFFIX)})"
    )
