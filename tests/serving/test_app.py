"""The headers of every response of the app."""

from flask import Flask


def test_every_response_forbids_framing_and_sniffing(app: Flask) -> None:
    for path in ("/v1/related?id=a", "/demo/", "/healthz", "/nothing", "/demo/static/site.css"):
        with app.test_client().get(path) as response:
            headers = response.headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
