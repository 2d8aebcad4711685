"""What a worker knows and counts of itself, as Prometheus reads it."""

import os
from collections import Counter
from collections.abc import Iterator
from threading import Lock

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recommender.serving.worker.context import Context

PARTS = ("store", "state", "rules", "purge")  # what may be missing, as `degraded` tells it


class MetricsRoutes(Collector):
    """The call of monitors, and what it counts: the answers of this worker, by call and status."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._answered: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add_to(self, app: Flask) -> None:
        """Add the route, and count whatever the application answers."""
        app.add_url_rule("/metrics", endpoint="metrics", view_func=self.answer)
        app.after_request(self._count)

    def answer(self) -> Response:
        """Answer all that is measured; without a model, too."""
        body = generate_latest(self._registry)
        return Response(body, headers={"Cache-Control": "no-store"}, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now, and what was counted."""
        context, state = self._context, self._context.follower.state
        ready = GaugeMetricFamily("recommender_ready", "1 where there is something to answer from")
        ready.add_metric([], context.is_open)
        yield ready
        degraded = GaugeMetricFamily("recommender_degraded", "1 while this part is missing", labels=["part"])
        missing = context.degraded
        for part in PARTS:
            degraded.add_metric([part], part in missing)
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
                "recommender_live_articles", "Articles put since the training", state.snapshot.live_shown
            )
        yield GaugeMetricFamily(
            "recommender_withdrawn_articles", "Articles that were withdrawn", len(state.withdrawn)
        )
        answers = CounterMetricFamily(
            "recommender_answers", "Answers of one worker", labels=["worker", "call", "status"]
        )
        with self._lock:
            answered = sorted(self._answered.items())
        for labels, count in answered:
            answers.add_metric([str(os.getpid()), *labels], count)
        yield answers

    def _count(self, response: Response) -> Response:
        labels = request.endpoint or "none", str(response.status_code)
        with self._lock:
            self._answered[labels] += 1
        return response
