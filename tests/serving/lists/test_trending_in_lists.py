"""What trends in the lists of other articles: a rung of the ladder, and ranks where they are asked for."""

from pathlib import Path
from typing import Any

import pytest

from recommender.serving.store import Store, StoreDownError
from tests.support.service import ServiceUnderTest, get_json, send_views

ALL = "/v1/related?id=10&min_similarity=1&limit=50"  # nothing is as similar as that


@pytest.fixture
def room(models_dir: Path) -> ServiceUnderTest:
    room = ServiceUnderTest(models_dir)
    send_views(room, _a=50, _9=30, **{"_/abs": 20, "_12": 10})
    return room


def sources(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["id"], item["source"]) for item in answer["items"]]


def test_the_rank_of_an_item_is_told_where_it_is_asked_for(room: ServiceUnderTest) -> None:
    told = get_json(room, f"{ALL}&include=trending")
    plain = get_json(room, ALL)

    ranks = {item["id"]: item["trending_rank"] for item in told["items"]}
    assert {each: ranks[each] for each in ("a", "9", "/abs", "12", "14")} == {
        "a": 1,
        "9": 2,
        "/abs": 3,
        "12": 4,
        "14": None,
    }
    assert {item["trending_rank"] for item in plain["items"]} == {None}
    assert sources(plain) == sources(told)


def test_what_trends_stands_between_the_section_and_the_newest(room: ServiceUnderTest) -> None:
    found = sources(get_json(room, f"{ALL}&include=trending"))

    order = [source for _, source in found]
    ladder = ["similar", "same_category", "trending", "recent"]
    assert order == sorted(order, key=ladder.index)
    assert [each for each, source in found if source == "trending"] == ["a", "/abs", "12"]
    assert len({each for each, _ in found}) == len(found)


def test_the_number_of_items_is_that_without_what_trends(room: ServiceUnderTest, models_dir: Path) -> None:
    for target in ("/v1/related?id=10&limit=9", "/v1/related?id=10&limit=50&category=Politics"):
        answer = get_json(room, f"{target}&include=trending")

        assert answer["returned"] == min(answer["requested"], answer["eligible"])
        quiet = get_json(ServiceUnderTest(models_dir), ALL)
        assert quiet["eligible"] == get_json(room, "/v1/related?id=10&limit=50&include=trending")["eligible"]


def test_filters_hold_for_what_trends(room: ServiceUnderTest) -> None:
    answer = get_json(room, f"{ALL}&include=trending&exclude=a&exclude_category=Culture")

    assert [each for each, source in sources(answer) if source == "trending"] == ["/abs"]
    alone = get_json(room, f"{ALL}&include=trending&fallback=none")
    assert sources(alone) == []


def test_an_unknown_article_gets_what_trends_first(room: ServiceUnderTest) -> None:
    answer = get_json(room, "/v1/related?id=nobody&unknown=fallback&include=trending&limit=5&lang=any")

    assert sources(answer) == [
        ("a", "trending"),
        ("9", "trending"),
        ("/abs", "trending"),
        ("12", "trending"),
        ("14", "recent"),
    ]


def test_a_text_gets_ranks_too(room: ServiceUnderTest) -> None:
    answer = room.client.post("/v1/similar", json={"title": "storm", "include": "trending", "limit": 20})

    assert {item["id"]: item["trending_rank"] for item in answer.get_json()["items"]}["9"] == 2


def test_caps_hold_for_what_trends(room: ServiceUnderTest, tmp_path: Path, models_dir: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nid = "c"\nkind = "cap"\nper = "section"\nat_most = 1\nreason = "r"\nauthor = "a"\n',
        encoding="utf-8",
    )
    capped = ServiceUnderTest(models_dir, rules_file=rules)
    capped.now = room.now

    found = sources(get_json(capped, f"{ALL}&include=trending"))

    assert [each for each, source in found if source == "trending"] == ["a", "/abs", "12"]


def test_a_list_that_tells_no_ranks_does_not_wait_for_the_database(
    room: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_json(room, "/v1/trending")

    def fail(*_: object) -> None:
        raise StoreDownError("gone")

    monkeypatch.setattr(Store, "counts", fail)
    room.now = room.now.replace(minute=30)

    assert ("a", "trending") in sources(get_json(room, ALL))


def test_a_wrong_value_is_refused(room: ServiceUnderTest) -> None:
    error = room.client.get("/v1/related?id=a&include=why").get_json()["errors"][0]

    assert (error["name"], error["allowed"]) == ("include", "'trending'")
