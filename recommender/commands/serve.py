"""The service, started."""

import socket
from pathlib import Path
from typing import Any

import click

_THREADS_EACH = 32  # of a web worker: a text being scored holds up no list


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
    from granian.constants import Interfaces

    from recommender.artifact import ArtifactError, current_version
    from recommender.serving.rulebook import read_file
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
    click.echo(f"http://{settings.host}:{settings.port}/demo/ ({model})", err=True)
    Granian(
        "recommender.serving.app:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=_THREADS_EACH,
        respawn_failed_workers=True,
        websockets=False,
    ).serve()


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
