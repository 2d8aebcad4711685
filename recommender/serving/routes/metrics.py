"""Metrics of all workers in the format of Prometheus; the state of the model is that of the worker asked."""

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import cast

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recommender.serving.telemetry.answers import BEGUN, ORIGIN, SOURCES, Answer
from recommender.serving.telemetry.logs import log_answer
from recommender.serving.telemetry.metrics import Metrics
from recommender.serving.telemetry.tracing import RecordSpan
from recommender.serving.worker.context import Context
from recommender.serving.worker.periodic import Periodic

PARTS = (
    "store",
    "state",
    "rules",
    "articles",
    "model",
    "refresh",
    "purge",
)  # the parts that `degraded` may list
_INTERVAL_SECONDS = 0.5


class MetricsRoutes(Collector):
    """The route of metrics; it also records every response of Flask, as a span if there is `record_span`."""

    def __init__(self, context: Context, metrics: Metrics, record_span: RecordSpan | None = None) -> None:
        self._context, self._metrics, self._record_span = context, metrics, record_span

    def add_to(self, app: Flask) -> None:
        """Add the route, and record every response of the app."""
        app.add_url_rule("/metrics", endpoint="metrics", view_func=self.respond)
        app.after_request(self._record)

    def respond(self) -> Response:
        """Respond with all metrics, even if no model is open."""
        self.update()
        body = self._metrics.text(self)
        return Response(body, headers={"Cache-Control": "no-store"}, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def families(self) -> Iterable[Metric]:
        """Return the metrics of all workers, up to date."""
        self.update()
        return self._metrics.families()

    def update(self) -> None:
        """Bring the metrics of this worker up to date, for whichever worker responds."""
        self._metrics.update(is_open=self._context.is_open, degraded=self._context.degraded)

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the model and of the changes since its training."""
        state = self._context.state
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
            if state.snapshot.unknown_share is not None:
                yield GaugeMetricFamily(
                    "recommender_unknown_terms_ratio",
                    "Mean share of the terms of these articles that the model does not know",
                    state.snapshot.unknown_share,
                )
        yield GaugeMetricFamily("recommender_withdrawn_articles", "Withdrawn articles", len(state.withdrawn))

    def _record(self, response: Response) -> Response:
        environ, seconds = request.environ, 0.0
        if BEGUN in environ:
            seconds = perf_counter() - cast("float", environ[BEGUN])
        answer = Answer(
            request.endpoint or "none",
            str(response.status_code),
            environ.get(ORIGIN, "other"),
            environ.get(SOURCES, ()),
        )
        self._metrics.records.add((answer, seconds))
        if self._context.settings.access_log:
            log_answer(request.method, answer, seconds, g.request_id)
        if self._record_span is not None:
            route = None if request.url_rule is None else request.url_rule.rule
            self._record_span(environ, answer, route, g.request_id, seconds)
        return response


class MetricsUpdates(Periodic):
    """The thread that keeps the metrics of a worker up to date."""

    def __init__(self, routes: MetricsRoutes) -> None:
        super().__init__("metrics", _INTERVAL_SECONDS, "metrics were not updated")
        self._routes = routes

    def run_once(self) -> None:
        """Update the metrics."""
        self._routes.update()
