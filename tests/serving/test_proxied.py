"""A server behind a proxy finds the address of every reader, however the proxy writes the header."""

import http.client
import json
from contextlib import closing
from pathlib import Path

import pytest

from recommender.serving.store import Store
from tests.support.servers import serving


@pytest.mark.slow
def test_the_last_of_several_headers_counts(tmp_path: Path, models_dir: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    settings: dict[str, object] = {
        "models_dir": models_dir,
        "database_url": url,
        "state_file": tmp_path / "state.json",
        "trusted_proxies": "127.0.0.1",
        "source_cap": 1,
    }
    with serving(tmp_path / "log", 1, **settings) as server:
        for number, last in enumerate(["198.51.100.7", "198.51.100.7", "198.51.100.8"]):
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
                connection.putrequest("POST", "/v1/events")
                body = json.dumps({"article_id": "a", "type": "view"}).encode()
                connection.putheader("Content-Length", str(len(body)))
                connection.putheader("X-Forwarded-For", f"6.6.6.{number}")  # as the client sent it
                connection.putheader("X-Forwarded-For", last)  # as the proxy added it
                connection.endheaders(body)
                assert connection.getresponse().status == 200

    with closing(Store(url)) as store:
        assert store.counts().counts.sum() == 2
