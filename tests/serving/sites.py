"""A site of the tests' own that uses the service from another origin, both on the loopback interface."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

README = Path(__file__).parents[2] / "README.md"
EXAMPLE = "https://recommender.example"  # the service, as the README names it
PIXELS = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 9">'
    '<rect width="16" height="9" fill="#7c93a6"/><circle cx="11" cy="3" r="2" fill="#e8d9a8"/></svg>'
)


@contextmanager
def listening(app: "WSGIApplication", port: int = 0) -> Iterator[str]:
    """Serve an application from this process; yields its origin."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Site:
    """Pages by path, each with the headers that all have; a picture below `/pictures/`."""

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
    """An application whose requests are kept, with the status of each answer."""

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
    """A request, and how it was answered."""

    method: str
    path: str
    query: Mapping[str, str]
    body: str
    status: int


def template(language: str) -> str:
    """Return the README's block of a language that places the widget."""
    return readme_block(language, "data-recommender")


def readme_block(language: str, holding: str) -> str:
    """Return the first block of a language in the README that holds a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(next(block for block in blocks if holding in block))
