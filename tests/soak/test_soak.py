"""A short soak finds no fault; the checks find the faults that they are for."""

from typing import Any

import pytest

from tests.soak.expectations import Change, Expectations
from tests.soak.run import report, soak, tables
from tests.soak.usage import Sample, growth
from tests.support.servers import Answer

LATE = 10.0  # of `time.monotonic`, when the checked requests begin


def item(article_id: str, title: str) -> dict[str, Any]:
    return {"id": article_id, "title": title, "source": "similar"}


def answer(version: str, *items: dict[str, Any], eligible: int | None = None) -> Answer:
    n = len(items) if eligible is None else eligible
    listed = {"article_id": "0", "model": {"version": version}, "requested": 9, "eligible": n}
    return Answer(200, {}, {"results": [{"list": listed | {"returned": len(items), "items": list(items)}}]})


@pytest.fixture
def expectations() -> Expectations:
    expected = Expectations()
    expected.publish("v1", "A", 0.0)
    expected.publish("v2", "B", LATE - 1)
    expected.end("gone", Change("withdrawn", LATE - 2))
    expected.end("gone just now", Change("withdrawn", LATE - 0.5))
    expected.end("to come", Change("embargoed", LATE - 2, until=LATE + 5))
    expected.end("corrected", Change("shown", LATE - 2, revision=3, revised=LATE - 2))
    return expected


@pytest.mark.parametrize(
    ("response", "kinds"),
    [
        (answer("v1", item("1", "x (edition A)"), item("corrected", "x (revision 3)")), []),
        (answer("v1", item("gone just now", "x")), []),
        (answer("v1", item("1", "x (edition A)"), item("2", "x (edition B)")), ["mixed"]),
        (answer("v1", item("1", "x (edition B)")), ["mixed"]),
        (answer("v1", item("gone", "x")), ["forbidden"]),
        (answer("v2", item("to come", "x")), ["forbidden"]),
        (answer("v2", item("corrected", "x (revision 2)")), ["wrong"]),
        (answer("v2", item("corrected", "x (edition B)")), ["wrong"]),
        (answer("v2", item("1", "x"), eligible=2), ["wrong"]),
        (answer("v2", item("1", "x"), item("1", "x")), ["wrong"]),
        (answer("v2", item("0", "x")), ["wrong"]),
    ],
)
def test_each_fault_of_a_list_is_found(
    expectations: Expectations, response: Answer, kinds: list[str]
) -> None:
    assert [fault.kind for fault in expectations.faults("/", response, LATE, LATE + 0.1)] == kinds


def test_a_version_that_was_replaced_long_ago_is_wrong(expectations: Expectations) -> None:
    assert [fault.kind for fault in expectations.faults("/", answer("v1"), LATE + 60, LATE + 61)] == ["wrong"]


@pytest.mark.parametrize(
    ("article_id", "status", "kinds"),
    [("gone", 410, []), ("gone", 200, ["forbidden"]), ("corrected", 404, ["wrong"]), ("to come", 404, [])],
)
def test_each_wrong_status_is_found(
    expectations: Expectations, article_id: str, status: int, kinds: list[str]
) -> None:
    response = Answer(status, {}, None)

    faults = expectations.status_fault(article_id, "/", response, LATE, LATE + 0.1)

    assert [fault.kind for fault in faults] == kinds


def test_growth_is_found_but_not_a_short_peak() -> None:
    steady = [Sample(2.0 * number, 200.0 + 300 * (number == 90), 100) for number in range(100)]
    growing = [Sample(2.0 * number, 200.0 + number, 100 + 4 * number) for number in range(100)]

    assert growth(steady) == []
    assert growth(growing) == ["memory from 237 to 287 MiB", "descriptors from 248 to 448"]


@pytest.mark.slow
def test_a_soak_of_twenty_seconds_finds_no_fault() -> None:
    found = soak(22, workers=2)

    assert found.faults == []
    assert found.done["reloads"] >= 2
    assert found.done.keys() >= {"kills", "rules", "puts", "withdrawals", "embargoes"}
    assert all(200 in statuses or 204 in statuses for statuses in found.statuses.values())
    assert '"failed": false' in report([found])
    assert len(list(tables(found))) == 3
