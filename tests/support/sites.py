"""A site that uses the service from another origin, both on the loopback interface."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from tests.support.browsers import Visit
from tests.support.guide import block

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from playwright.sync_api import Page

EXAMPLE = "https://recommender.example"  # the service, as the guide names it
WAITS = 250  # of 20 ms, for what the browser sends when it likes
PIXELS = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 9">'
    '<rect width="16" height="9" fill="#7c93a6"/><circle cx="11" cy="3" r="2" fill="#e8d9a8"/></svg>'
)


class _Quiet(WSGIRequestHandler):
    """Logs no requests: a handler that an earlier test left may write to a stream that is closed."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


@contextmanager
def listening(app: "WSGIApplication", port: int = 0) -> Iterator[str]:
    """Serve an application from this process; yields its origin."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Site:
    """Pages by path, all with the same headers; a picture at every path below `/pictures/`."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer as a WSGI application."""
        request = Request(environ)
        page = self.pages.get(request.path)
        if request.path.startswith("/pictures/"):
            response = Response(PIXELS, mimetype="image/svg+xml")
        elif request.path == "/favicon.ico":
            response = Response(status=204)
        else:
            response = Response(page or "", 404 if page is None else 200, self.headers, mimetype="text/html")
        return response(environ, start_response)


class Recorded:
    """An application that records its requests, with the status of every response."""

    def __init__(self, app: Flask) -> None:
        self.app, self.requests = app, list[Asked]()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer as a WSGI application."""
        request = Request(environ)
        body = request.get_data()

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            self.requests.append(
                Asked(request.method, request.path, request.args.to_dict(), body.decode(), int(status[:3]))
            )
            return start_response(status, headers, *error)

        return self.app.wsgi_app(environ | {"wsgi.input": BytesIO(body)}, start)


class Asked(NamedTuple):
    """A request, and the status of its response."""

    method: str
    path: str
    query: Mapping[str, str]
    body: str
    status: int


class Stage(NamedTuple):
    """A site, and the service that its pages use."""

    site: Site
    site_origin: str
    service: Recorded
    service_origin: str

    def open(
        self, visit: Visit, body: str, *, script: str = "", head: str = "", html: str = 'lang="en"'
    ) -> "Page":
        """Show a page with this body and the widget; return when the lists are there."""
        tag = f'<script src="{self.service_origin}/widget.js" defer {script}></script>'
        return self.show(
            visit,
            f"<!doctype html><html {html}><head><title>A story</title>{head}{tag}</head>"
            f"<body><main><h1>A story</h1>{body}</main></body></html>",
        )

    def show(self, visit: Visit, page: str) -> "Page":
        """Show a page; return when the lists are there."""
        self.site.pages["/story/"] = page
        visit.page.goto(f"{self.site_origin}/story/")
        visit.page.evaluate("window.recommender?.ready")
        return visit.page

    def events(self, visit: Visit, number: int) -> list[dict[str, Any]]:
        """Return the events that were sent and counted, once there are so many and no more arrive."""
        for _ in range(WAITS):  # with Playwright's own waiting, during which the page goes on
            if len(self._sent()) >= number:
                break
            visit.page.wait_for_timeout(20)
        visit.page.wait_for_timeout(80)
        assert all(asked.status == 200 for asked in self._sent())
        return [json.loads(asked.body) for asked in self._sent()]

    def _sent(self) -> list[Asked]:
        return [asked for asked in self.service.requests if asked.path == "/v1/events"]

    def calls(self) -> list[str]:
        """Return the calls for lists."""
        skipped = {"/v1/events", "/widget.js"}
        return [asked.path for asked in self.service.requests if asked.path not in skipped]

    def answer(self, address: str) -> Any:
        """Return the service's response to a GET request."""
        return Client(self.service.app).get(address).get_json()


def template(language: str) -> str:
    """Return the guide's block of a language that places the widget."""
    return block("widget.md", language, "data-recommender")
