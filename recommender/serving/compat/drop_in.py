"""Endpoints of other recommendation services, so that a site can switch by changing a URL.

Each endpoint returns the same articles in the same order as `/v1/related`, at the path and in the JSON format
that the other service documents. Parameters that have no equivalent here are ignored. The JSON is made from
our own list, as it is cached. So rate limits, caching and the rules on what may be shown need no code here.
Clients of these services cannot exclude a category, so the setting `drop_in_exclude_category` does.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlencode

from flask import Flask, Response, request
from pydantic_core import from_json

from recommender.article import InvalidArticleError, check_id
from recommender.serving.cache.caching import ResponseCache
from recommender.serving.compat.formats import (
    GorseParameters,
    HitsParameters,
    JetpackParameters,
    ParselyParameters,
    YarppParameters,
    gorse_score,
    jetpack_hits,
    jetpack_list,
    parsely_list,
    yarpp_post,
)
from recommender.serving.http.parameters import AnyParameters, read_query
from recommender.serving.http.problems import Problem
from recommender.serving.http.requests import json_object
from recommender.serving.http.responses import to_bytes
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.index.documents import Documents
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.routes.lookup import find_row
from recommender.serving.routes.related import ListBuild
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context

_log = logging.getLogger(__name__)

MAX_ITEMS = 50  # of a list, over all pages

ListJson = dict[str, Any]  # as `responses.list_json` returns it
Formatter = Callable[[ListJson, Documents], Any]


class DropInRoutes:
    """The endpoints of the services named in the setting `drop_in`."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache
        self._unknown_categories: set[str] = set()  # in the setting; each is logged once

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        site = "sites/<site>/posts/<article_id>/related"
        routes: dict[str, list[tuple[str, Callable[..., Response], str]]] = {
            "yarpp": [("/wp-json/yarpp/v1/related/<article_id>", self.yarpp, "GET")],
            "jetpack": [
                ("/<tail:path>", self.jetpack, "GET"),
                *(
                    (f"/rest/{version}/{site}{end}", self.hits, "POST")
                    for version in ("v1", "v1.1")
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
            for number, (rule, view, method) in enumerate(routes[name]):
                app.add_url_rule(rule, f"drop_in_{name}_{number}", view, methods=[method])

    def yarpp(self, article_id: str) -> Response:
        """Respond like the YARPP plugin: with posts in the format of the WordPress REST API."""
        parameters = _parameters(YarppParameters)
        embeds, fields = "_embed" in request.args, request.args.get("_fields", "")
        names = {field.split(".")[0].strip() for field in fields.split(",") if field.strip()}

        def formatter(related: ListJson, documents: Documents) -> Any:
            posts = [yarpp_post(item, documents, embeds=embeds) for item in related["items"]]
            return [{name: post[name] for name in post if not names or name in names} for post in posts]

        return (
            self._respond("id", article_id, ListQuery(limit=parameters.limit), formatter) or _post_not_found()
        )

    def jetpack(self, path: str) -> Response:
        """Respond like Jetpack: at the URL of a post with `?relatedposts=1`, or at any path with `url`."""
        if "relatedposts" not in request.args:
            raise Problem("not-found", f"no page has the path {request.path[:100]}")
        parameters = _parameters(JetpackParameters)
        url = parameters.url or f"https://{request.host}/{path}"
        query = ListQuery(limit=parameters.size, exclude=parameters.relatedposts_exclude)

        def formatter(related: ListJson, documents: Documents) -> Any:
            return jetpack_list(related["items"], documents, related["article_id"] or "")

        return self._respond("url", url, query, formatter) or self._empty(formatter)

    def hits(self, site: str, article_id: str) -> Response:
        """Respond like the WordPress.com API that Jetpack uses: ids and scores, empty for an unknown post."""
        size = self._size()
        parameters = read_query(HitsParameters, "" if size is None else urlencode({"size": size}))

        def formatter(related: ListJson, _: Documents) -> Any:
            return jetpack_hits(related["items"], related["eligible"], site)

        return self._respond("id", article_id, ListQuery(limit=parameters.size), formatter) or self._empty(
            formatter
        )

    def parsely(self) -> Response:
        """Respond like `/related` of the Parse.ly API: for an unknown URL, with the newest articles."""
        parameters = _parameters(ParselyParameters)
        start = (parameters.page - 1) * parameters.limit
        query = ListQuery(
            limit=min(start + parameters.limit, MAX_ITEMS),
            categories=(parameters.section,) if parameters.section else (),
            max_age_days=parameters.max_age_days,
            published_after=parameters.published_after,
            published_before=parameters.pub_date_end,
        )

        def formatter(related: ListJson, documents: Documents) -> Any:
            by_date = parameters.sort == "pub_date"
            return parsely_list(related["items"][start:], documents, by_date=by_date)

        return self._respond("url", parameters.url, query, formatter, unknown="fallback") or self._empty(
            formatter
        )

    def gorse(self, article_id: str, category: str = "") -> Response:
        """Respond like Gorse: ids and scores, empty for an unknown item."""
        parameters = _parameters(GorseParameters)
        query = ListQuery(
            limit=min(parameters.offset + parameters.n, MAX_ITEMS), categories=(category,) if category else ()
        )

        def formatter(related: ListJson, _: Documents) -> Any:
            return [gorse_score(item) for item in related["items"][parameters.offset :]]

        return self._respond("id", article_id, query, formatter) or self._empty(formatter)

    def _respond(
        self,
        by: Literal["id", "url"],
        value: str,
        query: ListQuery,
        formatter: Formatter,
        *,
        unknown: Literal["404", "fallback"] = "404",
    ) -> Response | None:
        """Return the formatted list of an article; None if the article or category does not exist.

        It is made from the list that the response cache has for `/v1/related`; surrogate keys are the same.
        """
        view = self._context.view()
        row = self._row(by, value, view)
        if row is None and (unknown == "404" or self._is_withdrawn(value, view)):
            return None
        query = replace(query, exclude_categories=self._excluded_categories(view.related))
        build = ListBuild(view, row, None, query, None)

        def reformat(body: bytes) -> bytes:
            return to_bytes(formatter(from_json(body), view.related.articles))

        try:
            return self._cache.respond(view, build.key, build, cost=query.cost, reformat=reformat)
        except UnknownCategoryError:
            return None

    def _excluded_categories(self, related: Related) -> tuple[str, ...]:
        """Return the categories in the setting that any article has; the others need no filter yet."""
        known = []
        for name in self._context.settings.drop_in_exclude_category:
            try:
                related.categories.named(name)
            except UnknownCategoryError:
                if name not in self._unknown_categories:
                    self._unknown_categories.add(name)
                    _log.warning("drop_in_exclude_category: no article has the category %r yet", name)
            else:
                known.append(name)
        return tuple(known)

    def _size(self) -> Any:
        """Return the `size` in the body, which is a form or JSON; None if it has none."""
        if request.mimetype == "application/json":
            return json_object("the size", self._context.settings.max_body_bytes).get("size")
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

    def _empty(self, formatter: Formatter) -> Response:
        """Respond with an empty list. Caches must not store it, or they would hide a new article."""
        empty: ListJson = {"article_id": None, "eligible": 0, "items": []}
        body = to_bytes(formatter(empty, self._context.related.articles))
        return Response(body, headers={"Cache-Control": "no-store"}, content_type="application/json")


def _post_not_found() -> Response:
    """Respond like WordPress to the id of a post that does not exist."""
    body = {"code": "rest_post_invalid_id", "message": "Invalid post ID.", "data": {"status": 404}}
    return Response(to_bytes(body), 404, content_type="application/json")


def _parameters(schema: type[AnyParameters]) -> AnyParameters:
    """Return the parameters of the query string that the schema has; ignore all others."""
    supported = [
        (name, value) for name, value in request.args.items(multi=True) if name in schema.model_fields
    ]
    return read_query(schema, urlencode(supported))
