"""Posts of a WordPress site over its REST API: which there are, and those that are wanted."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from recommender.fields import RefusedError
from recommender.training.readers.files import RawRow
from recommender.training.readers.remote import Remote, SiteError, SiteResponse
from recommender.training.readers.wordpress import date_of

PER_PAGE = 100  # the most that WordPress gives
MAX_STEPS_BACK = 5  # without anything new: a site that hides posts from its own pages must not hold us up
MAX_FAILED = 3  # posts that fail by themselves, one after the other

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Listed:
    """A published post as a list of posts names it."""

    post_id: int
    updated_at: str  # ISO 8601
    is_public: bool  # False: it asks for a password, or is a draft


class WordPressSite:
    """A site, and which kind of its posts is asked for, by the name in its addresses (`posts`)."""

    def __init__(self, remote: Remote, root: str, kind: str = "posts") -> None:
        self._remote, self._root, self._kind = remote, root, kind
        self._per_page = PER_PAGE
        self._names: dict[str, dict[int, str]] = {"categories": {}, "tags": {}}  # of terms, by their ids

    @classmethod
    def at(cls, url: str, remote: Remote, kind: str = "posts") -> "WordPressSite":
        """Return the site of an address, any of its pages. Raises SiteError where no REST API is found.

        Where the page names none, as some sites hide it, the API is looked for where it lies by default.
        """
        refusal = SiteError(f"{url} names no WordPress REST API; is it a WordPress site, and the API open?")
        try:
            if root := _root_of(remote.get(url)):
                return cls(remote, root, kind)
        except SiteError as error:
            if error.status not in _GONE:
                raise
            refusal = error
        site = cls(remote, urljoin(f"{url.rstrip('/')}/", "wp-json/"), kind)
        try:
            _list_of(site._get("", {"per_page": "1", "_fields": "id"}))
        except SiteError as error:
            if error.is_failing:
                raise
            raise refusal from None
        return site

    def listed(self, since: datetime | None = None) -> Iterator[Listed]:
        """Yield all published posts in the order of their ids; only those published or changed `since`.

        A post that is published on its day was last changed before, so both are asked. Posts that come and
        go meanwhile make others neither twice nor missing.
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
        """Yield the posts of these ids, each as a row of our columns; those that are not public as skipped.

        Where the site fails it is asked for fewer at once; a post that fails alone is refused. Raises
        SiteError when the site fails altogether.
        """
        left, failed = list(post_ids), 0
        while left:
            chunk = left[: self._per_page]
            try:
                found = self._posts(chunk)
            except SiteError as error:
                failed += len(chunk) == 1
                if not error.is_failing or failed >= MAX_FAILED or error.wait_seconds:
                    raise
                if len(chunk) > 1:
                    self._per_page = max(1, len(chunk) // 4)
                    continue
                found = [RawRow(chunk[0], refused=RefusedError("unreadable post", str(error), str(chunk[0])))]
            else:
                failed = 0
            yield from found
            left = left[len(chunk) :]

    def is_public(self, post_id: int) -> bool:
        """Tell whether everybody may read a post, by asking for it alone. Raises SiteError."""
        try:
            post = self._get(str(post_id), {"_fields": _LISTED_FIELDS}).json()
        except SiteError as error:
            if error.status in _GONE and isinstance(error.answer, dict) and "code" in error.answer:
                return False
            raise
        return _listed(post).is_public

    def _walk(self, wanted: Mapping[str, str]) -> Iterator[Listed]:
        """Yield posts by id; each page begins with the last of the one before, or the walk steps back."""
        offset, last, steps_back = 0, 0, 0
        while True:
            size = self._per_page
            parameters = {
                "status": "publish", "orderby": "id", "order": "asc", "per_page": str(size),
                "offset": str(offset), "_fields": _LISTED_FIELDS, **wanted,
            }  # fmt: skip
            try:
                page = [_listed(post) for post in _list_of(self._get("", parameters))]
            except SiteError as error:
                if not error.is_failing or error.wait_seconds or size == 1:
                    raise
                self._per_page = max(1, size // 4)
                continue
            if offset and (not page or page[0].post_id > last) and steps_back < MAX_STEPS_BACK:
                offset = max(0, offset - size)  # posts before this page are gone, and others moved up
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
            self._learn(taxonomy, posts)
        return [self._row(post) for post in posts]

    def _learn(self, taxonomy: str, posts: Iterable[Mapping[str, Any]]) -> None:
        """Take the names of terms from what posts embed, and ask for the rest: ten at most are embedded."""
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
            answer = self._remote.get(self._address(f"wp/v2/{taxonomy}"), parameters)
            names |= {term["id"]: term["name"] for term in _list_of(answer)}

    def _row(self, post: Mapping[str, Any]) -> RawRow:
        number = int(post["id"])
        if post["content"].get("protected"):
            return RawRow(number, skipped="password")
        embedded = post.get("_embedded") or {}
        categories = self._sorted("categories", post)
        values = {
            "id": str(number),
            "title": post["title"]["rendered"],
            "body": post["content"]["rendered"],
            "url": post.get("link"),
            "categories": _primary_first(categories, post),
            "tags": self._sorted("tags", post),
            "authors": [name for each in embedded.get("author") or () if (name := each.get("name"))],
            "type": post.get("type"),
            "published_at": _utc(post, "date"),
            "updated_at": _utc(post, "modified"),
            "image_url": next(
                (each.get("source_url") for each in embedded.get("wp:featuredmedia") or ()), None
            ),
        }
        return RawRow(number, values)

    def _sorted(self, taxonomy: str, post: Mapping[str, Any]) -> list[str]:
        """Return the names of a post's terms in their order, as WordPress shows and exports them."""
        names = self._names[taxonomy]
        found = (html.unescape(names[term]) for term in post.get(taxonomy) or () if term in names)
        return sorted(found, key=lambda name: (name.casefold(), name))

    def _get(self, path: str, parameters: Mapping[str, str]) -> SiteResponse:
        return self._remote.get(self._address(f"wp/v2/{self._kind}/{path}".rstrip("/")), parameters)

    def _address(self, path: str) -> str:
        # Without pretty permalinks the root is `/?rest_route=/`, and takes the path at its end as well.
        return f"{self._root.rstrip('/')}/{path}"


_GONE = frozenset({401, 403, 404, 410})
_LISTED_FIELDS = "id,status,modified_gmt,modified,content.protected"
_FIELDS = (
    "id,type,date,date_gmt,modified,modified_gmt,link,title,content,categories,tags,yoast_head_json,"
    "_links,_embedded"
)
_API = "https://api.w.org/"


def _root_of(page: SiteResponse) -> str | None:
    """Return the address of the REST API that a page names in its headers or its head."""
    for part in page.headers.get("Link", "").split(","):
        address, _, parameters = part.partition(";")
        if re.search(rf'\brel="?{re.escape(_API)}"?', parameters):
            return str(urljoin(page.url, address.strip(" <>")))
    found = LexborHTMLParser(page.body).css_first(f'link[rel="{_API}"]') if b"<" in page.body else None
    address = str(found.attributes.get("href") or "") if found else ""
    return urljoin(page.url, address) if address else None


def _list_of(answer: SiteResponse) -> list[dict[str, Any]]:
    found = answer.json()
    if not isinstance(found, list) or not all(isinstance(each, dict) and "id" in each for each in found):
        raise SiteError(f"{answer.url} answers no list of posts", answer.status)
    return found


def _listed(post: Mapping[str, Any]) -> Listed:
    is_protected = bool((post.get("content") or {}).get("protected"))
    is_public = post.get("status", "publish") == "publish" and not is_protected
    return Listed(int(post["id"]), _utc(post, "modified") or "", is_public)


def _utc(post: Mapping[str, Any], name: str) -> str | None:
    return date_of(str(post.get(f"{name}_gmt") or ""), str(post.get(name) or ""))


def _primary_first(categories: list[str], post: Mapping[str, Any]) -> list[str]:
    """Return the categories, first the one that Yoast's breadcrumbs lead through, the innermost."""
    graph = ((post.get("yoast_head_json") or {}).get("schema") or {}).get("@graph") or ()
    trails = (node.get("itemListElement") or () for node in graph if node.get("@type") == "BreadcrumbList")
    names = [html.unescape(str(step.get("name", ""))) for trail in trails for step in trail]
    primary = next((name for name in reversed(names) if name in categories), None)
    return categories if primary is None else [primary, *categories]
