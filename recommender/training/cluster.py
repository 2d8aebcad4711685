"""Spread work over an existing Dask cluster.

A worker needs the same versions of our package and of the libraries that compute, but neither the corpus nor
a shared disk. Functions are sent by their names. Each call carries a block of the corpus or refers to held
values, which workers fetch from each other. Dask runs the calls of a worker that dies on another one, because
the scheduler has the arguments of all pending calls and all held values.

A client of a Dask cluster can run any code on its workers, and reads what they return with pickle. So the
cluster must be as trusted as this machine.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import distributed
from distributed.client import FutureCancelledError

_CONNECT_SECONDS = 10.0  # for the scheduler to respond
_WORKER_SECONDS = 10.0  # for a first worker to come
_ALONE_SECONDS = 60.0  # a run waits so long for a worker when all have gone
_CHECK_SECONDS = 5.0
_AHEAD = 3  # calls in progress or waiting for each thread of the workers
_SAME = ("python", "recommender", "numpy", "numba", "scipy", "distributed")  # versions


class ClusterError(RuntimeError):
    """The cluster cannot be used; the message says why."""


@dataclass(frozen=True)
class Cluster:
    """The workers of a Dask cluster: `kernels.Workers`."""

    client: distributed.Client
    address: str  # of the scheduler

    @property
    def slots(self) -> int:
        """How many calls the workers can run at once, at least 1."""
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def held(self, value: object) -> Any:
        """Send a value to a worker, and return a reference to pass to `map` as an argument in its place."""
        return self.client.submit(_same, value, pure=False)

    def map(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield `function(*arguments)` for each of the calls, in order.

        Only a few calls are taken ahead, so that neither arguments nor results fill the memory. Raises
        ClusterError if no worker is left or if a call ended several workers, and what the function raises.
        """
        pending: deque[Any] = deque()
        most = _AHEAD * self.slots
        for arguments in calls:
            pending.append(self.client.submit(function, *arguments, pure=False))
            if len(pending) >= most:
                yield self._result(pending.popleft())
        while pending:
            yield self._result(pending.popleft())

    def _result(self, future: Any) -> Any:
        """Wait for a call to end, and return its result."""
        seen = time.monotonic()
        while True:
            try:
                error = future.exception(timeout=_CHECK_SECONDS)
            except TimeoutError:
                if self._has_workers():
                    seen = time.monotonic()
                elif time.monotonic() > seen + _ALONE_SECONDS:
                    raise ClusterError(f"the cluster at {self.address} has no workers any more") from None
                continue
            if isinstance(error, distributed.KilledWorker):
                raise ClusterError(
                    f"several workers of the cluster at {self.address} ended during the same task; "
                    "read their logs, and check their memory"
                ) from error
            if error is not None:
                raise error
            try:
                return future.result()
            except (OSError, FutureCancelledError) as lost:
                raise ClusterError(f"the scheduler at {self.address} does not respond any more") from lost

    def _has_workers(self) -> bool:
        try:
            return bool(self.client.nthreads())
        except OSError:  # the client tries to connect again, and cancels its calls if it cannot
            return False


@contextmanager
def connect(address: str) -> Iterator[Cluster]:
    """Connect to the scheduler at an address such as tcp://host:8786 until the end of the context.

    Raises ClusterError if it does not respond, if it has no workers, or if their versions differ from ours.
    """
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"}):  # blocks are large
        try:
            client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler responds at {address}: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=_WORKER_SECONDS)
            except TimeoutError as error:
                raise ClusterError(
                    f"the scheduler at {address} has no workers; start some: dask worker {address}"
                ) from error
            versions: Any = client.get_versions(packages=list(_SAME[1:]))
            _check_versions(versions["client"], versions["workers"])
            yield Cluster(client, address)


def _check_versions(client: Mapping[str, Any], workers: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ClusterError if a worker has other versions than the client."""
    ours = client["packages"]
    for worker, information in sorted(workers.items()):
        theirs = information["packages"]
        differing = [
            f"{name} {theirs.get(name) or 'missing'} (here {ours[name]})"
            for name in _SAME
            if theirs.get(name) != ours[name]
        ]
        if differing:
            raise ClusterError(f"worker {worker} has other versions: {', '.join(differing)}")


def _same(value: object) -> object:
    """Return the value: as the result of a call, it is sent again if the worker that has it dies."""
    return value
