"""A hostile client attacks a real server over sockets, and the server keeps working."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psutil
import pytest

from recommender.serving.http.auth import new_key
from tests.support.servers import Server, serving

pytestmark = pytest.mark.slow

KEY, SETTING = new_key("cms", ["articles", "rules", "events"])
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
MIB = 1 << 20
GOOD = "/v1/related?id=a"
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"


class Reply(NamedTuple):
    status: int  # 0: the connection was closed without an answer
    head: str
    body: bytes


@pytest.fixture(scope="module")
def server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server for all tests; at the end, its worker must be the same process and about as large."""
    folder = tmp_path_factory.mktemp("hostile")
    settings: dict[str, object] = {
        "models_dir": models_dir,
        "database_url": f"sqlite:///{folder / 'store.db'}",
        "state_file": folder / "state.json",
        "write_keys": SETTING,
        "address_limit": "300/hour",
    }
    with serving(folder / "log", 1, **settings) as running:
        _use(running)
        worker = psutil.Process(running.process.pid).children(recursive=True)[-1]
        before = worker.memory_info().rss
        yield running
        _use(running)
        assert worker.is_running()
        assert worker.memory_info().rss - before < 20 * MIB
        log = (folder / "log").read_text()
        assert "Traceback" not in log
        assert KEY not in log


def _use(server: Server) -> None:
    """Ask as honest callers do, many at once."""

    def ask(number: int) -> None:
        assert server.ask("GET", GOOD).status == 200
        assert server.ask("GET", f"/v1/page?id={number % 3 + 9}").status == 200
        event = {"article_id": "a", "type": "view"}
        assert server.ask("POST", "/v1/events", event, AUTHORIZED).status in {200, 503}

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(ask, range(200)))
    for number in range(20):
        assert server.ask("POST", "/v1/similar", {"title": "storm", "body": "tide " * number}).status == 200
    for path in ("/demo/", "/demo/search?q=storm", "/openapi.json", "/docs", "/widget.js"):
        assert send(server, f"GET {path} HTTP/1.1").status == 200


def send(server: Server, first: str, *headers: str, body: bytes = b"", length: int | None = None) -> Reply:
    """Send bytes as they are, and read what comes until the server is done with the connection."""
    length_header = (
        [] if not body and length is None else [f"Content-Length: {len(body) if length is None else length}"]
    )
    head = "\r\n".join([first, "Host: x", "Connection: close", *length_header, *headers, "", ""])
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        with suppress(ConnectionError):  # it may hang up on us in the middle
            connection.sendall(head.encode("latin-1") + body)
        return _answer_of(connection)


def _answer_of(connection: socket.socket) -> Reply:
    raw = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    return Reply(int(head.split()[1]) if head else 0, head.decode("latin-1"), body)


def post(server: Server, path: str, body: bytes, *headers: str, method: str = "POST") -> Reply:
    type_ = (
        []
        if any(header.startswith("Content-Type") for header in headers)
        else ["Content-Type: application/json"]
    )
    key = f"Authorization: Bearer {KEY}"
    return send(server, f"{method} {path} HTTP/1.1", key, *type_, *headers, body=body)


WRITES = [
    ("POST", "/v1/similar"),
    ("POST", "/v1/events"),
    ("POST", "/v1/articles"),
    ("PUT", "/v1/articles/new"),
    ("PUT", "/v1/rules"),
    ("PUT", "/v1/rules/new"),
]


@pytest.mark.parametrize("head", ["Content-Length: 104857600", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/v1/similar", "/v1/events"])
def test_a_body_of_100_mb_is_refused_whatever_it_says_of_its_length(
    server: Server, path: str, head: str
) -> None:
    chunk = b"x" * MIB if "Length" in head else b"100000\r\n" + b"x" * MIB + b"\r\n"
    first = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(first.encode())
        with suppress(ConnectionError, TimeoutError):
            connection.settimeout(0.5)
            for _ in range(100):
                connection.sendall(chunk)
                sent += MIB
        connection.settimeout(20)
        raw = b""
        with suppress(ConnectionError):
            raw = connection.recv(65536)

    assert raw.startswith(b"HTTP/1.1 413") or (not raw and sent < 100 * MIB)
    assert server.ask("GET", GOOD).status == 200


def test_stalled_uploads_block_neither_reads_nor_callers_with_a_key(server: Server) -> None:
    with ExitStack() as stack:
        for path in ("/v1/similar", "/v1/events"):
            for _ in range(32):
                begun = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                begun.sendall(f"{head}Content-Length: 99\r\n\r\n{{".encode())

        for _ in range(20):
            assert server.ask("GET", GOOD).status == 200
        event = {"article_id": "a", "type": "view"}
        assert server.ask("POST", "/v1/events", event, AUTHORIZED).status == 200
        shed = server.ask("POST", "/v1/events", event)
        assert (shed.status, shed.body["type"]) == (503, "overloaded")
        assert "retry-after" in shed.headers


def test_slowly_sent_headers_block_nobody(server: Server) -> None:
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20)) for _ in range(100)
        ]
        for byte in b"GET / HTTP":
            for connection in slow:
                connection.sendall(bytes([byte]))

        assert server.ask("GET", GOOD).status == 200
        assert server.ask("POST", "/v1/similar", {"title": "storm"}).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{GOOD}{'&limit=9' * 10_000}", {400, 414}),
        (f"/v1/related?{'&'.join(f'a{n}=1' for n in range(10_000))}", {400, 414}),
        (f"/v1/related?{'&exclude=a' * 6_000}", {400}),
        (f"/v1/related/batch?{'&id=a' * 10_000}", {400}),
        (f"/v1/related?id={'a' * 60_000}", {400}),
        (f"/v1/related?id={'a' * 600_000}", {0, 400, 414, 431}),
        (f"/v1/search?q={'a+' * 30_000}", {400}),
        (f"/{'a' * 60_000}", {404}),
    ],
    ids=["same", "others", "exclude", "batch", "long", "too long", "search", "path"],
)
def test_overlong_addresses_are_rejected(server: Server, path: str, status: set[int]) -> None:
    assert send(server, f"GET {path} HTTP/1.1").status in status


def test_overlong_headers_are_rejected(server: Server) -> None:
    many = [f"X-{number}: {'v' * 50}" for number in range(10_000)]

    assert send(server, f"GET {GOOD} HTTP/1.1", *many).status in {0, 400, 431}
    assert send(server, f"GET {GOOD} HTTP/1.1", f"X-Long: {'v' * MIB}").status in {0, 400, 431}
    assert send(server, f"GET {GOOD} HTTP/1.1", f"Authorization: Bearer {'k' * 60_000}").status == 200
    assert send(server, f"GET {GOOD} HTTP/1.1", f"X-Forwarded-For: {'1.1.1.1, ' * 5000}1.1.1.1").status == 200
    assert send(server, f"GET {GOOD} HTTP/1.1", "If-None-Match: " + '"a", ' * 10_000).status == 200
    assert send(server, f"GET {GOOD} HTTP/1.1", f"Cookie: {'a=b; ' * 10_000}").status == 200


@pytest.mark.parametrize("line", ["GET", "GET /", "\x00\x01", "GET / HTTP/9.9", f"{'G' * 9000} / HTTP/1.1"])
def test_malformed_http_is_rejected(server: Server, line: str) -> None:
    assert send(server, line).status in {0, 400, 404, 405, 431, 505}


def test_a_request_smuggled_in_a_body_is_not_executed(server: Server) -> None:
    smuggled = b"0\r\n\r\nDELETE /v1/articles/a HTTP/1.1\r\nHost: x\r\n\r\n"
    both = ["Content-Length: 6", "Transfer-Encoding: chunked", f"Authorization: Bearer {KEY}"]
    head = "\r\n".join(["POST /v1/events HTTP/1.1", "Host: x", "Connection: close", *both, "", ""])
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(head.encode() + smuggled)
        _answer_of(connection)

    assert server.ask("GET", GOOD).status == 200


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 900_000,
        b'{"a":' * 180_000,
        b'{"title":' + b"[" * 900_000,
        b'{"articles":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"title": ' + b"9" * 900_000 + b"}",
        json.dumps({"title": "Sturm"}).encode("utf-16"),
        json.dumps({"title": "K\u00fcste"}, ensure_ascii=False).encode("latin-1"),
        b'{"title": "\xff\xfe\x00"}',
        b'{"title": "\\ud800"}',
        b"\xef\xbb\xbf",
        b"\x00" * 1000,
        b"",
    ],
    ids="lists objects within articles digits utf-16 latin-1 bytes surrogate bom zeros nothing".split(),
)
def test_a_meaningless_body_is_rejected(server: Server, method: str, path: str, body: bytes) -> None:
    reply = post(server, path, body, method=method)

    assert reply.status == 400
    assert json.loads(reply.body)["type"] == "bad-body"


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "utf-7", "x" * 1000, '"', "\x80"])
def test_a_body_is_utf_8_whatever_its_charset_says(server: Server, charset: str) -> None:
    body = '{"title": "Küste"}'.encode()

    reply = post(server, "/v1/similar", body, f"Content-Type: application/json; charset={charset}")

    assert reply.status in {200, 415}


@pytest.mark.parametrize(
    "path",
    [
        "/demo/static/../app.py",
        "/demo/static/..%2fapp.py",
        "/demo/static/%2e%2e/app.py",
        "/demo/static/..%5capp.py",
        "/demo/static//etc/passwd",
        "/demo/static/%2fetc%2fpasswd",
        "/demo/static/site.css%00.html",
        "/docs/../app.py",
        "/docs/%2e%2e%2fdocs.py",
        "/v1/articles/../../etc/passwd",
        "/v1/articles/..",
        "/v1/articles/%2e%2e",
        "/v1/articles/%00",
        "/v1/topics/..%2f..",
        "/v1/topics/%00",
        "/v1/page/%2e%2e",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//evil.example/%2e%2e",
        "/\\evil.example",
        "/v1/related;id=a",
    ],
)
def test_a_path_reaches_only_documented_calls(server: Server, path: str) -> None:
    reply = send(server, f"GET {path} HTTP/1.1")

    assert reply.status in {400, 404}
    assert "location:" not in reply.head.lower()
    assert b"import" not in reply.body
    assert b"root:" not in reply.body


def test_html_in_a_field_of_an_article_is_escaped_wherever_it_is_shown(server: Server) -> None:
    article: dict[str, object] = dict.fromkeys(["title", "category", "type"], EVIL)
    article |= {name: [EVIL] for name in ("categories", "tags", "authors")}
    article |= {"body": f"&lt;script&gt;storm {EVIL}", "lang": "en"}
    article |= {"url": "https://x/?\"'><script>", "image_url": "/\"'><script>"}
    escaped = json.loads(json.dumps(article).replace("<", "&lt;"))  # text that reads like markup
    for article_id, given in ((EVIL, article), (f"{EVIL}2", escaped)):
        answer = server.ask("PUT", f"/v1/article?id={quote(article_id, safe='')}", given, AUTHORIZED)
        assert answer.status == 201, answer.body

    name, id_ = quote("\"'>", safe=""), quote(f"{EVIL}2", safe="")
    shown = server.ask("GET", f"/v1/article?id={id_}")
    assert "<script>" in shown.body["title"]
    category = quote(shown.body["category"], safe="")
    for path in (
        "/demo/",
        f"/demo/article?id={quote(EVIL, safe='')}",
        f"/demo/article?id={id_}",
        f"/demo/section?name={category}",
        f"/demo/section?name={quote(EVIL, safe='')}",
        f"/demo/article?id={quote(EVIL + '3', safe='')}",
        f"/demo/search?q={quote(EVIL, safe='')}",
        f"/demo/search?q=storm{name}",
    ):
        reply = send(server, f"GET {path} HTTP/1.1")
        assert "text/html" in reply.head
        page = reply.body.decode().lower()
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "onerror=alert(2)>" not in page
    for path in (f"/v1/article?id={id_}", f"/v1/{quote(EVIL, safe='')}", f"/v1/related?id={name}"):
        head = send(server, f"GET {path} HTTP/1.1").head.lower()
        assert "json" in head
        assert "nosniff" in head


@pytest.mark.parametrize("field", ["url", "image_url"])
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
    ],
)
def test_an_address_that_contains_a_script_is_rejected(server: Server, field: str, address: str) -> None:
    article = {"id": "program", "title": "x", field: address}

    put = server.ask("PUT", "/v1/articles/program", article, AUTHORIZED)
    sent = server.ask("POST", "/v1/articles", {"articles": [article]}, AUTHORIZED)

    assert (put.status, put.body["errors"][0]["name"]) == (400, field)
    assert [entry["id"] for entry in sent.body["rejected"]] == ["program"]
    assert server.ask("GET", "/v1/articles/program").status == 404


def test_a_response_depends_neither_on_the_host_nor_on_the_order_of_parameters(server: Server) -> None:
    plain = send(server, "GET /v1/related?id=a&limit=3&lang=any HTTP/1.1")
    for first, *headers in (
        ("GET /v1/related?lang=any&limit=3&id=a HTTP/1.1",),
        ("GET /v1/related?id=a&limit=3&lang=any HTTP/1.1", "X-Forwarded-Host: evil.example"),
        (
            "GET /v1/related?id=a&limit=3&lang=any HTTP/1.1",
            "X-Forwarded-Prefix: /evil",
            "Forwarded: host=evil",
        ),
        (
            "GET /v1/related?id=a&limit=3&lang=any HTTP/1.1",
            "X-Original-URL: /v1/rules",
            "X-Rewrite-URL: /evil",
        ),
        ("GET /v1/related?id=a&limit=3&lang=any HTTP/1.1", "X-HTTP-Method-Override: DELETE"),
        ("GET http://evil.example/v1/related?id=a&limit=3&lang=any HTTP/1.1",),
    ):
        assert send(server, first, *headers).body == plain.body
    for path in ("/demo/", "/v1/related?id=evil", "/openapi.json", "/docs", "/v1/articles/a%2Frelated"):
        head = f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            connection.sendall(head.encode())
            reply = _answer_of(connection)
        assert "evil.example" not in reply.head + reply.body.decode()


def test_guessing_keys_fails_from_any_address(server: Server) -> None:
    statuses = set()
    for number in range(400):
        headers = {"Authorization": f"Bearer guess{number}", "X-Forwarded-For": f"198.51.100.{number % 250}"}
        statuses.add(server.ask("DELETE", "/v1/articles/nobody", None, headers).status)

    assert statuses == {403, 429}
    assert server.ask("DELETE", "/v1/articles/nobody", None, AUTHORIZED).status == 204
    assert server.ask("DELETE", "/v1/articles/nobody").status == 401
    for twice in (f"Bearer {KEY}, Bearer {KEY}", KEY, f"Basic {KEY}", f"Bearer {KEY} {KEY}", "Bearer"):
        assert server.ask("DELETE", "/v1/articles/nobody", None, {"Authorization": twice}).status in {
            401,
            403,
        }
    assert server.ask("DELETE", f"/v1/articles/nobody?key={KEY}").status == 401
