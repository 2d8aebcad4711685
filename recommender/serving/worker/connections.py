"""At most so many connections per address, so that one address cannot use up the connections of a worker.

The HTTP server limits its connections only in total, and shows them to no application. But they are sockets
of this process, so a thread counts them by address, and shuts down those above the limit.
"""

import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from recommender.serving.worker.periodic import Periodic
from recommender.settings import Settings

_INTERVAL_SECONDS = 0.25
_OPEN_FILES = Path("/dev/fd")  # of this process


class ConnectionLimit(Periodic):
    """Shuts down the connections to a port above the limit of an address; the oldest are usually kept.

    Connections from `exempt` networks are not counted.
    """

    def __init__(self, port: int, per_address: int, exempt: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        super().__init__("connections", _INTERVAL_SECONDS, "connections were not counted")
        self._port, self._per_address, self._exempt = port, per_address, exempt

    @classmethod
    def of(cls, settings: Settings) -> "ConnectionLimit":
        """Return the limit of one worker: its share of the limit of all workers."""
        share = -(-settings.connections_per_address // settings.workers)
        return cls(settings.port, share, settings.trusted_proxies)

    def run_once(self) -> int:
        """Shut down the connections above the limit; return how many."""
        files = _open_files()
        if len(files) <= self._per_address:
            return 0
        files_of: defaultdict[str, list[int]] = defaultdict(list)
        for file in files:
            with suppress(OSError), _socket(file) as connection:
                address = self._counted_address(connection)
                if address is not None:
                    files_of[address].append(file)
        above = [
            (file, address) for address, open_ in files_of.items() for file in open_[self._per_address :]
        ]
        return sum(self._shut_down(file, address) for file, address in above)

    def _counted_address(self, connection: socket.socket) -> str | None:
        """Return the address at the other end; None if the limit does not apply to the connection."""
        if connection.family not in {socket.AF_INET, socket.AF_INET6}:
            return None
        if connection.getsockname()[1] != self._port:
            return None
        text = connection.getpeername()[0].partition("%")[0]
        address = ip_address(text)
        address = getattr(address, "ipv4_mapped", None) or address
        return None if any(address in network for network in self._exempt) else str(address)

    def _shut_down(self, file: int, address: str) -> bool:
        """Shut down a connection unless the file has become another one in the meantime."""
        with suppress(OSError), _socket(file) as connection:
            if self._counted_address(connection) == address:
                connection.shutdown(socket.SHUT_RDWR)
                return True
        return False


def _open_files() -> list[int]:
    """Return the file descriptors of this process, ascending; none if the system does not list them."""
    try:
        return sorted(int(path.name) for path in _OPEN_FILES.iterdir())
    except OSError:
        return []


@contextmanager
def _socket(file: int) -> Iterator[socket.socket]:
    """Return a socket of this process by its descriptor, and leave it open. Raises OSError for other files.

    There is no second descriptor, which would have to be closed: if it were one of the database file, closing
    it would give up the locks that SQLite has on the file, and other workers would damage the database.
    """
    connection = socket.socket(fileno=file)
    try:
        yield connection
    finally:
        connection.detach()
