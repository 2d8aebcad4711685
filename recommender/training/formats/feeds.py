"""Entries of RSS, Atom and JSON feeds as rows of our columns.

The id is that of the entry (`guid`). An entry without one, or with that of another entry, gets its canonical
URL as id, or a hash of its content; the order of the entries does not matter. Feeds do not distinguish
categories from tags: the first category of an entry becomes its category, the others become tags.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import feedparser

from recommender.article import MAX_ID_BYTES, InvalidArticleError, canonical_url
from recommender.fields import RefusedError
from recommender.text import as_html
from recommender.training.formats.files import CorpusError, RawRow, limits, opened
from recommender.training.formats.xml_text import SHOWN_CHARS, xml_start
from recommender.visibility import KIND_OF, column_name


@dataclass(frozen=True, slots=True)
class Feed:
    """The entries of a feed as rows, numbered from 1, and the address of its next page.

    The ids are as the entries state them; `identified` completes them.
    """

    rows: list[RawRow]
    following: str | None


def feed_of(content: bytes, source: str, base: str = "", content_type: str = "") -> Feed:
    """Parse a feed. Raises CorpusError, with the `source`, if the content is not a feed."""
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return _json_feed(content, source, base)
    content, notes = _without_text_before(content)
    # Pass a stream: the parser would fetch a string that is an address. HTML is converted to text elsewhere.
    feed = feedparser.parse(
        io.BytesIO(content),
        response_headers={"content-type": content_type} if content_type else {},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not feed.get("version"):
        cause = f" ({feed.bozo_exception})" if feed.get("bozo") else ""
        raise CorpusError(f"{source} is not an RSS, Atom or JSON feed{cause}")
    links = feed.feed.get("links", ())
    following = next((link.get("href") for link in links if link.get("rel") == "next"), None)
    rows = [_row(number, entry, feed.feed, base) for number, entry in enumerate(feed.entries, 1)]
    return Feed(rows + notes, str(urljoin(base, following)) if following else None)


def feed_file_rows(path: Path) -> list[RawRow]:
    """Return the entries of a feed in a file. Raises CorpusError if it is not a feed or cannot be read."""
    with opened(path) as stream:
        content = stream.read(limits().row_bytes + 1)
        limits().check_row(path, "the feed", len(content))
        return identified(feed_of(content, str(path)).rows)


def identified(rows: Sequence[RawRow]) -> list[RawRow]:
    """Return the rows of all pages of a feed with an id each, and notes that count the ids which we made.

    Entries that share an id are versions of one article only if their URLs, or without URLs their titles, are
    equal.
    """
    shared_ids = _shared(rows, lambda row: row.values.get("id"), _identity)
    without_id = [row for row in rows if not _is_usable(row.values.get("id"), shared_ids)]
    shared_keys = _shared(without_id, _key, _title)
    made: Counter[tuple[str, str]] = Counter()
    numbered = []
    for row in rows:
        stated = row.values.get("id")
        if row.note or row.refused or _is_usable(stated, shared_ids):
            numbered.append(row)
            continue
        key = _key(row)
        is_url = bool(key) and key not in shared_keys and len(key.encode()) <= MAX_ID_BYTES
        made["with the guid of another" if stated else "without guid", "URL" if is_url else "content"] += 1
        article_id = key if is_url else f"entry-{_digest(row)}"
        numbered.append(replace(row, values={**row.values, "id": article_id}))
    notes = (
        f"{count:,} {'entry' if count == 1 else 'entries'} {why} got an id from "
        f"{'its' if count == 1 else 'their'} {source}"
        for (why, source), count in sorted(made.items())
    )
    return [*numbered, *(RawRow(0, note=note) for note in notes)]


def _is_usable(article_id: Any, shared: set[Any]) -> bool:
    """Return whether there is an id that no other entry has. Values of a wrong type are refused later."""
    if isinstance(article_id, str):
        return bool(article_id.strip()) and article_id not in shared
    return article_id is not None and (not isinstance(article_id, int) or article_id not in shared)


def _shared(
    rows: Iterable[RawRow], key_of: Callable[[RawRow], Any], identity_of: Callable[[RawRow], str]
) -> set[Any]:
    """Return the keys that rows with different identities have."""
    first: dict[Any, str] = {}
    shared = set()
    for row in rows:
        key = key_of(row)
        if isinstance(key, str | int) and key and first.setdefault(key, identity_of(row)) != identity_of(row):
            shared.add(key)
    return shared


def _key(row: RawRow) -> str:
    """Return the canonical URL of an entry, always with https, or an empty string."""
    url = row.values.get("url")
    try:
        canonical = canonical_url(url) if isinstance(url, str) else ""
    except InvalidArticleError:
        return ""
    return f"https://{canonical}" if canonical and not canonical.startswith("/") else canonical


def _identity(row: RawRow) -> str:
    """Return the URL of an entry if it is not just its id, else its title."""
    return (_key(row) if row.values.get("url") != row.values.get("id") else "") or _title(row)


def _title(row: RawRow) -> str:
    return " ".join(str(row.values.get("title") or "").split())


def _digest(row: RawRow) -> str:
    parts = [_title(row), *(str(row.values.get(name) or "") for name in ("body", "published_at"))]
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _without_text_before(content: bytes) -> tuple[bytes, list[RawRow]]:
    """Return a feed without what a server printed before it, and a note about that."""
    start = xml_start(content[:_START_BYTES].decode("latin-1"))
    if start is None or not start.before.strip():
        return content, []
    dropped = " ".join(content[: len(start.before)].decode(errors="replace").replace("\ufeff", " ").split())
    note = f"text outside the feed was ignored: {dropped[:SHOWN_CHARS]!r}"
    return content[len(start.before) :], [RawRow(0, note=note)] if dropped else []


_KIND = "http://schemas.google.com/g/2005#kind"  # in an export of Blogger: post, comment, settings, template


def _row(number: int, entry: Any, feed: Any, base: str) -> RawRow:
    kinds = [tag.get("term") or "" for tag in entry.get("tags", ()) if tag.get("scheme") == _KIND]
    if kinds and not kinds[0].endswith("#post"):
        return RawRow(number, skipped=kinds[0].rpartition("#")[2])
    return RawRow(number, _values(entry, feed, base), visibility=_visibility(entry))


def _values(entry: Any, feed: Any, base: str) -> dict[str, Any]:
    link = (entry.get("link") or "").strip()
    # Without a link, the parser returns the guid, which is often not an address.
    is_address = link != entry.get("id") or "/" in link
    url = urljoin(base, link) if link and is_address else None
    tags = [tag for tag in entry.get("tags", ()) if tag.get("scheme") != _KIND]
    names = [tag.get("label") or tag.get("term") for tag in tags]
    body = _body(entry)
    return {
        "id": entry.get("id"),
        "title": _html(entry.get("title_detail")),
        "body": _html(body),
        "url": url,
        "categories": names[:1],
        "tags": names[1:],
        "authors": [author["name"] for author in entry.get("authors", ()) if author.get("name")],
        # The publication date is optional in Atom, and missing in RSS 1.0.
        "published_at": _date(entry, "published") or _date(entry, "updated"),
        "updated_at": _date(entry, "updated"),
        "lang": _own_language(entry, body, feed),
        "default_lang": feed.get("language"),
        "image_url": _image(entry, base),
    }


def _own_language(entry: Any, body: Mapping[str, Any], feed: Any) -> str | None:
    """Return the language that an entry states itself; the parser lets its texts inherit that of the feed."""
    stated = (entry.get("language"), body.get("language"), (entry.get("title_detail") or {}).get("language"))
    return next((lang for lang in stated if lang and lang != feed.get("language")), None)


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


_START_BYTES = 65_536
_JSON_FEED_VERSION = re.compile(r"https?://(?:www\.)?jsonfeed\.org/")


def _json_feed(content: bytes, source: str, base: str) -> Feed:
    try:
        feed = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{source} is not an RSS, Atom or JSON feed ({error})") from None
    items, version = feed.get("items"), str(feed.get("version"))
    if not _JSON_FEED_VERSION.match(version):
        raise CorpusError(
            f"{source} is not an RSS, Atom or JSON feed: its version is {version[:SHOWN_CHARS]!r}, "
            "not such as https://jsonfeed.org/version/1.1"
        )
    if not isinstance(items, list):
        raise CorpusError(f"{source} is a JSON feed whose items are {type(items).__name__}, not a list")
    rows = [_json_row(number, item, feed, base) for number, item in enumerate(items, 1)]
    following = feed.get("next_url")
    return Feed(rows, str(urljoin(base, following)) if isinstance(following, str) and following else None)


def _json_row(number: int, item: Any, feed: Mapping[str, Any], base: str) -> RawRow:
    if not isinstance(item, dict):
        return RawRow(number, refused=RefusedError("no JSON object", f"the entry is {item!r:.100}"))
    names = item.get("tags") or []
    are_names = isinstance(names, list)
    values = {
        "id": item.get("id"),
        "title": _json_text(item.get("title")),
        "body": _json_body(item),
        "url": _joined(base, item.get("url") or item.get("external_url")),
        "categories": names[:1] if are_names else names,
        "tags": names[1:] if are_names else [],
        "authors": _json_authors(item) or _json_authors(feed),
        "published_at": item.get("date_published"),
        "updated_at": item.get("date_modified"),
        "lang": item.get("language"),
        "default_lang": feed.get("language"),
        "image_url": _joined(base, item.get("image") or item.get("banner_image") or _json_picture(item)),
    }
    marks = [(name, value) for name, value in item.items() if column_name(name) in KIND_OF]
    return RawRow(number, values, visibility=marks)


def _json_body(item: Mapping[str, Any]) -> Any:
    """Return the content of an entry; an entry has HTML, text or both."""
    return item.get("content_html") or _json_text(item.get("content_text") or item.get("summary"))


def _json_text(value: Any) -> Any:
    return as_html(value) if isinstance(value, str) else value


def _json_authors(owner: Mapping[str, Any]) -> list[Any]:
    """Return the names of the authors; version 1 of the format has a single author."""
    authors = owner.get("authors") or [owner.get("author")]
    if not isinstance(authors, list):
        return [authors]
    return [author["name"] for author in authors if isinstance(author, dict) and author.get("name")]


def _json_picture(item: Mapping[str, Any]) -> Any:
    attachments = item.get("attachments") or ()
    pictures = (attachment for attachment in attachments if isinstance(attachment, dict))
    return next(
        (
            picture.get("url")
            for picture in pictures
            if str(picture.get("mime_type", "")).startswith("image/")
        ),
        None,
    )


def _joined(base: str, address: Any) -> Any:
    return urljoin(base, address.strip()) if isinstance(address, str) and address else address
