"""The widget's script as it is served."""

import gzip

from flask.testing import FlaskClient


def test_the_script_has_at_most_five_kilobytes_gzipped(client: FlaskClient) -> None:
    assert len(gzip.compress(client.get("/widget.js").data, mtime=0)) <= 5_000


def test_the_script_is_for_pages_of_every_site_and_kept_for_an_hour(client: FlaskClient) -> None:
    answer = client.get("/widget.js")

    assert answer.mimetype == "text/javascript"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "max-age=3600" in answer.headers["Cache-Control"]
    assert client.get("/widget.js", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_the_script_writes_no_markup_and_keeps_nothing(client: FlaskClient) -> None:
    script = client.get("/widget.js").text

    for forbidden in ("innerHTML", "insertAdjacentHTML", "cookie", "localStorage", "sessionStorage", "eval("):
        assert forbidden not in script
