"""Spans that arrive at a collector; without a collector, nothing of OpenTelemetry is loaded."""

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.support.service import ServiceUnderTest

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LIST = "/v1/related?id=a&limit=9"


@pytest.fixture
def collector() -> Iterator[tuple[str, "Queue[bytes]"]]:
    """The address of a collector, and the bodies that it receives."""
    bodies: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.put(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def spans_in(body: bytes) -> list[Any]:
    received = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    [resource] = received.ExportTraceServiceRequest.FromString(body).resource_spans
    return list(resource.scope_spans[0].spans)


def attributes_of(span: Any) -> dict[str, Any]:
    return {entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes}


@pytest.mark.slow
def test_each_request_that_flask_answers_has_a_span_of_the_callers_trace(
    models_dir: Path, collector: tuple[str, "Queue[bytes]"]
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra `tracing`")
    url, bodies = collector
    service = ServiceUnderTest(models_dir, traces_url=url)

    service.client.get(LIST, headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "cms-17"})
    service.client.get(LIST)  # a finished response
    service.client.get("/v1/related?id=a%20secret")
    service.client.get("/nothing/secret")
    found, missing, unrouted = spans_in(bodies.get(timeout=10))

    assert (found.name, found.trace_id.hex(), found.parent_span_id.hex()) == (
        "GET /v1/related", TRACE, PARENT,
    )  # fmt: skip
    assert (
        attributes_of(found).items()
        >= {
            "http.request.method": "GET",
            "http.route": "/v1/related",
            "http.response.status_code": 200,
            "recommender.origin": "computed",
            "recommender.request_id": "cms-17",
        }.items()
    )
    assert any(name.startswith("recommender.items.") for name in attributes_of(found))
    assert found.end_time_unix_nano > found.start_time_unix_nano
    assert attributes_of(missing)["http.response.status_code"] == 404
    assert "http.route" not in attributes_of(unrouted)
    assert "secret" not in f"{missing} {unrouted}"
    service.close()


def test_without_a_collector_nothing_is_loaded_and_without_the_extra_it_is_named(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    service = ServiceUnderTest(models_dir)

    assert service.client.get(LIST).status_code == 200
    service.close()
    with pytest.raises(ModuleNotFoundError, match="opentelemetry"):
        ServiceUnderTest(models_dir, traces_url="http://127.0.0.1:1/v1/traces")
