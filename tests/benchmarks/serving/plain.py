"""What the service is compared with on the same server: a Flask route and a bare WSGI function."""

from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask


def flask_no_op() -> Flask:
    """Return a Flask application with one route, which responds with 11 bytes."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello world")
    return app


def bare_function() -> WSGIApplication:
    """Return a WSGI function that responds with 11 bytes."""

    def respond(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "11")])
        return [b"hello world"]

    return respond
