"""Related lists in the shapes of other services, for sites that move over by changing an address.

Each call answers a list of ours, as long and in the same order, under the address and in the JSON that is
documented for a service that sites use today. What their clients send besides is passed over.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlencode

from flask import Flask, Response, request
from pydantic_core import from_json

from recommender.article import InvalidArticleError, check_id
from recommender.serving.cache.caching import ResponseCache, to_response
from recommender.serving.compat.formats import (
    GorseParameters,
    HitsParameters,
    JetpackParameters,
    ParselyParameters,
    YarppParameters,
    gorse_score,
    jetpack_answer,
    jetpack_hits,
    parsely_answer,
    yarpp_post,
)
from recommender.serving.http.parameters import AnyParameters, read_query
from recommender.serving.http.problems import Problem
from recommender.serving.http.requests import json_object
from recommender.serving.http.responses import ResponseBuilder, etag_of, to_bytes
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.index.documents import Documents
from recommender.serving.lists.query import ListQuery
from recommender.serving.routes.lookup import find_row
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context

MAX_ITEMS = 50  # of a list; pages end there

Found = dict[str, Any]  # a list, as `answers.list_answer` has it
Shape = Callable[[Found, Documents], Any]


class DropInRoutes:
    """The calls of other services that a setting names."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        site = "sites/<site>/posts/<article_id>/related"
        routes: dict[str, list[tuple[str, Callable[..., Response], str]]] = {
            "yarpp": [("/wp-json/yarpp/v1/related/<article_id>", self.yarpp, "GET")],
            "jetpack": [
                ("/<tail:path>", self.jetpack, "GET"),
                *(
                    (f"/rest/{each}/{site}{end}", self.hits, "POST")
                    for each in ("v1", "v1.1")
                    for end in ("", "/")
                ),
            ],
            "parsely": [("/v2/related", self.parsely, "GET"), ("/related", self.parsely, "GET")],
            "gorse": [
                ("/api/item/<tail:article_id>/neighbors", self.gorse, "GET"),
                ("/api/item/<tail:article_id>/neighbors/<category>", self.gorse, "GET"),
            ],
        }
        for name in self._context.settings.drop_in:
            for at, (rule, view, method) in enumerate(routes[name]):
                app.add_url_rule(rule, f"drop_in_{name}_{at}", view, methods=[method])

    def yarpp(self, article_id: str) -> Response:
        """Answer as the plugin YARPP does: posts as WordPress tells them when they are embedded."""
        given = _parameters(YarppParameters)
        embeds, fields = "_embed" in request.args, request.args.get("_fields", "")
        names = {field.split(".")[0].strip() for field in fields.split(",") if field.strip()}

        def shape(found: Found, documents: Documents) -> Any:
            posts = [yarpp_post(item, documents, embeds=embeds) for item in found["items"]]
            return [{name: post[name] for name in post if not names or name in names} for post in posts]

        return self._answer("id", article_id, ListQuery(limit=given.limit), shape) or _no_post()

    def jetpack(self, path: str) -> Response:
        """Answer as Jetpack does at the address of a post with `?relatedposts=1`, or anywhere with `url`."""
        if "relatedposts" not in request.args:
            raise Problem("not-found", f"there is nothing at {request.path[:100]}")
        given = _parameters(JetpackParameters)
        address = given.url or f"https://{request.host}/{path}"
        query = ListQuery(limit=given.size, exclude=given.relatedposts_exclude)

        def shape(found: Found, documents: Documents) -> Any:
            return jetpack_answer(found["items"], documents, found["article_id"] or "")

        return self._answer("url", address, query, shape) or self._nothing(shape)

    def hits(self, site: str, article_id: str) -> Response:
        """Answer as WordPress.com does to whom Jetpack asks: ids and scores; of an unknown post none."""
        size = self._size()
        given = read_query(HitsParameters, "" if size is None else urlencode({"size": size}))

        def shape(found: Found, _: Documents) -> Any:
            return jetpack_hits(found["items"], found["eligible"], site)

        return self._answer("id", article_id, ListQuery(limit=given.size), shape) or self._nothing(shape)

    def parsely(self) -> Response:
        """Answer as `/related` of Parse.ly's API does: of an unknown address the newest articles."""
        given = _parameters(ParselyParameters)
        start = (given.page - 1) * given.limit
        query = ListQuery(
            limit=min(start + given.limit, MAX_ITEMS),
            categories=(given.section,) if given.section else (),
            max_age_days=given.max_age_days,
            published_after=given.published_after,
            published_before=given.pub_date_end,
        )

        def shape(found: Found, documents: Documents) -> Any:
            return parsely_answer(found["items"][start:], documents, by_date=given.sort == "pub_date")

        return self._answer("url", given.url, query, shape, unknown="fallback") or self._nothing(shape)

    def gorse(self, article_id: str, category: str = "") -> Response:
        """Answer as Gorse does: ids and scores; of an unknown item none."""
        given = _parameters(GorseParameters)
        query = ListQuery(
            limit=min(given.offset + given.n, MAX_ITEMS), categories=(category,) if category else ()
        )

        def shape(found: Found, _: Documents) -> Any:
            return [gorse_score(item) for item in found["items"][given.offset :]]

        return self._answer("id", article_id, query, shape) or self._nothing(shape)

    def _answer(
        self,
        by: Literal["id", "url"],
        value: str,
        query: ListQuery,
        shape: Shape,
        *,
        unknown: Literal["404", "fallback"] = "404",
    ) -> Response | None:
        """Return the list of an article in a shape; None where there is no such article or section.

        Our own list is what is kept, and known to caches by what it holds.
        """
        view = self._context.view()
        row = self._row(by, value, view)
        if row is None and (unknown == "404" or self._is_withdrawn(value, view)):
            return None
        related, now = view.related, view.now

        def build(builder: ResponseBuilder) -> Found:
            if row is None:
                related_list = related.recent(query, now, trending=view.trending)
            else:
                related_list = related.of_row(row, query, now, trending=view.trending)
            return builder.whole_list(related_list)

        try:
            cached = self._cache.get(view, ("drop-in", row, query.canonical), build)
        except UnknownCategoryError:
            return None
        body = to_bytes(shape(from_json(cached.body), related.articles))
        return to_response(replace(cached, body=body, etag=etag_of(body)), view)

    def _size(self) -> Any:
        """Return the `size` that the body asks for, a form or JSON; None: it says none."""
        if request.mimetype == "application/json":
            return json_object("how many", self._context.settings.max_body_bytes).get("size")
        return request.form.get("size")

    def _row(self, by: Literal["id", "url"], value: str, view: ConsistentView) -> int | None:
        try:
            return find_row(by, check_id(value) if by == "id" else value, view)
        except (InvalidArticleError, Problem):
            return None

    def _is_withdrawn(self, url: str, view: ConsistentView) -> bool:
        related = view.related
        try:
            row = related.articles.find_url(url)
        except ValueError:
            return False
        return row is not None and related.articles.ids[row] in related.snapshot.withdrawn

    def _nothing(self, shape: Shape) -> Response:
        """Answer an empty list in a shape. No cache keeps it, so that a new article is not hidden."""
        nothing: Found = {"article_id": None, "eligible": 0, "items": []}
        body = to_bytes(shape(nothing, self._context.related.articles))
        return Response(body, headers={"Cache-Control": "no-store"}, content_type="application/json")


def _no_post() -> Response:
    """Answer as WordPress does where there is no such post."""
    body = {"code": "rest_post_invalid_id", "message": "Invalid post ID.", "data": {"status": 404}}
    return Response(to_bytes(body), 404, content_type="application/json")


def _parameters(schema: type[AnyParameters]) -> AnyParameters:
    """Return those parameters of the query string that the schema names."""
    known = [(name, value) for name, value in request.args.items(multi=True) if name in schema.model_fields]
    return read_query(schema, urlencode(known))
