"""Entries of RSS and Atom feeds as rows of our columns.

The id is that of the entry (`guid`), or its URL. Feeds do not distinguish categories from tags: the first
category of an entry becomes its category, the others become tags.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import feedparser

from recommender.text import as_html
from recommender.training.readers.files import CorpusError, RawRow, limits, opened
from recommender.visibility import KIND_OF, column_name


@dataclass(frozen=True, slots=True)
class Feed:
    """The entries of a feed as rows, numbered from 1, and the address of its next page."""

    rows: list[RawRow]
    following: str | None


def feed_of(content: bytes, source: str, base: str = "", content_type: str = "") -> Feed:
    """Parse a feed. Raises CorpusError, with the `source`, if the content is not a feed."""
    # Pass a stream: the parser would fetch a string that is an address. HTML is converted to text elsewhere.
    feed = feedparser.parse(
        io.BytesIO(content),
        response_headers={"content-type": content_type} if content_type else {},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not feed.get("version"):
        cause = f" ({feed.bozo_exception})" if feed.get("bozo") else ""
        raise CorpusError(f"{source} is not an RSS or Atom feed{cause}")
    links = feed.feed.get("links", ())
    following = next((link.get("href") for link in links if link.get("rel") == "next"), None)
    rows = [_row(number, entry, feed.feed, base) for number, entry in enumerate(feed.entries, 1)]
    return Feed(rows, str(urljoin(base, following)) if following else None)


def feed_file_rows(path: Path) -> list[RawRow]:
    """Return the entries of a feed in a file. Raises CorpusError if it is not a feed or cannot be read."""
    with opened(path) as stream:
        content = stream.read(limits().row_bytes + 1)
        limits().check_row(path, "the feed", len(content))
        return feed_of(content, str(path)).rows


_KIND = "http://schemas.google.com/g/2005#kind"  # in an export of Blogger: post, comment, settings, template


def _row(number: int, entry: Any, feed: Any, base: str) -> RawRow:
    kinds = [tag.get("term") or "" for tag in entry.get("tags", ()) if tag.get("scheme") == _KIND]
    if kinds and not kinds[0].endswith("#post"):
        return RawRow(number, skipped=kinds[0].rpartition("#")[2])
    return RawRow(number, _values(entry, feed, base), visibility=_visibility(entry))


def _values(entry: Any, feed: Any, base: str) -> dict[str, Any]:
    link = entry.get("link")
    url = urljoin(base, link.strip()) if link else None
    tags = [tag for tag in entry.get("tags", ()) if tag.get("scheme") != _KIND]
    names = [tag.get("label") or tag.get("term") for tag in tags]
    body = _body(entry)
    return {
        "id": entry.get("id") or url,
        "title": _html(entry.get("title_detail")),
        "body": _html(body),
        "url": url,
        "categories": names[:1],
        "tags": names[1:],
        "authors": [author["name"] for author in entry.get("authors", ()) if author.get("name")],
        # The publication date is optional in Atom, and missing in RSS 1.0.
        "published_at": _date(entry, "published") or _date(entry, "updated"),
        "updated_at": _date(entry, "updated"),
        "lang": body.get("language") or feed.get("language"),
        "image_url": _image(entry, base),
    }


def _visibility(entry: Any) -> list[tuple[str, Any]]:
    """Return the elements of an entry that may say whether it is public, such as `app:draft`."""
    # The parser names an element of another namespace `prefix_name`; `published` is always a date, and
    # `media:status` is about a video.
    names = {
        name: name if column_name(name) in KIND_OF else name.partition("_")[2]
        for name in entry
        if name not in {"published", "media_status"}
    }
    return [(short, entry[name]) for name, short in names.items() if column_name(short) in KIND_OF]


def _body(entry: Any) -> Mapping[str, Any]:
    """Return the longest text of an entry: its content or its summary."""
    texts = [*entry.get("content", ()), entry.get("summary_detail") or {}]
    return max(texts, key=lambda text: len(text.get("value") or ""))


def _html(text: Mapping[str, Any] | None) -> str:
    value = str((text or {}).get("value") or "")
    return as_html(value) if (text or {}).get("type") == "text/plain" else value


def _date(entry: Any, name: str) -> str | None:
    """Return a date as it is written: the parser's own reading guesses, and does not know the time zone."""
    # The entry's own `get` falls back to the other date, with a warning.
    value = dict.get(entry, name)
    return str(value) if value else None


def _image(entry: Any, base: str) -> str | None:
    """Return the address of a thumbnail, or else of a picture in the media or enclosures."""
    media = entry.get("media_content", ())
    pictures = [medium for medium in media if _is_picture(medium) or medium.get("medium") == "image"]
    enclosed = [medium for medium in entry.get("enclosures", ()) if _is_picture(medium)]
    for medium in (*entry.get("media_thumbnail", ()), *pictures, *enclosed):
        if address := medium.get("url") or medium.get("href"):
            return str(urljoin(base, address))
    return None


def _is_picture(media: Mapping[str, Any]) -> bool:
    return str(media.get("type", "")).startswith("image/")
