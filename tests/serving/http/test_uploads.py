"""Bodies that never end occupy a few slots, and no more."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from weakref import ref

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from recommender.serving.http import uploads
from recommender.serving.http.auth import Caller
from recommender.serving.http.problems import Problem
from recommender.serving.http.uploads import LimitedBody, UploadLimit


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_LIMIT_WITHOUT_KEY", (10, 1, 0.0))
    monkeypatch.setattr(uploads, "_LIMIT_WITH_KEY", (2, 1, 0.0))


@contextmanager
def request_from(caller: Caller | None) -> Iterator[None]:
    with Flask("test").app_context():
        g.caller = caller
        yield


def occupied(limit: UploadLimit, caller: Caller | None, count: int) -> ExitStack:
    """Acquire slots for a caller, and return a context that releases them."""
    stack = ExitStack()
    with request_from(caller):
        for _ in range(count):
            stack.enter_context(limit.slot())
    return stack


def has_slot(limit: UploadLimit, caller: Caller | None) -> bool:
    try:
        occupied(limit, caller, 1).close()
    except Problem as problem:
        return problem.kind != "overloaded"
    return True


def test_bodies_without_a_key_leave_slots_for_bodies_with_a_key() -> None:
    limit = UploadLimit()
    with occupied(limit, Caller("127.0.0.1", is_local=True), 10):
        assert not has_slot(limit, Caller("127.0.0.1", is_local=True))
        assert not has_slot(limit, None)
        assert has_slot(limit, Caller("127.0.0.1", "cms"))
        with occupied(limit, Caller("127.0.0.1", "cms"), 2):
            assert not has_slot(limit, Caller("127.0.0.1", "cms"))
    assert has_slot(limit, None)


def test_one_address_cannot_occupy_all_slots() -> None:
    limit = UploadLimit()
    with occupied(limit, Caller("192.0.2.1"), 8):
        assert not has_slot(limit, Caller("192.0.2.1"))
        assert has_slot(limit, Caller("192.0.2.2"))
    assert has_slot(limit, Caller("192.0.2.1"))


def test_an_address_without_a_body_is_forgotten() -> None:
    class Address(str):
        """A string to which a weak reference is possible."""

        __slots__ = ("__weakref__",)

    limit, address = UploadLimit(), Address("192.0.2.1")
    reference = ref(address)
    with occupied(limit, Caller(address), 1):
        pass

    del address
    gc.collect()

    assert reference() is None


def test_a_body_has_a_slot_from_its_first_byte_to_its_end() -> None:
    log = list[str]()

    @contextmanager
    def slot() -> Iterator[None]:
        log.append("acquired")
        yield
        log.append("released")

    body = LimitedBody(BytesIO(b"four"), slot)

    assert (body.read(3), log) == (b"fou", ["acquired"])
    assert (body.read(3), log) == (b"r", ["acquired"])
    assert (body.read(3), log) == (b"", ["acquired", "released"])
    assert (body.read(3), log) == (b"", ["acquired", "released"])


def test_a_slot_is_released_as_soon_as_all_bytes_of_a_known_length_have_arrived() -> None:
    log = list[str]()

    @contextmanager
    def slot() -> Iterator[None]:
        yield
        log.append("released")

    body = LimitedBody(BytesIO(b"four"), slot, length=4)

    assert (body.read(3), log) == (b"fou", [])
    assert (body.read(1), log) == (b"r", ["released"])


def test_a_slot_is_released_even_if_the_body_is_not_read_to_its_end(client: FlaskClient) -> None:
    for _ in range(40):
        assert client.post("/v1/similar", data=b"{", content_type="application/json").status_code == 400
        assert client.post("/v1/similar", json={"title": "storm"}).status_code == 200


@pytest.mark.parametrize(("size", "connection"), [(0, None), (100, None), (100_000, "close")])
def test_the_connection_is_closed_if_a_large_body_was_refused_unread(
    client: FlaskClient, size: int, connection: str | None
) -> None:
    refused = client.put("/v1/articles/a", data=b"x" * size, content_type="application/json")
    read = client.post("/v1/similar", data=b"x" * min(size, 4000), content_type="application/json")

    assert (refused.status_code, refused.headers.get("Connection")) == (403, connection)
    assert (read.status_code, read.headers.get("Connection")) == (400, None)
