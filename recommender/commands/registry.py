"""The commands `models push`, `pull` and `follow`, and the process that follows a registry beside `serve`."""

import logging
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import TYPE_CHECKING, Literal

import click

from recommender.commands.files import echo
from recommender.options import models_dir_option

if TYPE_CHECKING:
    from recommender.registry import Copied
    from recommender.settings import Settings

_RESTART_SECONDS = 1.0

_log = logging.getLogger(__name__)


@click.command()
@click.argument("url", required=False)
@click.option("--version", help="Push this version.  [default: the current one]")
@models_dir_option
def push(url: str | None, version: str | None, models_dir: Path) -> None:
    """Copy a version to the registry at URL, and make it current there.

    URL is that of a folder, such as s3://bucket/models. The default is RECOMMENDER_MODELS_URL.
    """
    from recommender.registry import push as push_to

    _report(push_to(models_dir, registry_url(url), version), "in the registry")


@click.command()
@click.argument("url", required=False)
@models_dir_option
def pull(url: str | None, models_dir: Path) -> None:
    """Copy the current version of the registry at URL, verify it and make it current here.

    The default of URL is RECOMMENDER_MODELS_URL. A version that is damaged or not complete is refused.
    """
    from recommender.registry import pull as pull_from

    _report(pull_from(models_dir, registry_url(url)), f"in {models_dir}")


@click.command()
@click.argument("url", required=False)
@models_dir_option
def follow(url: str | None, models_dir: Path) -> None:
    """Pull the current version of the registry at URL whenever it changes, until the command is stopped.

    The default of URL is RECOMMENDER_MODELS_URL. `recommender serve --models-url` does the same.
    """
    from recommender.registry import POLL_SECONDS, RegistryFollower
    from recommender.settings import Settings

    follower = RegistryFollower(models_dir, registry_url(url))
    _configure_logs(Settings.read().log_format)
    while True:
        follower.run_once()
        sleep(POLL_SECONDS)


def registry_url(url: str | None) -> str:
    """Return the URL, by default that of the settings. Raises UsageError if there is none."""
    from recommender.settings import Settings

    known = Settings.read(**({"models_url": url} if url else {})).models_url
    if known is None:
        raise click.UsageError("name the URL of the registry, or set RECOMMENDER_MODELS_URL")
    return known


@contextmanager
def following(settings: "Settings") -> Iterator[None]:
    """Follow the registry of the settings, if there is one, in a process beside the workers.

    No worker loads the libraries of the registry, and whatever happens in that process, they go on. If it
    ends, it is started again.
    """
    if settings.models_url is None:
        yield
        return
    stopped = Event()
    thread = Thread(target=_keep_running, args=(settings, stopped), name="registry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _keep_running(settings: "Settings", stopped: Event) -> None:
    arguments = settings.models_dir, settings.models_url, settings.log_format
    context = multiprocessing.get_context("spawn")  # a forked one would have the sockets of the server
    while not stopped.is_set():
        process = context.Process(target=_follow_beside, args=arguments, name="registry", daemon=True)
        process.start()
        while process.is_alive():
            if stopped.wait(_RESTART_SECONDS):
                process.kill()
                process.join()
                return
        _log.warning("the process that follows the registry ended (%s) and starts again", process.exitcode)


def _follow_beside(models_dir: Path, url: str, log_format: Literal["text", "json"]) -> None:
    """Follow the registry until the parent process ends."""
    from recommender.registry import POLL_SECONDS, RegistryFollower

    parent = multiprocessing.parent_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _configure_logs(log_format)
    follower = RegistryFollower(models_dir, url)
    while parent is not None:
        follower.run_once()
        if wait([parent.sentinel], POLL_SECONDS):
            return


def _configure_logs(log_format: Literal["text", "json"]) -> None:
    from logging.config import dictConfig

    from recommender.serving.telemetry.logs import logging_config

    dictConfig(logging_config(log_format))


def _report(copied: "Copied", place: str) -> None:
    what = (
        f"{copied.files} files copied, {copied.bytes / (1 << 20):,.0f} MiB"
        if copied.files
        else "all files there"
    )
    echo(f"{copied.version} is now the current version {place} ({what})")
