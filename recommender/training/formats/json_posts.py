"""Posts in the JSON of Ghost, WordPress, Drupal, Strapi and JSON Feed, by the names of our columns.

Of Ghost, only posts with the status `published` and the visibility `public` are public, unless `--public`
lists other values. The first public tag of a post is its category; tags that begin with `#` are internal.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, MutableSet, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from recommender.fields import RefusedError
from recommender.text import as_html
from recommender.training.formats.files import RawRow, SourceOptions
from recommender.training.formats.markdown import markdown_html
from recommender.training.formats.tables import name_in
from recommender.training.formats.wordpress import date_of
from recommender.visibility import KIND_OF, Decisions, column_name, verdict

Record = dict[str, Any]

GHOST_TABLES = ("tags", "users", "posts_tags", "posts_authors")
NO_URL = "the posts have no URL, because they contain only slugs; pass --site https://…"


@dataclass(slots=True)
class GhostTables:
    """The tables of an export that posts refer to. Posts from the APIs contain their tags and authors."""

    version: str = ""  # of the export
    tags: dict[Any, Mapping[str, Any]] = field(default_factory=dict)  # by id
    users: dict[Any, Mapping[str, Any]] = field(default_factory=dict)  # by id
    posts_tags: dict[Any, list[tuple[Any, Any]]] = field(default_factory=dict)  # (order, id) by post
    posts_authors: dict[Any, list[tuple[Any, Any]]] = field(default_factory=dict)  # (order, id) by post
    is_export: bool = False

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Store a row of one of the GHOST_TABLES."""
        if table in {"tags", "users"}:
            (self.tags if table == "tags" else self.users)[row.get("id")] = {
                name: row.get(name) for name in ("name", "visibility")
            }
            return
        links = self.posts_tags if table == "posts_tags" else self.posts_authors
        target = row.get("tag_id" if table == "posts_tags" else "author_id")
        order = row.get("sort_order")
        links.setdefault(row.get("post_id"), []).append((order if isinstance(order, int) else 0, target))

    def tags_of(self, post: Mapping[str, Any]) -> Sequence[Any]:
        """Return the tags of a post in their order."""
        return _linked(post.get("id"), self.posts_tags, self.tags) or post.get("tags") or ()

    def authors_of(self, post: Mapping[str, Any]) -> Sequence[Any]:
        """Return the authors of a post in their order."""
        linked = _linked(post.get("id"), self.posts_authors, self.users) or post.get("authors")
        single = post.get("primary_author") or self.users.get(post.get("author_id")) or post.get("author")
        return linked or ([single] if single else ())


def is_ghost(record: Mapping[str, Any]) -> bool:
    """Return whether a JSON object looks like a post of Ghost."""
    has_body = "visibility" in record and bool({"html", "plaintext"} & record.keys())
    is_typical = has_body or bool({"lexical", "mobiledoc", "comment_id"} & record.keys())
    return is_typical and {"slug", "title"} <= record.keys() and "body" not in record


def ghost_row(
    number: int, post: Mapping[str, Any], tables: GhostTables, options: SourceOptions, notes: MutableSet[str]
) -> RawRow:
    """Return a post as a row. A page is skipped, and so is a post that is not public."""
    kind = "page" if _is_page(post) else str(post.get("type") or "post")
    if kind not in options.types:
        return RawRow(number, skipped=kind)
    columns = {name: post.get(name) for name in _PUBLIC} | _implied(post, tables)
    for name, value in columns.items():
        # Where the user lists the public values, `visibility.py` compares them.
        if name not in options.decisions.ignored | options.decisions.public.keys() and (
            hidden := verdict(name, value, _DECISIONS).hidden
        ):
            return RawRow(number, skipped=hidden)
    try:
        values = _values(post, tables, options)
    except RefusedError as error:
        return RawRow(number, refused=error)
    if not values["url"]:
        notes.add(NO_URL)
    values |= {ours: post[theirs] for ours, theirs in options.columns.items() if theirs in post}
    visibility = [item for item in columns.items() if item[0] not in options.decisions.ignored]
    return RawRow(number, values, visibility=visibility)


def drupal(node: Mapping[str, Any], terms: Iterable[tuple[str, str]], options: SourceOptions) -> Record:
    """Return a node of Drupal's JSON:API; `terms` are the types and names of the records it refers to."""
    attributes, terms = mapping_of(node.get("attributes")), list(terms)
    kind, _, bundle = str(node.get("type")).partition("--")
    if kind != "node" or (bundle == "page" and bundle not in options.types):
        return {"skipped": str(node["type"])}
    if attributes.get("status") is None and "status" not in options.decisions.ignored:
        cure = "request the field `status`; or, if all are public: --not-visibility status"
        raise RefusedError("may be a draft", f"node {node.get('id')!r} has no status; {cure}")
    body = mapping_of(attributes.get("body"))
    alias = mapping_of(attributes.get("path")).get("alias")
    return _visibility(attributes) | {
        "id": node.get("id"),
        "title": attributes.get("title"),
        "body": body.get("processed") or body.get("value"),
        "url": options.address(alias) if isinstance(alias, str) else None,
        "categories": [name for term, name in terms if term.startswith("taxonomy") and "tag" not in term],
        "tags": [name for term, name in terms if term.startswith("taxonomy") and "tag" in term],
        "authors": [name for term, name in terms if term == "user--user"],
        "type": bundle,
        "published_at": attributes.get("created"),
        "updated_at": attributes.get("changed"),
        "lang": attributes.get("langcode"),
    }


def wordpress(post: Mapping[str, Any], options: SourceOptions) -> Record:
    """Return a post of WordPress's REST API; terms have names only if they are embedded."""
    kind = str(post.get("type") or "post")
    if kind not in options.types:
        return {"skipped": kind}
    embedded, content = mapping_of(post.get("_embedded")), mapping_of(post.get("content"))
    terms = [mapping_of(term) for group in list_of(embedded.get("wp:term")) for term in list_of(group)]
    images = [mapping_of(image).get("source_url") for image in list_of(embedded.get("wp:featuredmedia"))]
    return _visibility(post) | {
        "id": post.get("id"),
        "title": post["title"]["rendered"],
        "body": content.get("rendered"),
        "url": post.get("link"),
        "categories": [term for term in terms if term.get("taxonomy") == "category"],
        "tags": [term for term in terms if term.get("taxonomy") == "post_tag"],
        "authors": [author for author in list_of(embedded.get("author")) if "name" in mapping_of(author)],
        "type": kind,
        "published_at": date_of(str(post.get("date_gmt") or ""), str(post.get("date") or "")),
        "updated_at": date_of(str(post.get("modified_gmt") or ""), str(post.get("modified") or "")),
        "lang": post.get("lang"),
        "image_url": next(filter(None, images), None),
        "protected": content.get("protected"),
    }


def strapi(entry: Mapping[str, Any], options: SourceOptions) -> Record:
    """Return an entry of Strapi; it is a draft if `publishedAt` is empty, and refused if that is missing."""
    is_decided = "publishedat" in options.decisions.ignored or "published_at" in options.columns
    if "publishedAt" not in entry and not is_decided:
        cure = "request the field; or, if all are public: --not-visibility publishedAt"
        raise RefusedError("may be a draft", f"entry {entry.get('id')!r} has no publishedAt; {cure}")
    if "publishedAt" in entry and not entry["publishedAt"]:
        return {"skipped": "draft"}
    body = next(
        (entry[name] for name in ("body", "content", "text", "article", "html") if entry.get(name)), ""
    )
    url = entry.get("url")
    return _visibility(entry) | {
        "id": entry.get("documentId") if entry.get("id") is None else entry["id"],
        "title": next((entry[name] for name in ("title", "headline", "name") if entry.get(name)), None),
        "body": markdown_html(body) if isinstance(body, str) else lexical_html(body),
        "url": options.address(url) if isinstance(url, str) else None,
        "categories": _related(entry.get("categories") or entry.get("category")),
        "tags": _related(entry.get("tags")),
        "authors": _related(entry.get("authors") or entry.get("author")),
        "published_at": entry.get("publishedAt"),
        "updated_at": entry.get("updatedAt"),
        "lang": entry.get("locale"),
    }


def json_feed(item: Mapping[str, Any]) -> Record:
    """Return an item of a JSON Feed."""
    tags = list_of(item.get("tags"))
    return _visibility(item) | {
        "id": item.get("url") if item.get("id") is None else item["id"],
        "title": item.get("title"),
        "body": item.get("content_html") or as_html(str(item.get("content_text") or "")),
        "url": item.get("url"),
        "categories": tags[:1],
        "tags": tags[1:],
        "authors": list_of(item.get("authors") or item.get("author")),
        "published_at": item.get("date_published"),
        "updated_at": item.get("date_modified"),
        "lang": item.get("language"),
        "image_url": item.get("image"),
    }


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return an object; nothing for another value."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: Any) -> list[Any]:
    """Return a list; a single value as a list of it."""
    return value if isinstance(value, list) else [] if value is None else [value]


_PUBLIC = {"status": frozenset({"published"}), "visibility": frozenset({"public"})}
_DECISIONS = Decisions(_PUBLIC)
_SITE = "__GHOST_URL__"  # an export contains this instead of the address of the site
_WITHOUT_VISIBILITY = frozenset({"000", "001", "002", "003", "004"})  # versions of exports before Ghost 0.8


def _linked(
    post: Any, links: Mapping[Any, list[tuple[Any, Any]]], rows: Mapping[Any, Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    ordered = sorted(links.get(post, ()), key=lambda link: link[0])
    return [rows[target] for _, target in ordered if target in rows]


def _is_page(post: Mapping[str, Any]) -> bool:
    return post.get("type") == "page" or post.get("page") in (True, 1)


def _implied(post: Mapping[str, Any], tables: GhostTables) -> dict[str, Any]:
    """Return the values of missing columns that are certain.

    The Content API serves only published posts, without their status. Early exports have no visibility.
    """
    implied = {}
    if not tables.is_export and "status" not in post and post.get("published_at"):
        implied["status"] = "published"
    if tables.is_export and "visibility" not in post and tables.version in _WITHOUT_VISIBILITY:
        implied["visibility"] = "public"
    return implied


def _values(post: Mapping[str, Any], tables: GhostTables, options: SourceOptions) -> dict[str, Any]:
    names = [name for tag in tables.tags_of(post) if (name := _public_name(tag))]
    authors = [
        author.get("name") if isinstance(author, Mapping) else author for author in _authors(post, tables)
    ]
    return {
        "id": post.get("id"),
        "title": as_html(str(post.get("title") or "")),
        "body": _body(post),
        "url": _url(post, options),
        "category": names[0] if names else None,
        "tags": names[1:],
        "authors": [author for author in authors if isinstance(author, str)],
        "type": "post",
        "published_at": post.get("published_at"),
        "updated_at": post.get("updated_at"),
        "lang": post.get("locale"),
        "image_url": _address(post.get("feature_image") or post.get("image"), options),
    }


def _authors(post: Mapping[str, Any], tables: GhostTables) -> Sequence[Any]:
    authors = tables.authors_of(post)
    return authors if isinstance(authors, list | tuple) else ()


def _public_name(tag: Any) -> str:
    name = tag.get("name") if isinstance(tag, Mapping) else tag
    is_internal = isinstance(tag, Mapping) and tag.get("visibility") == "internal"
    return name if isinstance(name, str) and not is_internal and not name.startswith("#") else ""


def _url(post: Mapping[str, Any], options: SourceOptions) -> str | None:
    address, slug = _address(post.get("url"), options), post.get("slug")
    if address or not options.site or not isinstance(slug, str) or not slug:
        return address
    return options.address(f"/{slug}/")


def _address(value: Any, options: SourceOptions) -> str | None:
    """Return an address with that of the site in it; None if it is missing or the site is unknown."""
    if not isinstance(value, str) or not value:
        return None
    if value.startswith(_SITE):
        value = value.removeprefix(_SITE)
        return options.address(f"/{value.lstrip('/')}") if options.site else None
    return options.address(value)


def _body(post: Mapping[str, Any]) -> str:
    """Return the first body that has text, as HTML."""
    if html := post.get("html"):
        return str(html)
    if text := post.get("plaintext"):
        return as_html(str(text))
    for name in ("lexical", "mobiledoc"):
        if post.get(name):
            try:
                document = post[name] if isinstance(post[name], Mapping) else json.loads(post[name])
                html = lexical_html(document) if name == "lexical" else mobiledoc_html(document)
            except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
                detail = f"post {post.get('id')!r}: {type(error).__name__}: {error}"
                raise RefusedError("broken rich text", f"{name} of {detail}") from None
            if html:
                return html
    return markdown_html(str(post.get("markdown") or ""))


def lexical_html(document: Any) -> str:
    """Return the text of a Lexical document, or of a similar tree of nodes, as HTML."""
    root = document.get("root", document) if isinstance(document, Mapping) else document
    return "".join(_lexical(root))


def mobiledoc_html(document: Mapping[str, Any]) -> str:
    """Return the text of a Mobiledoc document as HTML."""
    atoms, cards = document.get("atoms") or (), document.get("cards") or ()
    blocks = []
    for kind, *parts in document.get("sections") or ():
        match kind:
            case 1:
                blocks.append(_markers(parts[1], atoms))
            case 3:
                blocks += [_markers(item, atoms) for item in parts[1]]
            case 10:
                name, payload = cards[parts[0]][:2]
                blocks.append("".join(_card({**(payload or {}), "type": str(name)})))
    return "".join(f"<div>{block}</div>" for block in blocks if block)


def _markers(markers: Sequence[Any], atoms: Sequence[Any]) -> str:
    texts = (atoms[marker[3]][1] if marker[0] == 1 else marker[3] for marker in markers)
    return "".join("<br>" if text == "" else escape(str(text)) for text in texts)


_INLINE = frozenset({"text", "extended-text", "link", "autolink", "at-link", "tk", "linebreak"})
_SKIPPED = frozenset({"email", "email-cta", "signup", "image", "gallery", "audio", "video", "file"})


def _lexical(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _lexical(child)
        return
    if not isinstance(node, Mapping):
        return
    kind = str(node.get("type", ""))
    if kind == "linebreak":
        yield "<br>"
        return
    is_inline = kind in _INLINE
    yield "" if is_inline else "<div>"
    if isinstance(text := node.get("text"), str):
        yield escape(text)
    yield from _card(node)
    yield from _lexical(node.get("children"))
    yield "" if is_inline else "</div>"


def _card(card: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of a card of the editor, in HTML: pictures, e-mail and forms have none."""
    if card.get("type") in _SKIPPED:
        return
    for name in ("markdown", "code", "heading", "calloutText", "productTitle", "productDescription", "html"):
        value = card.get(name)
        if isinstance(value, str) and value:
            as_block = (
                markdown_html(value) if name == "markdown" else escape(value) if name == "code" else value
            )
            yield f"<div>{as_block}</div>"
    if card.get("type") == "toggle" and isinstance(card.get("content"), str):
        yield f"<div>{card['content']}</div>"


def _related(value: Any) -> list[Any]:
    """Return the names in a relation: text, objects, or objects in `data` and `attributes`."""
    if isinstance(value, Mapping) and "data" in value:
        value = value["data"]
    related = [mapping_of(item).get("attributes", item) for item in list_of(value)]
    return [name for name in map(name_in, related) if isinstance(name, str)]


def _visibility(record: Mapping[str, Any]) -> Record:
    """Return the fields that may say whether a record is public."""
    return {name: value for name, value in record.items() if column_name(name) in KIND_OF}
