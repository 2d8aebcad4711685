"""An address has at most so many connections to a worker."""

import fcntl
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from ipaddress import ip_network
from pathlib import Path

import pytest

from recommender.serving.worker.connections import ConnectionLimit
from recommender.settings import Settings
from tests.support.servers import connected


class Connections:
    """A listening socket in this process, and connections to it from loopback addresses."""

    def __init__(self, stack: ExitStack, family: socket.AddressFamily = socket.AF_INET) -> None:
        self._stack = stack
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self._listener = stack.enter_context(socket.create_server((host, 0), family=family, backlog=300))
        self.port: int = self._listener.getsockname()[1]
        self._address = host

    def open(self, count: int, address: str | None = None) -> list[socket.socket]:
        """Open connections from an address; return their ends at the client."""
        clients = []
        for _ in range(count):
            source = (address or self._address, 0)
            client = socket.create_connection((self._address, self.port), 10, source)
            clients.append(self._stack.enter_context(closing(client)))
            self._stack.enter_context(closing(self._listener.accept()[0]))
        return clients


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_connections_above_the_limit_of_an_address_are_shut_down_newest_first(stack: ExitStack) -> None:
    connections = Connections(stack)
    clients = connections.open(60)
    limit = ConnectionLimit(connections.port, 50)

    assert limit.run_once() == 10

    assert [client for client in clients if not connected(client)] == clients[50:]


def test_the_connections_of_other_addresses_are_kept(stack: ExitStack) -> None:
    connections = Connections(stack)
    greedy, others = connections.open(60), connections.open(40, "127.0.0.2")

    assert ConnectionLimit(connections.port, 50).run_once() == 10

    assert all(map(connected, others))
    assert sum(map(connected, greedy)) == 50


def test_a_declared_proxy_may_have_any_number(stack: ExitStack) -> None:
    connections = Connections(stack)
    connections.open(60)

    assert ConnectionLimit(connections.port, 50, [ip_network("127.0.0.0/8")]).run_once() == 0


def test_connections_to_other_ports_and_other_sockets_are_not_counted(stack: ExitStack) -> None:
    elsewhere, here = Connections(stack), Connections(stack)
    elsewhere.open(40)
    here.open(5)
    for _ in range(30):
        for end in socket.socketpair():
            stack.enter_context(closing(end))

    assert ConnectionLimit(here.port, 6).run_once() == 0


def test_connections_over_ipv6_are_counted(stack: ExitStack) -> None:
    try:
        connections = Connections(stack, socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    connections.open(60)

    assert ConnectionLimit(connections.port, 50).run_once() == 10


def test_workers_share_the_limit(stack: ExitStack) -> None:
    connections = Connections(stack)
    connections.open(60)
    settings = Settings.read(port=connections.port, workers=3, connections_per_address=90)

    assert ConnectionLimit.of(settings).run_once() == 30


def test_counting_keeps_the_locks_on_files_that_this_process_has_open(
    tmp_path: Path, stack: ExitStack
) -> None:
    """Closing any descriptor of a file gives up all locks on it; without its locks, SQLite destroys data."""
    locked = stack.enter_context((tmp_path / "store.db").open("wb"))
    fcntl.lockf(locked, fcntl.LOCK_EX)

    ConnectionLimit(Connections(stack).port, 0).run_once()

    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'wb'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    other = subprocess.run([sys.executable, "-c", code, locked.name], capture_output=True, check=False)
    assert b"BlockingIOError" in other.stderr
