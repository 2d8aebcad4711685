"""Articles in the JSON of other services, field by field, and the parameters of their calls.

Texts are plain here, and HTML in the JSON of WordPress, so they are escaped for it. Moments are UTC.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field

from recommender.serving.http.parameters import Date, Parameters
from recommender.serving.index.categories import slug
from recommender.serving.index.documents import Documents

Item = dict[str, Any]  # as `answers.item_answer` has it

_EXCERPT_WORDS = 50
_DIGITS = 15  # of a number that JavaScript reads exactly
_JETPACK_VERSION = "20240517"  # of the answer; its script does not look at it
_JETPACK_IMAGE = {"width": 350, "height": 200}
_HEADLINE = '<h3 class="jp-relatedposts-headline"><em>Related</em></h3>'


def _ids(given: list[str]) -> list[str]:
    return [each for ids in given for each in ids.split(",") if each]


_Days = Annotated[str, Field(pattern=r"^[0-9]{1,5}[dh]$")]


class YarppParameters(Parameters):
    """Those of YARPP's call."""

    limit: Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")] = 9


class JetpackParameters(Parameters):
    """Those of Jetpack's call, and of ours how many, and of which address."""

    relatedposts_exclude: Annotated[
        tuple[str, ...], BeforeValidator(_ids), Field(max_length=200, description="ids, apart by commas")
    ] = ()
    size: Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")] = 3
    url: Annotated[str, Field(max_length=4096, description="the address of a post")] = ""


class HitsParameters(Parameters):
    """Those of the call of WordPress.com that Jetpack makes."""

    size: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")] = 10


class ParselyParameters(Parameters):
    """Those of Parse.ly's call that mean something here."""

    url: Annotated[str, Field(max_length=4096, description="the address of an article")] = ""
    limit: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")] = 10
    page: Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")] = 1
    section: Annotated[str, Field(max_length=200, description="the name of a section")] = ""
    sort: Annotated[str, Field(pattern="^(score|pub_date)$", description="'score' or 'pub_date'")] = "score"
    pub_date_start: Annotated[_Days | Date | None, Field(description="a date, or such as 7d or 12h")] = None
    pub_date_end: Annotated[Date | None, Field(description="a date")] = None

    @property
    def max_age_days(self) -> float | None:
        """How old an article may be, where that is said in days or hours."""
        start = self.pub_date_start
        return int(start[:-1]) / (24 if start[-1] == "h" else 1) if isinstance(start, str) else None

    @property
    def published_after(self) -> datetime | None:
        """The date that articles follow, where one is said."""
        return self.pub_date_start if isinstance(self.pub_date_start, datetime) else None


class GorseParameters(Parameters):
    """Those of Gorse's call."""

    n: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")] = 10
    offset: Annotated[int, Field(ge=0, le=1000, description="a whole number from 0 to 1000")] = 0


def yarpp_post(item: Item, documents: Documents, *, embeds: bool = False) -> dict[str, Any]:
    """Return an article as WordPress tells a post that is embedded, with YARPP's score."""
    post = {
        "id": _number(item["id"]),
        "date": _naive(item),
        "slug": unquote(urlsplit(item["url"] or "").path).rstrip("/").rpartition("/")[2],
        "type": documents.types[_row(item, documents)] or "post",
        "link": item["url"] or "",
        "title": {"rendered": escape(item["title"], quote=False)},
        "excerpt": {
            "rendered": f"<p>{escape(_excerpt(item, documents), quote=False)}</p>\n",
            "protected": False,
        },
        "author": 0,
        "featured_media": 0,
        "score": item["score"] or 0.0,
    }
    return post | {"_embedded": _embedded(item, documents)} if embeds else post


def jetpack_answer(items: Iterable[Item], documents: Documents, origin: str = "") -> dict[str, Any]:
    """Return a list as Jetpack tells it; `origin` is the id of the post that it belongs to."""
    posts = [_jetpack_post(item, documents, _number(origin), position) for position, item in enumerate(items)]
    return {
        "version": _JETPACK_VERSION,
        "show_thumbnails": any(post["img"]["src"] for post in posts),
        "show_date": True,
        "show_context": True,
        "layout": "grid",
        "headline": _HEADLINE,
        "items": posts,
    }


def jetpack_hits(items: Sequence[Item], total: int, site: str) -> dict[str, Any]:
    """Return a list as WordPress.com tells it to Jetpack: the ids and scores of posts of a site."""
    blog, scores = _number(site), [item["score"] or 0.0 for item in items]
    hits = [
        {"_score": score, "fields": {"post_id": _number(item["id"]), "blog_id": blog}}
        for score, item in zip(scores, items, strict=True)
    ]
    return {"total": total, "max_score": max(scores, default=0.0), "hits": hits}


def parsely_answer(items: Iterable[Item], documents: Documents, *, by_date: bool = False) -> dict[str, Any]:
    """Return a list as Parse.ly tells it, or the newest of it first."""
    posts = [_parsely_post(item, documents) for item in items]
    if by_date:
        posts.sort(key=lambda post: post["pub_date"] or "", reverse=True)
    return {"data": posts, "meta": {}, "links": {}, "success": True}


def gorse_score(item: Item) -> dict[str, Any]:
    """Return an article as Gorse tells it: by id and score, which is 0 for what is not similar."""
    return {"Id": item["id"], "Score": item["score"] or 0.0}


def _jetpack_post(item: Item, documents: Documents, origin: int | str, position: int) -> dict[str, Any]:
    category, image, published = item["category"], item["image_url"] or "", _published(item)
    return {
        "id": _number(item["id"]),
        "url": item["url"] or "",
        "url_meta": {"origin": origin, "position": position},
        "title": item["title"],
        "date": "" if published is None else f"{published:%B} {published.day}, {published.year}",
        "format": False,
        "excerpt": _excerpt(item, documents),
        "rel": "",
        "context": f'In "{escape(category, quote=False)}"' if category else "Similar post",
        "img": {"alt_text": "", "src": image} | (_JETPACK_IMAGE if image else {"width": 0, "height": 0}),
        "classes": [],
    }


def _parsely_post(item: Item, documents: Documents) -> dict[str, Any]:
    row, url, image = _row(item, documents), item["url"] or "", item["image_url"] or ""
    return {
        "title": item["title"],
        "url": url,
        "link": url,
        "author": ", ".join(documents.authors[row]),
        "authors": list(documents.authors[row]),
        "section": item["category"] or "",
        "tags": list(documents.tags[row]),
        "pub_date": _naive(item),
        "image_url": image,
        "thumb_url_medium": image,
        "metadata": "",
        "full_content_word_count": len(documents.bodies[row].split()),
    }


def _embedded(item: Item, documents: Documents) -> dict[str, Any]:
    row, image = _row(item, documents), item["image_url"]
    found: dict[str, Any] = {"author": [{"name": name} for name in documents.authors[row]]}
    if image:
        found["wp:featuredmedia"] = [{"media_type": "image", "alt_text": "", "source_url": image}]
    found["wp:term"] = [_terms("category", item["categories"]), _terms("post_tag", documents.tags[row])]
    return found


def _terms(taxonomy: str, names: Iterable[str]) -> list[dict[str, str]]:
    return [{"name": name, "slug": slug(name), "taxonomy": taxonomy} for name in names]


def _number(article_id: str) -> int | str:
    """Return an id as WordPress has it, a number; ids that are none stay as they are."""
    if not (article_id.isascii() and article_id.isdecimal() and len(article_id) <= _DIGITS):
        return article_id
    return int(article_id) if str(int(article_id)) == article_id else article_id


def _published(item: Item) -> datetime | None:
    return None if item["published_at"] is None else datetime.fromisoformat(item["published_at"])


def _naive(item: Item) -> str | None:
    published = _published(item)
    return None if published is None else published.strftime("%Y-%m-%dT%H:%M:%S")


def _excerpt(item: Item, documents: Documents) -> str:
    """Return the first words of a body."""
    words = documents.bodies[_row(item, documents)].split(maxsplit=_EXCERPT_WORDS)
    return " ".join(words[:_EXCERPT_WORDS]) + ("\u2026" if len(words) > _EXCERPT_WORDS else "")


def _row(item: Item, documents: Documents) -> int:
    row = documents.find(item["id"])
    assert row is not None  # noqa: S101 it stands in a list of these
    return row
