"""The service as an ASGI application responds like the Flask application, and from the cache by itself."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from recommender.serving.asgi import Service, environ_of
from recommender.serving.cache.finished import FinishedResponses
from recommender.serving.http.auth import new_key
from tests.support.service import ServiceUnderTest

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

KEY, KEY_SETTING = new_key("cms", ["articles"])
LIST = "/v1/related?id=9"
ARTICLE = b'{"title": "Zzyzx", "body": "qwertz asdfgh", "lang": "en"}'
JSON_WITH_KEY = ((b"authorization", f"Bearer {KEY}".encode()), (b"content-type", b"application/json"))
CHANGING = {b"x-request-id", b"date"}

Answer = tuple[int, dict[bytes, bytes], bytes]


def scope_of(method: str, target: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *headers],
        "server": ("127.0.0.1", "8000"),
        "client": ("198.51.100.7", "4000"),
    }


@pytest.fixture
def service(models_dir: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(models_dir, write_keys=KEY_SETTING)
    yield service
    service.close()


def asgi_of(service: ServiceUnderTest) -> Service:
    finished: Any = service.app.wsgi_app
    assert isinstance(finished, FinishedResponses)
    return Service(service.app, finished, threads=2)


def answer_of(
    application: Service,
    method: str,
    target: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: Sequence[bytes] = (),
    *,
    ends: bool = True,
) -> Answer:
    """Return the response to a request whose body comes in several messages; it may break off."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    messages.append({"type": "http.request", "body": b""} if ends else {"type": "http.disconnect"})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope_of(method, target, headers), receive, send))
    start, content = sent
    return start["status"], dict(start["headers"]), content["body"]


@pytest.mark.parametrize(
    "target",
    [
        LIST,
        "/v1/page/9",
        "/v1/related?id=unknown",
        "/v1/related?id=9&limit=x",
        "/v1/article?id=%C3%A9",
        "/v1/related/a%2Fb",
        "/nowhere",
        "/healthz",
    ],
)
def test_it_responds_like_the_flask_application(service: ServiceUnderTest, target: str) -> None:
    application = asgi_of(service)
    expected = service.client.get(target, environ_overrides={"REMOTE_ADDR": "198.51.100.7"})

    for _ in range(2):  # computed or cached
        status, headers, body = answer_of(application, "GET", target)

        same = {name.lower().encode(): value.encode("latin-1") for name, value in expected.headers}
        assert status == expected.status_code
        assert {name.lower() for name in headers} - CHANGING == same.keys() - CHANGING
        for name, value in headers.items():
            assert name.lower() in CHANGING or value == same[name.lower()], name
        if status == HTTPStatus.OK:
            assert body == expected.data


def test_a_path_that_is_not_utf8_is_refused(service: ServiceUnderTest) -> None:
    status, _, body = answer_of(asgi_of(service), "GET", "/v1/related/%FF")

    assert (status, b"percent-encoded UTF-8" in body) == (HTTPStatus.BAD_REQUEST, True), body


def test_a_cached_response_needs_no_thread(service: ServiceUnderTest) -> None:
    finished: Any = service.app.wsgi_app
    expected = answer_of(asgi_of(service), "GET", LIST)

    def broken(_: "WSGIEnvironment", __: "StartResponse") -> Iterable[bytes]:
        raise AssertionError

    application = Service(broken, finished, threads=1)
    status, _, body = answer_of(application, "GET", LIST)

    assert (status, body) == (HTTPStatus.OK, expected[2])
    with pytest.raises(AssertionError):
        answer_of(application, "GET", f"{LIST}&limit=3")


def test_a_body_may_come_in_several_parts(service: ServiceUnderTest) -> None:
    application = asgi_of(service)

    parts = [ARTICLE[:10], b"", ARTICLE[10:11], ARTICLE[11:]]
    for declared in ([(b"content-length", b"%d" % len(ARTICLE))], [(b"transfer-encoding", b"chunked")]):
        status, _, body = answer_of(
            application, "PUT", "/v1/article?id=new", [*JSON_WITH_KEY, *declared], parts
        )

        assert status in {HTTPStatus.CREATED, HTTPStatus.OK}, body
    assert b'"title":"Zzyzx"' in answer_of(application, "GET", "/v1/article?id=new")[2]


def test_a_body_that_has_arrived_is_read_without_the_event_loop(service: ServiceUnderTest) -> None:
    finished: Any = service.app.wsgi_app
    read: list[bytes] = []

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = environ["wsgi.input"]
        body._loop = None  # it would be needed to receive more
        read.extend([body.read(3), body.read(), body.read(1)])
        start_response("204 No Content", [])
        return []

    status, _, _ = answer_of(Service(app, finished, threads=1), "POST", "/v1/events", (), [b"ab", b"cd"])

    assert (status, read) == (HTTPStatus.NO_CONTENT, [b"abc", b"d", b""])


def test_a_body_that_breaks_off_changes_nothing(service: ServiceUnderTest) -> None:
    headers = [*JSON_WITH_KEY, (b"content-length", b"999")]
    application = asgi_of(service)

    status, _, _ = answer_of(application, "PUT", "/v1/article?id=new", headers, [ARTICLE], ends=False)

    assert status == HTTPStatus.BAD_REQUEST
    assert answer_of(application, "GET", "/v1/article?id=new")[0] == HTTPStatus.NOT_FOUND


def test_a_body_that_takes_too_long_frees_its_thread_and_changes_nothing(service: ServiceUnderTest) -> None:
    finished: Any = service.app.wsgi_app
    application = Service(service.app, finished, threads=1, body_seconds=0.2)
    scope = scope_of("PUT", "/v1/article?id=new", JSON_WITH_KEY)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not sent:
            await asyncio.sleep(60)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def ask_later() -> None:
        await asyncio.sleep(0.1)  # while the only thread waits for the body
        await application(scope_of("GET", "/healthz"), receive, send)

    async def both() -> None:
        await asyncio.gather(application(scope, receive, send), ask_later())

    asyncio.run(asyncio.wait_for(both(), timeout=30))

    assert [message["status"] for message in sent[::2]] == [HTTPStatus.BAD_REQUEST, HTTPStatus.OK]
    assert answer_of(application, "GET", "/v1/article?id=new")[0] == HTTPStatus.NOT_FOUND


def test_a_body_that_is_too_large_is_not_read_to_its_end(models_dir: Path) -> None:
    service = ServiceUnderTest(models_dir, write_keys=KEY_SETTING, max_body_bytes=1000)
    headers = [*JSON_WITH_KEY, (b"transfer-encoding", b"chunked")]

    status, _, _ = answer_of(asgi_of(service), "PUT", "/v1/article?id=new", headers, [b" " * 600] * 9)

    assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    service.close()


def test_headers_with_the_same_name_are_joined_and_those_with_an_underscore_left_out() -> None:
    headers = [
        (b"x-forwarded-for", b"203.0.113.1"),
        (b"x-forwarded-for", b"203.0.113.2"),
        (b"x_forwarded_for", b"192.0.2.1"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"3"),
    ]

    environ = environ_of(scope_of("POST", f"/{quote('ü')}%FF?q=%20", headers))

    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.1,203.0.113.2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/plain", "3")
    assert "HTTP_CONTENT_TYPE" not in environ
    assert environ["PATH_INFO"].encode("latin-1") == b"/\xc3\xbc\xff"
    assert (environ["QUERY_STRING"], environ["REMOTE_ADDR"]) == ("q=%20", "198.51.100.7")


def test_only_http_is_served(service: ServiceUnderTest) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(NotImplementedError, match="websocket is not supported"):
        asyncio.run(asgi_of(service)({"type": "websocket"}, never, never))
