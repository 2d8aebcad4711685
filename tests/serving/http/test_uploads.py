"""Bodies that never end take some places, and no more."""

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
from recommender.serving.http.uploads import Body, Uploads


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_WITHOUT_KEY", (10, 1, 0.0))
    monkeypatch.setattr(uploads, "_WITH_KEY", (2, 1, 0.0))


@contextmanager
def of(caller: Caller | None) -> Iterator[None]:
    with Flask("test").app_context():
        g.caller = caller
        yield


def held(places: Uploads, caller: Caller | None, least: int) -> ExitStack:
    """Begin so many bodies, and end none."""
    stack = ExitStack()
    with of(caller):
        for _ in range(least):
            stack.enter_context(places.place())
    return stack


def has_place(places: Uploads, caller: Caller | None) -> bool:
    try:
        held(places, caller, 1).close()
    except Problem as problem:
        return problem.kind != "overloaded"
    return True


def test_bodies_without_a_key_leave_room_for_those_with_one() -> None:
    places = Uploads()
    with held(places, Caller("127.0.0.1", is_local=True), 10):
        assert not has_place(places, Caller("127.0.0.1", is_local=True))
        assert not has_place(places, None)
        assert has_place(places, Caller("127.0.0.1", "cms"))
        with held(places, Caller("127.0.0.1", "cms"), 2):
            assert not has_place(places, Caller("127.0.0.1", "cms"))
    assert has_place(places, None)


def test_one_address_has_not_all_the_places() -> None:
    places = Uploads()
    with held(places, Caller("192.0.2.1"), 8):
        assert not has_place(places, Caller("192.0.2.1"))
        assert has_place(places, Caller("192.0.2.2"))
    assert has_place(places, Caller("192.0.2.1"))


def test_an_address_without_a_body_is_forgotten() -> None:
    class Address(str):
        """A string to which a weak reference is possible."""

        __slots__ = ("__weakref__",)

    places, address = Uploads(), Address("192.0.2.1")
    reference = ref(address)
    with held(places, Caller(address), 1):
        pass

    del address
    gc.collect()

    assert reference() is None


def test_a_body_has_a_place_from_its_first_byte_to_its_end() -> None:
    begun = list[str]()

    @contextmanager
    def place() -> Iterator[None]:
        begun.append("begun")
        yield
        begun.append("ended")

    body = Body(BytesIO(b"four"), place)

    assert (body.read(3), begun) == (b"fou", ["begun"])
    assert (body.read(3), begun) == (b"r", ["begun"])
    assert (body.read(3), begun) == (b"", ["begun", "ended"])
    assert (body.read(3), begun) == (b"", ["begun", "ended"])


def test_a_place_is_given_back_though_the_body_is_not_read_to_its_end(client: FlaskClient) -> None:
    for _ in range(40):
        assert client.post("/v1/similar", data=b"{", content_type="application/json").status_code == 400
        assert client.post("/v1/similar", json={"title": "storm"}).status_code == 200


@pytest.mark.parametrize(("size", "told"), [(0, None), (100, None), (100_000, "close")])
def test_the_connection_ends_where_a_large_body_was_refused_unread(
    client: FlaskClient, size: int, told: str | None
) -> None:
    refused = client.put("/v1/articles/a", data=b"x" * size, content_type="application/json")
    read = client.post("/v1/similar", data=b"x" * min(size, 4000), content_type="application/json")

    assert (refused.status_code, refused.headers.get("Connection")) == (403, told)
    assert (read.status_code, read.headers.get("Connection")) == (400, None)
