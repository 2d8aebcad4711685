"""Requests to web sites, with retries."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from recommender.training.readers import remote as module
from recommender.training.readers.remote import Remote, SiteError
from tests.support.sites import listening


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waiting times in seconds, without actually waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def remote() -> Iterator[Remote]:
    with closing(Remote(attempts=3)) as asking:
        yield asking


def answering(*answers: Response) -> Any:
    left = list(answers)
    return Request.application(lambda _: left.pop(0))


def test_a_retry_waits_as_long_as_the_site_asks(remote: Remote, waits: list[float]) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    busy = [Response(status=status, headers={"Retry-After": w}) for status, w in [(429, "7"), (503, until)]]

    with listening(answering(*busy, Response("done"))) as url:
        assert remote.get(url).body == b"done"

    assert waits[0] == 7
    assert 90 < waits[1] <= 100


def test_requests_stop_after_the_maximum_attempts(remote: Remote, waits: list[float]) -> None:
    with listening(answering(*[Response(status=502)] * 3)) as url, pytest.raises(SiteError, match="502"):
        remote.get(url)

    assert len(waits) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refused_request_is_not_retried(remote: Remote, waits: list[float], status: int) -> None:
    refusal = listening(answering(Response('{"message": "no"}', status)))
    with refusal as url, pytest.raises(SiteError, match="no") as refused:
        remote.get(url)

    assert (refused.value.status, refused.value.is_failing, waits) == (status, False, [])


def test_an_interrupted_response_is_requested_again(remote: Remote, waits: list[float]) -> None:
    torn = Response(iter([b"half of it"]), headers={"Content-Length": "1000"})

    with listening(answering(torn, Response("all of it"))) as url:
        assert remote.get(url).body == b"all of it"

    assert len(waits) == 1


def test_an_unreachable_server_is_an_error(waits: list[float]) -> None:
    with closing(Remote(attempts=2)) as asking, pytest.raises(SiteError, match="does not respond"):
        asking.get("http://127.0.0.1:1/")

    assert len(waits) == 1


def test_an_endless_response_is_refused(
    remote: Remote, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RESPONSE_BYTES", 100)

    with listening(answering(Response("x" * 101))) as url, pytest.raises(SiteError, match="larger than"):
        remote.get(url)

    assert waits == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "no address", "http://[::1"])
def test_an_invalid_web_address_is_refused(remote: Remote, waits: list[float], url: str) -> None:
    with pytest.raises(SiteError, match="cannot be requested"):
        remote.get(url)

    assert waits == []


def test_a_response_that_is_not_json_is_refused_with_its_beginning(remote: Remote) -> None:
    with (
        listening(answering(Response("<b>Warning</b>"))) as url,
        pytest.raises(SiteError, match="<b>Warning"),
    ):
        remote.get(url).json()
