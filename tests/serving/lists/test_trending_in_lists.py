"""Trending articles in the lists of other articles, and trending ranks where they are requested."""

from pathlib import Path
from typing import Any

import pytest

from recommender.serving.store import Store, StoreDownError
from tests.support.service import ServiceUnderTest, get_json, send_views

ALL = "/v1/related?id=10&min_similarity=1&limit=50"  # no article is this similar


@pytest.fixture
def site(models_dir: Path) -> ServiceUnderTest:
    site = ServiceUnderTest(models_dir)
    send_views(site, _a=50, _9=30, **{"_/abs": 20, "_12": 10})
    return site


def sources(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["id"], item["source"]) for item in answer["items"]]


def test_an_item_has_its_trending_rank_if_requested(site: ServiceUnderTest) -> None:
    with_ranks = get_json(site, f"{ALL}&include=trending")
    plain = get_json(site, ALL)

    ranks = {item["id"]: item["trending_rank"] for item in with_ranks["items"]}
    assert {article_id: ranks[article_id] for article_id in ("a", "9", "/abs", "12", "14")} == {
        "a": 1,
        "9": 2,
        "/abs": 3,
        "12": 4,
        "14": None,
    }
    assert {item["trending_rank"] for item in plain["items"]} == {None}
    assert sources(plain) == sources(with_ranks)


def test_trending_articles_come_between_the_category_and_the_newest(site: ServiceUnderTest) -> None:
    items = sources(get_json(site, f"{ALL}&include=trending"))

    order = [source for _, source in items]
    fill_order = ["similar", "same_category", "trending", "recent"]
    assert order == sorted(order, key=fill_order.index)
    assert [article_id for article_id, source in items if source == "trending"] == ["a", "/abs", "12"]
    assert len({article_id for article_id, _ in items}) == len(items)


def test_trending_articles_do_not_change_the_number_of_items(
    site: ServiceUnderTest, models_dir: Path
) -> None:
    for target in ("/v1/related?id=10&limit=9", "/v1/related?id=10&limit=50&category=Politics"):
        answer = get_json(site, f"{target}&include=trending")

        assert answer["returned"] == min(answer["requested"], answer["eligible"])
        quiet = get_json(ServiceUnderTest(models_dir), ALL)
        assert quiet["eligible"] == get_json(site, "/v1/related?id=10&limit=50&include=trending")["eligible"]


def test_filters_apply_to_trending_articles(site: ServiceUnderTest) -> None:
    answer = get_json(site, f"{ALL}&include=trending&exclude=a&exclude_category=Culture")

    assert [article_id for article_id, source in sources(answer) if source == "trending"] == ["/abs"]
    alone = get_json(site, f"{ALL}&include=trending&fallback=none")
    assert sources(alone) == []


def test_an_unknown_article_gets_trending_articles_first(site: ServiceUnderTest) -> None:
    answer = get_json(site, "/v1/related?id=nobody&unknown=fallback&include=trending&limit=5&lang=any")

    assert sources(answer) == [
        ("a", "trending"),
        ("9", "trending"),
        ("/abs", "trending"),
        ("12", "trending"),
        ("14", "recent"),
    ]


def test_a_text_gets_ranks_too(site: ServiceUnderTest) -> None:
    answer = site.client.post("/v1/similar", json={"title": "storm", "include": "trending", "limit": 20})

    assert {item["id"]: item["trending_rank"] for item in answer.get_json()["items"]}["9"] == 2


def test_caps_apply_to_trending_articles(site: ServiceUnderTest, tmp_path: Path, models_dir: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nid = "c"\nkind = "cap"\nper = "category"\nat_most = 1\nreason = "r"\nauthor = "a"\n',
        encoding="utf-8",
    )
    capped = ServiceUnderTest(models_dir, rules_file=rules)
    capped.now = site.now

    items = sources(get_json(capped, f"{ALL}&include=trending"))

    assert [article_id for article_id, source in items if source == "trending"] == ["a", "/abs", "12"]


def test_a_list_without_ranks_does_not_wait_for_the_database(
    site: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_json(site, "/v1/trending")

    def fail(*_: object) -> None:
        raise StoreDownError("gone")

    monkeypatch.setattr(Store, "counts", fail)
    site.now = site.now.replace(minute=30)

    assert ("a", "trending") in sources(get_json(site, ALL))


def test_an_invalid_value_is_rejected(site: ServiceUnderTest) -> None:
    error = site.client.get("/v1/related?id=a&include=why").get_json()["errors"][0]

    assert (error["name"], error["allowed"]) == ("include", "'trending'")
