"""Topics: all of them, and the public articles of each."""

from typing import Any

from flask import Flask, Response

from recommender.serving.cache.caching import ResponseCache
from recommender.serving.http.parameters import PaginationParameters
from recommender.serving.http.problems import Fault, Problem
from recommender.serving.http.requests import read_parameters, refuse_parameters
from recommender.serving.http.responses import ResponseBuilder
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.topics import UnknownTopicError, all_topics, topic_articles
from recommender.serving.routes.articles import page_of
from recommender.serving.routes.lookup import known_categories
from recommender.serving.worker.context import Context


class TopicRoutes:
    """The routes of topics."""

    def __init__(self, context: Context, cache: ResponseCache) -> None:
        self._context, self._cache = context, cache

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/topics", endpoint="topics", view_func=self.topics)
        app.add_url_rule("/v1/topics/<slug>", endpoint="topic", view_func=self.topic)

    def topics(self) -> Response:
        """Respond with all topics, largest first."""
        refuse_parameters()
        view = self._context.view()
        return self._cache.respond(view, "topics", lambda _: all_topics(view.related, view.now))

    def topic(self, slug: str) -> Response:
        """Respond with a topic and a page of the public articles in which it is largest, newest first."""
        parameters, view = read_parameters(PaginationParameters), self._context.view()

        def build(builder: ResponseBuilder) -> dict[str, Any]:
            topic, mask = topic_articles(view.related, slug, view.now)
            filters = ListQuery(exclude_categories=parameters.exclude_category)
            with known_categories("query", filters):
                mask &= view.related.in_filter(filters)
            return {"topic": topic} | page_of(mask, parameters, view, builder)

        try:
            return self._cache.respond(view, ("topic", slug, parameters), build)
        except UnknownTopicError as error:
            fault = Fault("path", "slug", slug, "a slug of /v1/topics")
            raise Problem("unknown-topic", str(error), (fault,)) from None
