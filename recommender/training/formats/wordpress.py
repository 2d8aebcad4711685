"""Rows of a WordPress export (WXR): public posts only."""

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lxml import etree

from recommender.fields import RefusedError
from recommender.training.formats.files import (
    HEAD_BYTES,
    CorpusError,
    RawRow,
    SourceOptions,
    head_of,
    limits,
    opened,
)
from recommender.training.formats.language_terms import LanguageTerms
from recommender.training.formats.xml_text import (
    XmlCleaner,
    undeclared_encoding,
    xml_encoding,
    xml_start_of,
)
from recommender.visibility import why_hidden

MAX_ITEM_TAGS = 1_000_000  # an element takes 30 times the memory of its text
END_CHARS = 1024  # a complete export has its closing tag in the last characters


def wordpress_rows(path: Path, options: SourceOptions) -> Iterator[RawRow]:
    """Yield each item of an export: a published post with its values, any other item as skipped.

    A skipped item has a kind: its type if that is not one of `options.types`, `password` if it is protected,
    else its status; only `publish` is public. The file is read twice, because authors, categories and images
    may come after the posts that refer to them. Characters that XML forbids are dropped, and common faults of
    exporters are repaired (see `xml_text`). The last rows are notes. Raises CorpusError if the file is not a
    WordPress export, is truncated or is not well-formed.
    """
    _check_start(path)
    encoding, encoding_note = _encoding(path)
    site = _site(path, encoding)
    notes = [*([encoding_note] if encoding_note else []), *site.languages.notes()]
    others: Counter[str] = Counter()
    for number, item in enumerate(_elements(path, encoding, "item", note=notes.append), 1):
        kind = _kind(item, options.types)
        others.update([kind] if kind and _may_be_article(item, kind) else [])
        yield RawRow(number, skipped=kind) if kind else _row(number, _values(item, site))
    if others:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in others.most_common())
        types = ",".join([*sorted(options.types), *others])
        notes.append(f"published items of other types were skipped: {counts}; to read all: --type {types}")
    yield from (RawRow(0, note=note) for note in notes)


@dataclass(slots=True)
class _Site:
    """The data of an export that all posts share."""

    lang: str = ""
    languages: LanguageTerms = field(default_factory=LanguageTerms)
    author_of: dict[str, str] = field(default_factory=dict)  # display name by login
    category_of: dict[str, str] = field(default_factory=dict)  # name by term id
    image_of: dict[str, str] = field(default_factory=dict)  # address by the attachment's post id


def _site(path: Path, encoding: str) -> _Site:
    site = _Site()
    for element in _elements(path, encoding, "item", "author", "category", "term", "language"):
        match element.tag.rpartition("}")[2]:
            case "item":
                if address := _wp(element, "attachment_url"):
                    site.image_of[_wp(element, "post_id")] = address
                elif slug := _language_term(element):
                    site.languages.count(slug, f"{_text(element, 'title')}\n{_text(element, _CONTENT)}")
            case "author":
                site.author_of[_wp(element, "author_login")] = _wp(element, "author_display_name")
            case "category" if term := _wp(element, "term_id"):
                site.category_of[term] = _wp(element, "cat_name")
            case "term" if _wp(element, "term_taxonomy") == "category":
                site.category_of[_wp(element, "term_id")] = _wp(element, "term_name")
            case "term" if _wp(element, "term_taxonomy") == "language":
                site.languages.define(_wp(element, "term_slug"), _wp(element, "term_description"))
            case "language" if element.getparent().tag == "channel":
                site.lang = site.lang or _text_of(element)
    return site


def _kind(item: Any, types: frozenset[str]) -> str:
    """Return why an item is not public, or an empty string for a public post."""
    post_type, status = _wp(item, "post_type"), _wp(item, "status")
    if post_type not in types:
        return post_type or "no type"
    columns = {"wp:status": status, "wp:post_password": _wp(item, "post_password")}
    return why_hidden(columns, is_dated=True)


def _may_be_article(item: Any, kind: str) -> bool:
    """Return whether an item is of a type that the site itself defined, and public, with a text."""
    post_type = _wp(item, "post_type")
    is_own = post_type == kind and not _INTERNAL_TYPE.match(post_type)
    return is_own and bool(_text(item, _CONTENT)) and not _kind(item, frozenset({post_type}))


def _row(number: int, values: dict[str, Any]) -> RawRow:
    texts = [text for value in values.values() for text in (value if isinstance(value, list) else [value])]
    if not any(_LOST in text for text in texts if text):
        return RawRow(number, values)
    return RawRow(
        number, refused=RefusedError("not UTF-8", f"post {values['id']} contains bytes that are not text")
    )


def _values(item: Any, site: _Site) -> dict[str, Any]:
    login = _text(item, _CREATOR)
    return {
        "id": _wp(item, "post_id"),
        "title": _text(item, "title"),
        "body": _text(item, _CONTENT),
        "url": _text(item, "link"),
        "categories": _categories(item, site),
        "tags": _terms(item, "post_tag"),
        "authors": [site.author_of.get(login) or login],
        "type": _wp(item, "post_type"),
        "published_at": _date(item, "post_date"),
        "updated_at": _date(item, "post_modified"),
        "lang": _language(item, site),
        "default_lang": site.lang,
        "image_url": site.image_of.get(_meta(item, "_thumbnail_id")),
    }


def _categories(item: Any, site: _Site) -> list[str]:
    """Return the post's categories; Yoast's primary category comes first, if the post is still in it."""
    names = _terms(item, "category")
    primary = site.category_of.get(_meta(item, "_yoast_wpseo_primary_category"))
    return [primary, *names] if primary in names else names


def _language(item: Any, site: _Site) -> str | None:
    """Return the language that a post states: a term of Polylang, or a field of another plugin."""
    if code := site.languages.code(_language_term(item)):
        return code
    stated = [meta for key, meta in _metas(item) if _LANGUAGE_META.fullmatch(key)]
    stated += [item.get(_XML_LANG) or "", _text(item, _DC_LANGUAGE)]
    return next(filter(None, stated), None)


def _language_term(item: Any) -> str:
    terms = (term for term in item.iterfind("category") if term.get("domain") == "language")
    return next((term.get("nicename") or _text_of(term) for term in terms), "")


def _date(item: Any, name: str) -> str | None:
    return date_of(_wp(item, f"{name}_gmt"), _wp(item, name))


def date_of(gmt: str, local: str) -> str | None:
    """Return a date in GMT, else in the site's time zone; None for the zeros of a draft."""
    if gmt and not _NO_DATE.match(gmt):
        return f"{gmt}Z"
    return local if local and not _NO_DATE.match(local) else None


_EXPORT = "wordpress.org/export/"  # part of the namespace, after http or https and before a version
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_DC_LANGUAGE = "{http://purl.org/dc/elements/1.1/}language"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_LANGUAGE_META = re.compile(
    r"_?(?:wpml|icl|pll)_(?:import_|post_)?(?:language|lang|locale)(?:_code)?|_locale"
)
_INTERNAL_TYPE = re.compile(
    r"(?:page|attachment|nav_menu_item|revision|custom_css|customize_changeset|oembed_cache|user_request)$|wp_|acf-"
)
_NO_DATE = re.compile(r"0000-|-")  # PHP writes the zero date as -0001-11-30, too
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_UNDECODED = re.compile("[\udc80-\udcff]+")
_REPLACED = re.compile("\ufffd+")
_LOST = "\ufdd0"  # replaces bytes that are not text; Unicode guarantees that it is never a character
_HARMLESS = {
    "ERR_INVALID_CHAR",
    "ERR_UNDECLARED_ENTITY",
    "WAR_UNDECLARED_ENTITY",
    "NS_ERR_UNDEFINED_NAMESPACE",  # of elements that we do not read
}
_NAMESPACES = {
    "wp": "http://wordpress.org/export/1.2/",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
}


class _Characters:
    """A file as one well-formed document in UTF-8, without characters that XML forbids.

    Invalid bytes become `_LOST`.
    """

    def __init__(self, path: Path, stream: BinaryIO, encoding: str) -> None:
        self._path, self._stream = path, stream
        self._items, self._size, self._tags = 0, 0, 0  # size and tags: since the last item
        # With surrogates, any wrong byte of UTF-8 can be decoded, but not any of UTF-16.
        self._undecoded = _UNDECODED if encoding == "utf-8" else _REPLACED
        errors = "surrogateescape" if encoding == "utf-8" else "replace"
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self.cleaner = XmlCleaner(_NAMESPACES)
        self._is_last = False
        self.end = ""

    def read(self, size: int) -> bytes:
        """Return the next characters, or nothing at the end."""
        cleaned = ""
        while not cleaned and not self._is_last:
            chunk = self._stream.read(size)
            self._is_last = not chunk
            text = _FORBIDDEN.sub("", self._decoder.decode(chunk, final=self._is_last))
            self.end = (self.end + text)[-END_CHARS:]
            self._check_size(len(chunk), text.count("<"))
            cleaned = self.cleaner.clean(text, is_last=self._is_last)
        return (cleaned if cleaned.isascii() else self._undecoded.sub(_LOST, cleaned)).encode()

    def next_item(self) -> None:
        """Begin to count the bytes of the next item."""
        self._items += 1
        self._size = self._tags = 0

    def _check_size(self, size: int, tags: int) -> None:
        """Raise CorpusError if an item, or what is before the first, is larger than a row may be."""
        place = f"item {self._items + 1}"
        self._size += size
        self._tags += tags
        limits().check_row(self._path, place, self._size)
        if self._tags > MAX_ITEM_TAGS:
            raise CorpusError(f"{self._path}: {place} has more than {MAX_ITEM_TAGS:,} tags; export it again")


def _elements(
    path: Path, encoding: str, *names: str, note: Callable[[str], None] = lambda _: None
) -> Iterator[Any]:
    """Yield the elements with these local names; the memory of an item is freed after it was yielded.

    `note` is called with each sentence about how the file was read, after the last element.
    """
    with opened(path) as stream:
        characters = _Characters(path, stream, encoding)
        events = etree.iterparse(
            characters,
            tag=[f"{{*}}{name}" for name in names],
            encoding="utf-8",
            recover=True,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,
        )
        try:
            for _, element in events:
                yield element
                if element.tag == "item":
                    _free(element)
                    characters.next_item()
            faults = [_describe(entry) for entry in events.error_log if entry.type_name not in _HARMLESS]
        except etree.XMLSyntaxError as error:
            faults = [str(error)]
    if faults and "</rss>" not in characters.end:
        raise CorpusError(f"{path} is truncated: it has no </rss> at its end ({faults[0]}); export it again")
    if faults:
        raise CorpusError(f"{path} is not well-formed XML: {faults[0]}; correct that line or export it again")
    for sentence in characters.cleaner.notes():
        note(sentence)


def _describe(entry: Any) -> str:
    message, _, _ = entry.message.partition("\n")
    return f"line {entry.line}: {message}"


def _free(item: Any) -> None:
    item.clear()
    while item.getprevious() is not None:
        del item.getparent()[0]


def _check_start(path: Path) -> None:
    """Raise CorpusError unless the file begins like an export, perhaps after the warnings of a server."""
    head = head_of(path)
    start = xml_start_of(head)
    if start is None or not start.root.startswith("<rss"):
        shown = head.removeprefix(codecs.BOM_UTF8).lstrip()[:40]
        raise CorpusError(
            f"{path} is not a WordPress export: it begins with {shown!r}; use Tools > Export > All content"
        )


def _encoding(path: Path) -> tuple[str, str]:
    """Return the encoding of a file, and a note if it had to be guessed."""
    try:
        encoding = xml_encoding(head_of(path))
    except LookupError as error:
        raise CorpusError(f"{path} has the unknown encoding {error.args[0]!r}; save it as UTF-8") from None
    if encoding:
        return encoding, ""
    with opened(path) as stream:
        encoding = undeclared_encoding(iter(partial(stream.read, HEAD_BYTES), b""))
    return encoding, "" if encoding == "utf-8" else f"no encoding is declared; it was read as {encoding}"


def _text(element: Any, tag: str) -> str:
    child = element.find(tag)
    return "" if child is None else _text_of(child)


def _wp(element: Any, name: str) -> str:
    """Return the text of the child element with this name in WordPress's namespace, or an empty string."""
    children = element.iterchildren(f"{{*}}{name}")
    return next((_text_of(child) for child in children if _EXPORT in child.tag), "")


def _text_of(element: Any) -> str:
    return "".join(element.itertext()).strip()


def _terms(item: Any, taxonomy: str) -> list[str]:
    terms = (term for term in item.iterfind("category") if term.get("domain") == taxonomy)
    return [name for term in terms if (name := _text_of(term))]


def _meta(item: Any, key: str) -> str:
    return next((value for name, value in _metas(item) if name == key), "")


def _metas(item: Any) -> Iterator[tuple[str, str]]:
    metas = item.iterchildren("{*}postmeta")
    return ((_wp(meta, "meta_key"), _wp(meta, "meta_value")) for meta in metas)
