"""Traces by OpenTelemetry: one span for each request that Flask answers, sent to a collector.

Without a collector in the settings, OpenTelemetry is not imported. A finished response has no span: to
create one takes longer than to answer. A span is recorded when its response is ready, so a request does
nothing for it before. It has the route, not the path or the query, which may say what readers search.
"""

from collections.abc import Callable
from time import time_ns
from typing import TYPE_CHECKING
from wsgiref.types import WSGIEnvironment

from recommender.serving.telemetry.answers import Answer

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

_FIRST_SERVER_ERROR = 500
_INTERVAL_MILLISECONDS = 1000
_HEADERS = {"HTTP_TRACEPARENT": "traceparent", "HTTP_TRACESTATE": "tracestate"}

# Records the span of a response, with the WSGI environment, the route, the request's id and the seconds.
RecordSpan = Callable[[WSGIEnvironment, Answer, str | None, str, float], None]


def exporter_to(url: str) -> "OTLPSpanExporter":
    """Return an exporter to a collector. Raises ModuleNotFoundError without the extra `tracing`."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 only if it is used

    return OTLPSpanExporter(endpoint=url)


def spans_to(url: str) -> RecordSpan:
    """Return a function that records spans and sends them to a collector, in the background.

    A span belongs to the trace in the request's header `traceparent`, if there is one. Spans are dropped if
    the collector does not keep up.
    """
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 only if it is used
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": "recommender"}))
    # A server does not wait for its threads when it stops, so the last spans may be lost.
    processor = BatchSpanProcessor(exporter_to(url), schedule_delay_millis=_INTERVAL_MILLISECONDS)
    provider.add_span_processor(processor)
    tracer, propagator = provider.get_tracer("recommender"), TraceContextTextMapPropagator()

    def record(
        environ: WSGIEnvironment, answer: Answer, route: str | None, request_id: str, seconds: float
    ) -> None:
        ended = time_ns()
        carrier = {header: environ[name] for name, header in _HEADERS.items() if name in environ}
        attributes: dict[str, str | int] = {
            "http.request.method": environ["REQUEST_METHOD"],
            "http.response.status_code": int(answer.status),
            "recommender.origin": answer.origin,
            "recommender.request_id": request_id,
        }
        if route is not None:
            attributes["http.route"] = route
        attributes |= {f"recommender.items.{source}": n for source, n in answer.sources}
        span = tracer.start_span(
            f"{environ['REQUEST_METHOD']} {route or answer.call}",
            context=propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=ended - int(1e9 * seconds),
        )
        if int(answer.status) >= _FIRST_SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    return record
