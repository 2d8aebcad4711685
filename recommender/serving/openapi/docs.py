"""The OpenAPI document over HTTP, and a Swagger UI page to read it and try requests."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from flask import Flask, Response, request

_START_NAME = "start.js"
_START = Path(__file__).parents[1] / "site" / "static" / "docs.js"
_PACKAGE = "flask_openapi3_swagger"  # it contains the files of Swagger UI; its code is never imported
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>recommender: API reference</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<main id="docs"><noscript>The OpenAPI document: <a href="/openapi.json">/openapi.json</a></noscript></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js" type="module"></script>
"""
_MEDIA_TYPES = {  # of the page's files
    _START_NAME: "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DocsRoutes:
    """Routes for the OpenAPI document and the page that displays it."""

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/openapi.json", endpoint="openapi", view_func=self.openapi)
        app.add_url_rule("/docs", endpoint="docs", view_func=self.page)
        for name in _MEDIA_TYPES:
            app.add_url_rule(f"/docs/{name}", f"docs_{name.replace('.', '_')}", partial(self.asset, name))

    def openapi(self) -> Response:
        """Respond with the document, which is built on the first request."""
        from recommender.serving.openapi.document import document  # noqa: PLC0415 most workers never need it

        return _cacheable(document(), "application/json")

    def page(self) -> Response:
        """Respond with the page; it loads nothing from other hosts."""
        response = _cacheable(_PAGE.encode(), "text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    def asset(self, name: str) -> Response:
        """Respond with a script or stylesheet of the page."""
        file = _START if name == _START_NAME else _swagger_folder() / name.rpartition(".")[2] / name
        return _cacheable(file.read_bytes(), _MEDIA_TYPES[name])


def _swagger_folder() -> Path:
    """Return the folder with the files of Swagger UI. Raises FileNotFoundError if it is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{_PACKAGE} is not installed")
    return Path(spec.submodule_search_locations[0]) / "templates" / "swagger"


def _cacheable(body: bytes, media_type: str) -> Response:
    """Return a response that caches store for five minutes and then revalidate by ETag."""
    response = Response(body, headers={"Cache-Control": "public, max-age=300"}, content_type=media_type)
    response.add_etag()
    response.make_conditional(request.environ)
    return response
