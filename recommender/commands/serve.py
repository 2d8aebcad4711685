"""The command `serve`: start the HTTP service."""

import ctypes
import gc
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from recommender.commands.files import echo
from recommender.commands.registry import following
from recommender.options import address_options

if TYPE_CHECKING:
    from recommender.settings import Settings

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # of malloc.h
_CONNECTIONS = 1000
_HEADER_SECONDS = 10  # in which the headers of a new request, or of the next one on a connection, must arrive
_STOP_SECONDS = 5  # to finish responses; then the worker is killed, for example if it is still starting
# Metrics are in mapped files. In memory, no full disk can end a worker that writes one.
_MEMORY = Path("/dev/shm")  # noqa: S108 the folder made there is our own
_HEADER_BYTES = 128 << 10  # including the URL, which alone may have 64 KiB


@click.command()
@address_options
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Number of processes; they share the model's memory.  [default: 1]",
)
@click.option("--print-settings", is_flag=True, help="Print all settings, without secrets, and exit.")
def serve(*, print_settings: bool, **options: Any) -> None:
    """Serve the current model over HTTP.

    Options override RECOMMENDER_* environment variables.
    """
    from recommender.artifact import ArtifactError, current_version
    from recommender.settings import Settings

    settings = Settings.read(**{name: value for name, value in options.items() if value is not None})
    if print_settings:
        _print(settings)
        return
    if settings.traces_url:
        from recommender.serving.telemetry.tracing import exporter_to

        exporter_to(settings.traces_url)  # without the extra, it fails here instead of in every worker
    if settings.rules_file is not None:
        _report_faults(settings.rules_file)
    try:
        model = f"model {current_version(settings.models_dir)}"
    except ArtifactError as error:
        model = f"no model yet: {error}"
    _check_address(settings.host, settings.port)
    _keep_heap_small()
    page = "demo/" if settings.has_demo else "docs"
    echo(f"http://{settings.host}:{settings.port}/{page} ({model})", err=True)
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="recommender-metrics-", dir=memory) as metrics_folder:
        settings.export(metrics_folder)
        with following(settings):
            _start(settings)


def _start(settings: "Settings") -> None:
    """Run the workers until a signal stops the process."""
    _prepare(settings)
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings

    from recommender.serving.telemetry.logs import logging_config

    Granian(
        "recommender.serving.asgi:create_service",
        factory=True,
        interface=Interfaces.ASGINL,
        loop=Loops.auto,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        backpressure=_CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=1000 * _HEADER_SECONDS, max_buffer_size=_HEADER_BYTES
        ),
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        websockets=False,
        log_dictconfig=logging_config(settings.log_format),
    ).serve()


def _prepare(settings: "Settings") -> None:
    """Do what all workers need before they are forked: load the program, and read the model's files.

    So each worker starts sooner, and shares the memory of the program with the others.
    """
    from recommender.artifact import ArtifactError, current_version
    from recommender.regular_file import learn_digests

    reading = None
    with suppress(ArtifactError):  # the workers report it, and wait for a model
        if settings.verify:
            folder = settings.models_dir / current_version(settings.models_dir)
            reading = Thread(target=learn_digests, args=(folder,))
            reading.start()
    import recommender.serving.asgi  # noqa: F401 only so that it is loaded

    if reading is not None:
        reading.join()
    gc.collect()
    gc.freeze()  # otherwise each collection of garbage would copy the shared memory


def _print(settings: "Settings") -> None:
    """Print the settings as TOML; those that have their defaults are commented out."""
    for name, value in settings.shown().items():
        mark = "" if name in settings.model_fields_set and value is not None else "# "
        echo(f"{mark}{name} = {json.dumps('' if value is None else value, ensure_ascii=False)}")


def _report_faults(rules_file: Path) -> None:
    """Print why the rules file is not used, if it is invalid. The workers start without it."""
    from recommender.serving.rules.schema import RulesError, read_file

    try:
        read_file(rules_file)
    except RulesError as error:
        click.echo(f"warning: the last known rules are used, or none, because of {error}", err=True)


def _keep_heap_small() -> None:
    """Make the threads of this process and of forked processes share two heaps, without large blocks.

    By default the C library gives each thread its own heap, which retains the memory of large bodies: 45 MiB
    in a worker under attack, instead of 15.
    """
    with suppress(AttributeError, OSError):  # not the GNU C library
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, 2)
        library.mallopt(_M_MMAP_THRESHOLD, 512 << 10)


def _check_address(host: str, port: int) -> None:
    """Raise SettingsError if the address cannot be bound; the server itself would share a port in use."""
    from recommender.settings import SettingsError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except (OSError, UnicodeError) as error:  # UnicodeError: the host is not a name
        cause = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot listen on {host}:{port}: {cause}") from error
