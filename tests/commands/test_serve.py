"""`recommender serve` rejects an address that it cannot use."""

import socket
from pathlib import Path

from tests.support.cli import Run


def test_a_port_in_use_is_reported_by_its_number(run: Run, published: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = run("serve", "--port", str(port), "--models-dir", published)

    assert ended.status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err
