"""The JSON formats of other services, field by field, and the parameters of their endpoints.

Our titles and texts are plain; WordPress sends HTML, so its fields are escaped. All times are in UTC.
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

ItemJson = dict[str, Any]  # as `responses.item_json` returns it

_EXCERPT_WORDS = 50
_MAX_DIGITS = 15  # JavaScript rounds larger integers
_JETPACK_VERSION = "20240517"  # of the response format; Jetpack's script ignores it
_JETPACK_IMAGE = {"width": 350, "height": 200}
_HEADLINE = '<h3 class="jp-relatedposts-headline"><em>Related</em></h3>'


def _ids(values: list[str]) -> list[str]:
    return [article_id for value in values for article_id in value.split(",") if article_id]


_Age = Annotated[str, Field(pattern=r"^[0-9]{1,5}[dh]$")]


class YarppParameters(Parameters):
    """The parameters of the YARPP endpoint."""

    limit: Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")] = 9


class JetpackParameters(Parameters):
    """The parameters of the Jetpack endpoint. `size` and `url` are our additions."""

    relatedposts_exclude: Annotated[
        tuple[str, ...],
        BeforeValidator(_ids),
        Field(max_length=200, description="article ids, separated by commas"),
    ] = ()
    size: Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")] = 3
    url: Annotated[str, Field(max_length=4096, description="the URL of a post")] = ""


class HitsParameters(Parameters):
    """The parameters of the WordPress.com endpoint that Jetpack uses."""

    size: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")] = 10


class ParselyParameters(Parameters):
    """The supported parameters of the Parse.ly endpoint."""

    url: Annotated[str, Field(max_length=4096, description="the URL of an article")] = ""
    limit: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")] = 10
    page: Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")] = 1
    section: Annotated[str, Field(max_length=200, description="the name of a category")] = ""
    sort: Annotated[str, Field(pattern="^(score|pub_date)$", description="'score' or 'pub_date'")] = "score"
    pub_date_start: Annotated[
        _Age | Date | None, Field(description="a date, or an age such as 7d or 12h")
    ] = None
    pub_date_end: Annotated[Date | None, Field(description="a date")] = None

    @property
    def max_age_days(self) -> float | None:
        """The maximum age in days, if `pub_date_start` is an age; otherwise None."""
        start = self.pub_date_start
        return int(start[:-1]) / (24 if start[-1] == "h" else 1) if isinstance(start, str) else None

    @property
    def published_after(self) -> datetime | None:
        """The earliest date, if `pub_date_start` is a date; otherwise None."""
        return self.pub_date_start if isinstance(self.pub_date_start, datetime) else None


class GorseParameters(Parameters):
    """The parameters of the Gorse endpoint."""

    n: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")] = 10
    offset: Annotated[int, Field(ge=0, le=1000, description="a whole number from 0 to 1000")] = 0


def yarpp_post(item: ItemJson, documents: Documents, *, embeds: bool = False) -> dict[str, Any]:
    """Return an article in the post format of the WordPress REST API, with the score of YARPP."""
    post = {
        "id": _number(item["id"]),
        "date": _utc_date(item),
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


def jetpack_list(items: Iterable[ItemJson], documents: Documents, origin: str = "") -> dict[str, Any]:
    """Return a list in the format of Jetpack; `origin` is the id of the post that it is for."""
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


def jetpack_hits(items: Sequence[ItemJson], total: int, site: str) -> dict[str, Any]:
    """Return a list in the format that WordPress.com sends to Jetpack: ids and scores of posts of a site."""
    blog, scores = _number(site), [item["score"] or 0.0 for item in items]
    hits = [
        {"_score": score, "fields": {"post_id": _number(item["id"]), "blog_id": blog}}
        for score, item in zip(scores, items, strict=True)
    ]
    return {"total": total, "max_score": max(scores, default=0.0), "hits": hits}


def parsely_list(items: Iterable[ItemJson], documents: Documents, *, by_date: bool = False) -> dict[str, Any]:
    """Return a list in the format of Parse.ly, in the given order or newest first."""
    posts = [_parsely_post(item, documents) for item in items]
    if by_date:
        posts.sort(key=lambda post: post["pub_date"] or "", reverse=True)
    return {"data": posts, "meta": {}, "links": {}, "success": True}


def gorse_score(item: ItemJson) -> dict[str, Any]:
    """Return an article in the format of Gorse: its id, and its score or 0."""
    return {"Id": item["id"], "Score": item["score"] or 0.0}


def _jetpack_post(item: ItemJson, documents: Documents, origin: int | str, position: int) -> dict[str, Any]:
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


def _parsely_post(item: ItemJson, documents: Documents) -> dict[str, Any]:
    row, url, image = _row(item, documents), item["url"] or "", item["image_url"] or ""
    return {
        "title": item["title"],
        "url": url,
        "link": url,
        "author": ", ".join(documents.authors[row]),
        "authors": list(documents.authors[row]),
        "section": item["category"] or "",
        "tags": list(documents.tags[row]),
        "pub_date": _utc_date(item),
        "image_url": image,
        "thumb_url_medium": image,
        "metadata": "",
        "full_content_word_count": len(documents.bodies[row].split()),
    }


def _embedded(item: ItemJson, documents: Documents) -> dict[str, Any]:
    row, image = _row(item, documents), item["image_url"]
    embedded: dict[str, Any] = {"author": [{"name": name} for name in documents.authors[row]]}
    if image:
        embedded["wp:featuredmedia"] = [{"media_type": "image", "alt_text": "", "source_url": image}]
    embedded["wp:term"] = [_terms("category", item["categories"]), _terms("post_tag", documents.tags[row])]
    return embedded


def _terms(taxonomy: str, names: Iterable[str]) -> list[dict[str, str]]:
    return [{"name": name, "slug": slug(name), "taxonomy": taxonomy} for name in names]


def _number(article_id: str) -> int | str:
    """Return an id as an integer, as in WordPress; any other id is returned unchanged."""
    if not (article_id.isascii() and article_id.isdecimal() and len(article_id) <= _MAX_DIGITS):
        return article_id
    return int(article_id) if str(int(article_id)) == article_id else article_id


def _published(item: ItemJson) -> datetime | None:
    return None if item["published_at"] is None else datetime.fromisoformat(item["published_at"])


def _utc_date(item: ItemJson) -> str | None:
    published = _published(item)
    return None if published is None else published.strftime("%Y-%m-%dT%H:%M:%S")


def _excerpt(item: ItemJson, documents: Documents) -> str:
    """Return the first words of the body."""
    words = documents.bodies[_row(item, documents)].split(maxsplit=_EXCERPT_WORDS)
    return " ".join(words[:_EXCERPT_WORDS]) + ("\u2026" if len(words) > _EXCERPT_WORDS else "")


def _row(item: ItemJson, documents: Documents) -> int:
    row = documents.find(item["id"])
    assert row is not None  # noqa: S101 the item comes from these documents
    return row
