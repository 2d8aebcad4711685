"""An S3 server on the loopback interface, whose transfers can be stopped in the middle."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from threading import Event
from typing import Any

from tests.support.sites import listening


class ObjectStore:
    """An S3 server with a bucket for a registry, at `url`.

    `stop_after` makes the next requests of a method wait for `go_on`.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        # The servers of one process share their buckets.
        self.url = f"s3://bucket-{token_hex(8)}/models"
        self._method, self._left = "", 0
        self.is_stopped, self._may_go = Event(), Event()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer as a WSGI application."""
        if environ["REQUEST_METHOD"] == self._method:
            self._left -= 1
            if self._left < 0:
                self.is_stopped.set()
                self._may_go.wait(60)
        return self._app(environ, start_response)

    def stop_after(self, method: str, requests: int) -> None:
        self.is_stopped.clear()
        self._may_go.clear()
        self._method, self._left = method, requests

    def let_others_pass(self) -> None:
        """Stop no further request; those that wait go on waiting."""
        self._method = ""

    def go_on(self) -> None:
        self.let_others_pass()
        self._may_go.set()


@contextmanager
def object_store(patch: Any) -> Iterator[ObjectStore]:
    """Start a server with an empty bucket, and name it and its keys in the environment."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 loads boto3
        DomainDispatcherApplication,
        create_backend_app,
    )
    from s3fs import S3FileSystem  # noqa: PLC0415 likewise

    store = ObjectStore(DomainDispatcherApplication(create_backend_app))
    with listening(store) as url:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        S3FileSystem(skip_instance_cache=True).mkdir(store.url.removesuffix("/models"))
        yield store
        store.go_on()
