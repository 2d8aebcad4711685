"""Posts of a WordPress site over its REST API: list all posts, and fetch some of them."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from recommender.fields import RefusedError
from recommender.training.formats.files import RawRow
from recommender.training.formats.wordpress import date_of
from recommender.training.sites.remote import Remote, SiteError, SiteResponse
from recommender.visibility import why_hidden

PER_PAGE = 100  # WordPress's maximum
MAX_STEPS_BACK = 5  # without new posts: a site that hides posts from its own lists must not block the import
MAX_FAILED = 3  # single posts that fail in a row

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PostSummary:
    """An entry in a list of published posts."""

    post_id: int
    updated_at: str  # ISO 8601
    is_public: bool  # False: it is password-protected or a draft


class WordPressSite:
    """A site, and the type of posts to read, by its name in the REST routes (`posts`)."""

    def __init__(self, remote: Remote, root: str, kind: str = "posts") -> None:
        self._remote, self._root, self._kind = remote, root, kind
        self._per_page = PER_PAGE
        self._names: dict[str, dict[int, str]] = {"categories": {}, "tags": {}}  # names of terms by id

    @classmethod
    def at(cls, url: str, remote: Remote, kind: str = "posts") -> "WordPressSite":
        """Return the site of an address, any of its pages. Raises SiteError if no REST API is found.

        If the page has no link to the API, because some sites hide it, the default address is tried.
        """
        error_for_page = SiteError(
            f"{url} has no link to a WordPress REST API; check that it is WordPress and its API is public"
        )
        try:
            if root := _root_of(remote.get(url)):
                return cls(remote, root, kind)
        except SiteError as error:
            if error.status not in _NOT_PUBLIC:
                raise
            error_for_page = error
        site = cls(remote, urljoin(f"{url.rstrip('/')}/", "wp-json/"), kind)
        try:
            _list_of(site._get("", {"per_page": "1", "_fields": "id"}))
        except SiteError as error:
            if error.is_failing:
                raise
            raise error_for_page from None
        return site

    def listed(self, since: datetime | None = None) -> Iterator[PostSummary]:
        """Yield all published posts in the order of their ids, or those published or changed after `since`.

        A scheduled post was changed before its publication, so both dates are queried. Posts that are added
        or removed meanwhile do not cause duplicates or gaps.
        """
        if since is None:
            yield from self._walk({})
            return
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        seen = set()
        for name in ("modified_after", "after"):
            for post in self._walk({name: moment}):
                if post.post_id not in seen:
                    seen.add(post.post_id)
                    yield post

    def rows(self, post_ids: Sequence[int]) -> Iterator[RawRow]:
        """Yield the posts with these ids as rows of our columns; posts that are not public are skipped rows.

        If the site fails, fewer posts are requested at once; a single post that fails is refused. Raises
        SiteError if the site fails altogether.
        """
        pending, failed = list(post_ids), 0
        while pending:
            chunk = pending[: self._per_page]
            try:
                rows = self._posts(chunk)
            except SiteError as error:
                failed += len(chunk) == 1
                if not error.is_failing or failed >= MAX_FAILED or error.wait_seconds:
                    raise
                if len(chunk) > 1:
                    self._per_page = max(1, len(chunk) // 4)
                    continue
                rows = [RawRow(chunk[0], refused=RefusedError("unreadable post", str(error), str(chunk[0])))]
            else:
                failed = 0
            yield from rows
            pending = pending[len(chunk) :]

    def is_public(self, post_id: int) -> bool:
        """Return whether a post is public, by requesting it alone. Raises SiteError."""
        try:
            post = self._get(str(post_id), {"_fields": _SUMMARY_FIELDS}).json()
        except SiteError as error:
            if error.status in _NOT_PUBLIC and isinstance(error.content, dict) and "code" in error.content:
                return False
            raise
        return _summary(post).is_public

    def _walk(self, wanted: Mapping[str, str]) -> Iterator[PostSummary]:
        """Yield posts by id. Each page must begin with the last post of the page before; else step back."""
        offset, last, steps_back = 0, 0, 0
        while True:
            size = self._per_page
            parameters = {
                "status": "publish", "orderby": "id", "order": "asc", "per_page": str(size),
                "offset": str(offset), "_fields": _SUMMARY_FIELDS, **wanted,
            }  # fmt: skip
            try:
                page = [_summary(post) for post in _list_of(self._get("", parameters))]
            except SiteError as error:
                if not error.is_failing or error.wait_seconds or size == 1:
                    raise
                self._per_page = max(1, size // 4)
                continue
            if offset and (not page or page[0].post_id > last) and steps_back < MAX_STEPS_BACK:
                offset = max(0, offset - size)  # posts before this page were removed, so later ones moved up
                steps_back += 1
                continue
            new = [post for post in page if post.post_id > last]
            steps_back = 0 if new else steps_back
            yield from new
            if len(page) < size:
                return
            offset += len(page) - (size > 1)
            last = page[-1].post_id

    def _posts(self, post_ids: Sequence[int]) -> list[RawRow]:
        parameters = {
            "status": "publish", "include": ",".join(map(str, post_ids)), "per_page": str(len(post_ids)),
            "orderby": "id", "order": "asc", "_fields": _FIELDS, "_embed": "author,wp:featuredmedia,wp:term",
        }  # fmt: skip
        posts = _list_of(self._get("", parameters))
        for taxonomy in self._names:
            self._add_term_names(taxonomy, posts)
        return [self._row(post) for post in posts]

    def _add_term_names(self, taxonomy: str, posts: Iterable[Mapping[str, Any]]) -> None:
        """Store the names of terms embedded in the posts, and request the rest: at most ten are embedded."""
        names = self._names[taxonomy]
        wanted = {term for post in posts for term in post.get(taxonomy) or ()}
        for post in posts:
            for group in (post.get("_embedded") or {}).get("wp:term") or ():
                if isinstance(group, list):
                    names |= {t["id"]: t["name"] for t in group if isinstance(t, dict) and "name" in t}
        missing = sorted(wanted - names.keys())
        for start in range(0, len(missing), PER_PAGE):
            some = ",".join(map(str, missing[start : start + PER_PAGE]))
            parameters = {"include": some, "per_page": str(PER_PAGE), "_fields": "id,name"}
            response = self._remote.get(self._address(f"wp/v2/{taxonomy}"), parameters)
            names |= {term["id"]: term["name"] for term in _list_of(response)}

    def _row(self, post: Mapping[str, Any]) -> RawRow:
        number = int(post["id"])
        if kind := _why_hidden(post):
            return RawRow(number, skipped=kind)
        embedded = post.get("_embedded") or {}
        categories = self._sorted("categories", post)
        values = {
            "id": str(number),
            "title": post["title"]["rendered"],
            "body": post["content"]["rendered"],
            "url": post.get("link"),
            "categories": _primary_first(categories, post),
            "tags": self._sorted("tags", post),
            "authors": [name for embed in embedded.get("author") or () if (name := embed.get("name"))],
            "type": post.get("type"),
            "published_at": _utc(post, "date"),
            "updated_at": _utc(post, "modified"),
            "lang": _language(post),
            "image_url": next(
                (embed.get("source_url") for embed in embedded.get("wp:featuredmedia") or ()), None
            ),
        }
        return RawRow(number, values)

    def _sorted(self, taxonomy: str, post: Mapping[str, Any]) -> list[str]:
        """Return the names of a post's terms, sorted as WordPress displays and exports them."""
        names = self._names[taxonomy]
        terms = (html.unescape(names[term]) for term in post.get(taxonomy) or () if term in names)
        return sorted(terms, key=lambda name: (name.casefold(), name))

    def _get(self, path: str, parameters: Mapping[str, str]) -> SiteResponse:
        return self._remote.get(self._address(f"wp/v2/{self._kind}/{path}".rstrip("/")), parameters)

    def _address(self, path: str) -> str:
        # Without pretty permalinks the root is `/?rest_route=/`, and the path is appended in the same way.
        return f"{self._root.rstrip('/')}/{path}"


_NOT_PUBLIC = frozenset({401, 403, 404, 410})
_SUMMARY_FIELDS = "id,status,modified_gmt,modified,content.protected"
_FIELDS = (
    "id,type,status,date,date_gmt,modified,modified_gmt,link,title,content,categories,tags,yoast_head_json,"
    "lang,locale,wpml_current_locale,_links,_embedded"
)
_API = "https://api.w.org/"


def _root_of(page: SiteResponse) -> str | None:
    """Return the address of the REST API that a page links to in its headers or its head."""
    for part in page.headers.get("Link", "").split(","):
        address, _, parameters = part.partition(";")
        if re.search(rf'\brel="?{re.escape(_API)}"?', parameters):
            return str(urljoin(page.url, address.strip(" <>")))
    link = LexborHTMLParser(page.body).css_first(f'link[rel="{_API}"]') if b"<" in page.body else None
    address = str(link.attributes.get("href") or "") if link else ""
    return urljoin(page.url, address) if address else None


def _list_of(response: SiteResponse) -> list[dict[str, Any]]:
    posts = response.json()
    if not isinstance(posts, list) or not all(isinstance(post, dict) and "id" in post for post in posts):
        raise SiteError(f"{response.url} is not a list of posts", response.status)
    return posts


def _summary(post: Mapping[str, Any]) -> PostSummary:
    return PostSummary(int(post["id"]), _utc(post, "modified") or "", not _why_hidden(post))


def _why_hidden(post: Mapping[str, Any]) -> str:
    is_protected = bool((post.get("content") or {}).get("protected"))
    columns = {
        "wp:status": post.get("status", "publish"),
        "wp:post_password": "protected" if is_protected else "",
    }
    return why_hidden(columns, is_dated=True)


def _utc(post: Mapping[str, Any], name: str) -> str | None:
    return date_of(str(post.get(f"{name}_gmt") or ""), str(post.get(name) or ""))


def _language(post: Mapping[str, Any]) -> str | None:
    """Return the language that Polylang (`lang`), WPML or Bogo states for a post."""
    stated = (post.get(name) for name in ("lang", "wpml_current_locale", "locale"))
    return next((lang for lang in stated if isinstance(lang, str) and lang), None)


def _primary_first(categories: list[str], post: Mapping[str, Any]) -> list[str]:
    """Return the categories; the innermost category in Yoast's breadcrumbs comes first."""
    graph = ((post.get("yoast_head_json") or {}).get("schema") or {}).get("@graph") or ()
    trails = (node.get("itemListElement") or () for node in graph if node.get("@type") == "BreadcrumbList")
    names = [html.unescape(str(step.get("name", ""))) for trail in trails for step in trail]
    primary = next((name for name in reversed(names) if name in categories), None)
    return categories if primary is None else [primary, *categories]
