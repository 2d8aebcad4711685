"""Metrics of one worker in the format of Prometheus."""

import os
from collections import Counter
from collections.abc import Iterator
from threading import Lock

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recommender.serving.worker.context import Context

PARTS = (
    "store",
    "state",
    "rules",
    "articles",
    "model",
    "refresh",
    "purge",
)  # the parts that `degraded` may list


class MetricsRoutes(Collector):
    """The route of metrics, and the counter of this worker's responses by endpoint and status."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._responses: Counter[tuple[str, int]] = Counter()
        self._lock = Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add_to(self, app: Flask) -> None:
        """Add the route, and count every response of the app."""
        app.add_url_rule("/metrics", endpoint="metrics", view_func=self.respond)
        app.after_request(self._count)

    def respond(self) -> Response:
        """Respond with all metrics, even if no model is open."""
        body = generate_latest(self._registry)
        return Response(body, headers={"Cache-Control": "no-store"}, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def collect(self) -> Iterator[Metric]:
        """Yield the current state, then the counters."""
        context, state = self._context, self._context.state
        ready = GaugeMetricFamily("recommender_ready", "1 if a model is open")
        ready.add_metric([], context.is_open)
        yield ready
        degraded = GaugeMetricFamily(
            "recommender_degraded", "1 while this part of the service is degraded", labels=["part"]
        )
        degraded_parts = context.degraded
        for part in PARTS:
            degraded.add_metric([part], part in degraded_parts)
        yield degraded
        if state.snapshot is not None:
            manifest = state.snapshot.manifest
            trained = GaugeMetricFamily(
                "recommender_model_trained_timestamp_seconds",
                "When the model was trained",
                labels=["version"],
            )
            trained.add_metric([manifest.version], manifest.trained_at.timestamp())
            yield trained
            yield GaugeMetricFamily(
                "recommender_live_articles",
                "Articles added or changed since the model was trained",
                state.snapshot.live_shown,
            )
        yield GaugeMetricFamily("recommender_withdrawn_articles", "Withdrawn articles", len(state.withdrawn))
        responses = CounterMetricFamily(
            "recommender_answers", "Responses of one worker", labels=["worker", "call", "status"]
        )
        with self._lock:
            counts = sorted(self._responses.items())
        for (endpoint, status), count in counts:
            responses.add_metric([str(os.getpid()), endpoint, str(status)], count)
        yield responses

    def count(self, endpoint: str, status: int) -> None:
        """Count a response."""
        with self._lock:
            self._responses[endpoint, status] += 1

    def _count(self, response: Response) -> Response:
        self.count(request.endpoint or "none", response.status_code)
        return response
