"""Requests to web sites, with retries."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from recommender.training.sites import remote as module
from recommender.training.sites.remote import Remote, SiteError
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


PUBLIC, PRIVATE = "93.184.215.14", "127.0.0.1"


def resolving(**addresses: str) -> Any:
    """Return a resolver that knows these hosts; a dot in a host is written as `_`."""
    return lambda host: [address] if (address := addresses.get(host.replace(".", "_"))) else []


def redirecting(*locations: str, last: str = "done") -> Any:
    return answering(*(Response(status=302, headers={"Location": to}) for to in locations), Response(last))


@pytest.mark.parametrize("address", [
    PRIVATE, "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "::1", "fe80::1",
    "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%eth0",
])  # fmt: skip
def test_a_public_site_must_not_redirect_to_a_private_address(address: str) -> None:
    with listening(redirecting("http://localhost/secret")) as url:
        remote = Remote(attempts=3, resolve=resolving(**{"127_0_0_1": PUBLIC, "localhost": address}))
        with closing(remote), pytest.raises(SiteError) as refused:
            remote.get(url)

    assert f"127.0.0.1 leads to 'http://localhost/secret', which has the private address {address}" in str(
        refused.value
    )
    assert not refused.value.is_failing


def test_each_of_several_redirects_is_checked() -> None:
    with listening(redirecting("/a", "/b", "http://inside.example/")) as url:
        remote = Remote(resolve=resolving(**{"127_0_0_1": PUBLIC, "inside_example": "10.1.2.3"}))
        with (
            closing(remote),
            pytest.raises(SiteError, match=r"inside\.example.* private address 10\.1\.2\.3"),
        ):
            remote.get(url)


def test_a_link_of_a_public_site_to_a_private_address_is_refused() -> None:
    with listening(answering(Response("first"), Response("second"))) as url:
        remote = Remote(resolve=resolving(**{"127_0_0_1": PUBLIC, "localhost": PRIVATE}))
        with closing(remote):
            assert remote.get(url).body == b"first"
            with pytest.raises(SiteError, match="private address"):
                remote.get(url.replace("127.0.0.1", "localhost"))


def test_a_redirect_to_a_host_that_cannot_be_resolved_is_refused(waits: list[float]) -> None:
    with listening(redirecting("http://unknown.example/", "http://unknown.example/")) as url:
        remote = Remote(attempts=2, resolve=resolving(**{"127_0_0_1": PUBLIC}))
        with closing(remote), pytest.raises(SiteError, match="host cannot be resolved"):
            remote.get(url)

    assert len(waits) == 1


def test_redirects_of_a_private_site_and_among_public_addresses_are_followed() -> None:
    for resolve in (None, resolving(**{"127_0_0_1": PUBLIC, "localhost": "93.184.215.15"})):
        with listening(redirecting("/a", "/b")) as url, closing(Remote(resolve=resolve)) as remote:
            response = remote.get(url)

        assert (response.body, response.url) == (b"done", f"{url.rstrip('/')}/b")


def test_the_body_of_a_redirect_is_not_read_and_redirects_end() -> None:
    endless = Response((b"x" * 65536 for _ in iter(int, 1)), 302, headers={"Location": "/a"})

    with listening(answering(endless, Response("done"))) as url, closing(Remote()) as remote:
        assert remote.get(url).body == b"done"
    endless_redirects = listening(redirecting(*["/a"] * 9))
    with endless_redirects as url, closing(Remote()) as remote, pytest.raises(SiteError, match="more than 5"):
        remote.get(url)


def test_the_login_is_not_sent_to_another_host() -> None:
    logins: list[str | None] = []

    @Request.application
    def site(request: Request) -> Response:
        logins.append(request.headers.get("Authorization"))
        if request.path == "/there":
            return Response("done")
        port = request.host.partition(":")[2]
        return Response(status=302, headers={"Location": f"http://localhost:{port}/there"})

    with listening(site) as url, closing(Remote(login=("user", "password"))) as remote:
        assert remote.get(url).body == b"done"

    assert [login is not None for login in logins] == [True, False]
