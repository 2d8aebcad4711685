"""The calls that tell of all calls: the document, and a page to read and try it."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from flask import Flask, Response, request

_START_NAME = "start.js"
_START = Path(__file__).parents[1] / "site" / "static" / "docs.js"
_PACKAGE = "flask_openapi3_swagger"  # it brings Swagger UI along; of its code nothing is loaded
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>recommender: the contract</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<main id="docs"><noscript>The document itself: <a href="/openapi.json">/openapi.json</a>.</noscript></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
"""
_OF_PAGE = {  # its files, by type
    _START_NAME: "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DocsRoutes:
    """The document of the contract, and the page that shows it."""

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/openapi.json", endpoint="openapi", view_func=self.openapi)
        app.add_url_rule("/docs", endpoint="docs", view_func=self.page)
        for name in _OF_PAGE:
            app.add_url_rule(f"/docs/{name}", f"docs_{name.replace('.', '_')}", partial(self.asset, name))

    def openapi(self) -> Response:
        """Answer the document, which is made when somebody asks for it first."""
        from recommender.serving.openapi.document import document  # noqa: PLC0415 most workers never need it

        return _kept(document(), "application/json")

    def page(self) -> Response:
        """Answer the page; all that it needs is of this service."""
        response = _kept(_PAGE.encode(), "text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    def asset(self, name: str) -> Response:
        """Answer one of the files of the page."""
        file = _START if name == _START_NAME else _folder() / name.rpartition(".")[2] / name
        return _kept(file.read_bytes(), _OF_PAGE[name])


def _folder() -> Path:
    """Return where the package keeps Swagger UI. Raises FileNotFoundError where it is not installed."""
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"{_PACKAGE} is not installed")
    return Path(found.submodule_search_locations[0]) / "templates" / "swagger"


def _kept(body: bytes, media_type: str) -> Response:
    """Return an answer that caches keep, but ask after."""
    response = Response(body, headers={"Cache-Control": "public, max-age=300"}, content_type=media_type)
    response.add_etag()
    response.make_conditional(request.environ)
    return response
