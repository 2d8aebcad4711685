"""The service, started."""

import ctypes
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

# Of each web worker. What waits, for a body or for its turn at scoring, waits in a thread, and leaves some.
_THREADS = 80
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # of malloc.h
_IDLE_SECONDS = 10  # after which a thread ends that was not needed
_CONNECTIONS = 1000
_HEADER_SECONDS = (
    10  # in which a request, or the next one on a connection, must have begun and told its headers
)
_STOP_SECONDS = 5  # for answers on their way; then a worker is killed that was told to stop while it started
_HEADER_BYTES = 128 << 10  # with the address, which alone may have 64 KiB


@click.command()
@click.option("--models-dir", type=click.Path(path_type=Path), help="published versions  [default: models]")
@click.option("--host", help="address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: 8000]")
@click.option(
    "--workers", type=click.IntRange(1, 256), help="processes that share the model's memory  [default: 1]"
)
def serve(**given: Any) -> None:
    """Serve the current model over HTTP; options win over RECOMMENDER_… variables."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    from recommender.artifact import ArtifactError, current_version
    from recommender.serving.rules.schema import read_file
    from recommender.settings import Settings

    settings = Settings.read(**{name: value for name, value in given.items() if value is not None})
    if settings.rules_file is not None:
        read_file(settings.rules_file)  # a wrong one is told here, not by each worker
    try:
        model = f"model {current_version(settings.models_dir)}"
    except ArtifactError as error:
        model = f"no model yet: {error}"
    _check_address(settings.host, settings.port)
    settings.export()
    _keep_heap_small()
    click.echo(f"http://{settings.host}:{settings.port}/demo/ ({model})", err=True)
    Granian(
        "recommender.serving.app:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=_THREADS,
        blocking_threads_idle_timeout=_IDLE_SECONDS,
        backpressure=_CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=1000 * _HEADER_SECONDS, max_buffer_size=_HEADER_BYTES
        ),
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        websockets=False,
    ).serve()


def _keep_heap_small() -> None:
    """Let the threads of this process, and of those forked from it, share two heaps, without large blocks.

    By default each thread of the C library has its own heap, and keeps there what large bodies took: 45 MiB
    of a worker under attack, in place of 15.
    """
    with suppress(AttributeError, OSError):  # another C library than GNU's
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, 2)
        library.mallopt(_M_MMAP_THRESHOLD, 512 << 10)


def _check_address(host: str, port: int) -> None:
    """Raise SettingsError where nothing can listen; the server itself would share a port that is taken."""
    from recommender.settings import SettingsError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
