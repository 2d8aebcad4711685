"""The widget: a script that adds the lists to pages of any site.

It has no build step, and adds its elements to the page itself, not to a shadow DOM, so they inherit the fonts
and colours of the page. A site can override any rule with two classes. The style sheet is constructed in the
script, so the page needs no exception in its `style-src`. The script creates elements and never parses
markup, so Trusted Types do not block it.
"""

from pathlib import Path

from flask import Flask, Response, request

_FILE = Path(__file__).parent / "static" / "widget.js"
_HEADERS = {
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400, stale-if-error=86400",
    # Other sites load the script, including sites with cross-origin isolation or subresource integrity.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class WidgetRoutes:
    """The route that serves the script."""

    def __init__(self) -> None:
        self._script = _FILE.read_bytes()

    def add_to(self, app: Flask) -> None:
        """Add the route."""
        app.add_url_rule("/widget.js", endpoint="widget", view_func=self.script)

    def script(self) -> Response:
        """Respond with the script."""
        response = Response(self._script, headers=_HEADERS, content_type="text/javascript; charset=utf-8")
        response.add_etag()
        response.make_conditional(request.environ)
        return response
