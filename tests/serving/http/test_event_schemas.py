"""Invalid and hostile events are rejected one by one; valid events are accepted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.http.event_schemas import MAX_EVENTS, EventBody, parse_events
from recommender.serving.http.problems import Problem

VALID = {"article_id": "a", "type": "view"}


def read(*events: Any) -> tuple[list[int], dict[int, str]]:
    """Return the indexes of the valid events, and the reasons of the others by index."""
    batch = parse_events(json.dumps({"events": events}).encode())
    return [index for index, _ in batch.events], {note.index: note.reason for note in batch.rejected}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"article_id": None}, "article_id is 'null'; allowed: an article's id"),
        ({"article_id": ""}, "article_id is ''"),
        ({"article_id": ".."}, "article_id is '..'"),
        ({"article_id": "a\0b"}, "no NUL"),
        ({"article_id": "é" * 257}, "1-512 bytes"),
        ({"article_id": True}, "article_id is 'true'"),
        ({"article_id": 1.5}, "article_id is '1.5'"),
        ({"article_id": ["a"]}, "article_id is '[\"a\"]'"),
        ({"type": "explode"}, "type is 'explode'; allowed: one of view, click, share, comment, like"),
        ({"type": "View"}, "type is 'View'"),
        ({"type": None}, "type is 'null'"),
        ({"count": 0}, "count is '0'; allowed: a whole number from 1 to 1000000000"),
        ({"count": -5}, "count is '-5'"),
        ({"count": True}, "count is 'true'"),
        ({"count": 1.0}, "count is '1.0'"),
        ({"count": "3"}, "count is '3'"),
        ({"count": 10**30}, "count is '1000000000000000000000000000000'"),
        ({"ts": "yesterday"}, "ts is 'yesterday'; allowed: an ISO 8601 time, or a Unix time"),
        ({"ts": True}, "ts is 'true'"),
        ({"ts": -1}, "ts is '-1'"),
        ({"ts": 10**300}, "ts is '1000"),
        ({"ts": {"$date": 0}}, "ts is '{\"$date\": 0}'"),
        ({"event_id": ""}, "event_id is ''; allowed: a string of 1 to 256 characters"),
        ({"event_id": "x" * 257}, f"event_id is '{'x' * 100}';"),
        ({"visitor_id": {"id": 1}}, "visitor_id is '{\"id\": 1}'"),
        ({"list": "a\0"}, "without NUL"),
        ({"position": -1}, "position is '-1'; allowed: a whole number from 0 to 1000"),
        ({"from_id": "."}, "from_id is '.'"),
        ({"visitor": "x"}, "visitor is 'x'; allowed: the fields article_id, type, event_id"),
        (
            {str(number): 1 for number in range(50)},
            "not an event; allowed: a JSON object with at most 22 fields",
        ),
    ],
)
def test_only_the_invalid_event_is_rejected_with_a_reason(fields: dict[str, Any], reason: str) -> None:
    valid, rejected = read(VALID, VALID | fields, VALID)

    assert valid == [0, 2]
    assert list(rejected) == [1]
    assert reason in rejected[1]


@pytest.mark.parametrize("item", [None, 3, "view", [], [VALID], {}, {"type": "view"}])
def test_an_item_that_is_not_an_event_is_rejected(item: Any) -> None:
    valid, rejected = read(item, VALID)

    assert (valid, list(rejected)) == ([1], [0])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"events"',
        b"\xff\xfe",
        b'{"events": {}}',
        b'{"events": null}',
        b'{"events": [], "more": 1}',
        b'{"article_id": "a", "type": "view", "count": NaN}',
        b'{"article_id": "\\ud800", "type": "view"}',
        b'{"article_id": "a", "type": "view", "count": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"events": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    ],
)
def test_a_body_without_events_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        parse_events(body)

    assert (refused.value.kind, refused.value.faults[0].name) == ("bad-body", "body")


def test_a_batch_of_more_than_a_thousand_is_refused() -> None:
    assert len(read(*[VALID] * MAX_EVENTS)[0]) == MAX_EVENTS
    with pytest.raises(Problem) as refused:
        read(*[VALID] * (MAX_EVENTS + 1))

    assert (refused.value.status, "1001 events; 1000 are allowed" in refused.value.detail) == (413, True)


def test_a_batch_may_be_empty() -> None:
    assert read() == ([], {})


def test_an_infinite_time_is_rejected() -> None:
    batch = parse_events(b'{"events": [{"article_id": "a", "type": "view", "ts": 1e999}]}')

    assert [note.index for note in batch.rejected] == [0]


def test_ids_may_be_numbers_or_any_text() -> None:
    body = json.dumps(VALID | {"article_id": 4711, "visitor_id": 9, "event_id": "日本 🗞"}).encode()

    assert parse_events(body).events == [
        (0, EventBody(article_id="4711", type="view", visitor_id="9", event_id="日本 🗞"))
    ]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from([*EventBody.model_fields, "other"])


@given(st.lists(st.dictionaries(NAMES, ANYTHING) | ANYTHING, max_size=5))
def test_every_item_is_either_accepted_or_rejected(events: list[Any]) -> None:
    valid, rejected = read(*events, VALID)

    assert sorted([*valid, *rejected]) == list(range(len(events) + 1))
    assert len(events) in valid
