"""The page call: no article twice, never the article itself, and lists as long as the corpus allows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.artifact import publish
from recommender.serving.http.auth import new_key
from recommender.serving.http.problems import overloaded
from recommender.serving.lists.query import RelatedList
from recommender.serving.lists.related import Related
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.service import ServiceUnderTest, get_json, item_ids, send_views

KEY, SETTING = new_key("cms", ["articles", "rules", "events"])
WITH_KEY = {"Authorization": f"Bearer {KEY}"}

# Groups of near-duplicate public articles, in the order of their dates.
GROUPS = [
    ["a", "copy"], ["a/related"], ["a,b"], ["https://x/y//z"], ["/abs"], ["%2F"], ["日本 🗞"], ["8"], ["9"],
    ["10"], ["11"], ["12"], ["13"], ["14"],
]  # fmt: skip
GROUP_OF = {article_id: number for number, group in enumerate(GROUPS) for article_id in group}
ADDRESSED = sorted(GROUP_OF)
GERMAN = GROUP_OF["13"]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newsroom with a near-duplicate of one article."""
    articles = newsroom()
    [original] = [article for article in articles if article.id == "a"]
    copy = replace(original, id="copy", url="https://www.courier.example/copy/")
    folder = tmp_path_factory.mktemp("copied")
    publish(build_model([*articles, copy]), folder, now=NOW)
    return folder


@pytest.fixture(scope="module")
def site(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A site where three articles have views."""
    database = tmp_path_factory.mktemp("page") / "store.db"
    site = ServiceUnderTest(models_dir, database_url=f"sqlite:///{database}")
    send_views(site, _9=30, _a=50, _12=20)
    yield site
    site.close()


@pytest.fixture
def context(models_dir: Path, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A site whose articles and rules may be changed."""
    site = ServiceUnderTest(models_dir, database_url=f"sqlite:///{tmp_path / 'store.db'}", write_keys=SETTING)
    yield site
    site.close()


def page(site: ServiceUnderTest, article_id: str, **parameters: Any) -> dict[str, Any]:
    more = "".join(f"&{name}={value}" for name, value in parameters.items())
    return get_json(site, f"/v1/page?id={quote(article_id, safe='')}{more}")


def read(site: ServiceUnderTest, *article_ids: str) -> None:
    """Send views of the articles a minute ago, most of them for the first."""
    ts = (site.now - timedelta(minutes=1)).isoformat()
    events = [
        {"article_id": article_id, "type": "view", "ts": ts, "count": 30 - place}
        for place, article_id in enumerate(article_ids)
    ]
    site.send(*events, **WITH_KEY)


def groups(items: list[dict[str, Any]]) -> list[int]:
    return [GROUP_OF[item["id"]] for item in items]


def beside(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [answer[name] for name in ("previous", "next") if answer[name] is not None]


def test_a_page_has_the_keys_of_the_contract(site: ServiceUnderTest) -> None:
    answer = page(site, "9", related_limit=3)

    assert list(answer) == ["article", "related", "trending", "previous", "next", "sections", "topics"]
    assert list(answer["article"])[-4:] == ["tags", "authors", "type", "updated_at"]
    assert (answer["article"]["id"], answer["article"]["reading_minutes"]) == ("9", 1)
    assert (answer["related"]["article_id"], answer["trending"]["article_id"]) == ("9", None)
    assert (answer["trending"]["window"], answer["trending"]["basis"]) == ("1h", "views")
    assert [(item["id"], item["source"], item["trending_rank"]) for item in answer["trending"]["items"]][
        :2
    ] == [
        ("a", "trending", 1),
        ("12", "trending", 3),
    ]
    assert answer["sections"][0] == {"name": "Environment", "slug": "environment", "articles": 5}
    assert answer["topics"] == [{"slug": "all", "name": "All things", "share": 1.0}]


@given(
    st.sampled_from(ADDRESSED),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(["all", "lists", "none", None]),
)
def test_no_article_appears_twice_and_lists_are_full(
    site: ServiceUnderTest, article_id: str, wide: int, long: int, dedupe: str | None
) -> None:
    more = {} if dedupe is None else {"dedupe": dedupe}
    answer = page(site, article_id, related_limit=wide, trending_limit=long, **more)
    own, public = GROUP_OF[article_id], set(range(len(GROUPS)))
    related, trending, sides = (
        groups(answer["related"]["items"]),
        groups(answer["trending"]["items"]),
        groups(beside(answer)),
    )
    may_relate = {GERMAN} - {own} if own == GERMAN else public - {own, GERMAN}
    may_trend = public - {own} - (set() if dedupe == "none" else set(related))

    assert len(set(related)) == len(related) == min(wide, len(may_relate)) == answer["related"]["returned"]
    assert len(set(trending)) == len(trending) == min(long, len(may_trend)) == answer["trending"]["returned"]
    assert answer["related"]["eligible"] == len(may_relate)
    assert answer["trending"]["eligible"] == len(may_trend)
    assert set(related) <= may_relate
    assert set(trending) <= may_trend
    if dedupe in {"all", None}:
        assert not {own, *related, *trending} & set(sides)
        assert len(set(sides)) == len(sides)
    assert article_id not in {item["id"] for item in beside(answer)}


def test_previous_and_next_are_the_nearest_articles_that_the_page_does_not_show(
    site: ServiceUnderTest,
) -> None:
    dated = ["copy", "a", "a/related", "a,b", "https://x/y//z", "/abs", "日本 🗞", "8", "%2F", "9", "10", "11"]
    at = dated.index("/abs")

    for limits in ({"related_limit": 1, "trending_limit": 1}, {"related_limit": 4, "trending_limit": 2}):
        answer = page(site, "/abs", **limits)
        shown = {*groups(answer["related"]["items"]), *groups(answer["trending"]["items"])}
        older = [article_id for article_id in reversed(dated[:at]) if GROUP_OF[article_id] not in shown]
        newer = [article_id for article_id in dated[at + 1 :] if GROUP_OF[article_id] not in shown]

        assert answer["previous"]["id"] == older[0]
        assert answer["next"]["id"] == newer[0]


def test_without_dedupe_previous_and_next_are_those_of_the_article(site: ServiceUnderTest) -> None:
    facts = get_json(site, "/v1/article?id=10")

    for dedupe in ("lists", "none"):
        answer = page(site, "10", dedupe=dedupe)
        assert (answer["previous"], answer["next"]) == (facts["previous"], facts["next"])


def test_the_related_list_of_a_page_is_the_list_of_the_article(site: ServiceUnderTest) -> None:
    assert page(site, "9")["related"] == get_json(site, "/v1/related?id=9")
    assert page(site, "9", related_limit=3, explain=1)["related"] == get_json(
        site, "/v1/related?id=9&limit=3&explain=1"
    )


def test_pins_come_first_and_are_not_repeated_in_trending(context: ServiceUnderTest) -> None:
    read(context, "12", "11")
    rule = {"kind": "pin", "articles": ["12"], "reason": "the vote", "author": "A. Reyes"}
    assert context.client.put("/v1/rules/live", json=rule, headers=WITH_KEY).status_code == 201

    answer = page(context, "9")

    assert item_ids(answer["related"])[0] == "12"
    assert "12" not in item_ids(answer["trending"])


def test_an_article_blocked_in_the_list_of_another_is_nowhere_on_its_page(context: ServiceUnderTest) -> None:
    read(context, "10")
    rule = {"kind": "block", "articles": ["10"], "for_article": "9", "reason": "wrong", "author": "A. Reyes"}
    assert context.client.put("/v1/rules/photo", json=rule, headers=WITH_KEY).status_code == 201

    answer = page(context, "9", trending_limit=1, related_limit=1)

    assert "10" not in str(answer)
    assert item_ids(page(context, "8", trending_limit=1, related_limit=1)["trending"]) == ["10"]


def test_a_blocked_near_duplicate_is_not_named_on_the_page(context: ServiceUnderTest) -> None:
    assert "copy" in str(page(context, "9", related_limit=1, trending_limit=50))
    for place in ({"for_article": "9"}, {"for_category": "Economy & Business"}):
        rule = {"kind": "block", "articles": ["copy"], "reason": "wrong", "author": "A. Reyes"} | place
        assert context.client.put(f"/v1/rules/{len(place)}", json=rule, headers=WITH_KEY).status_code < 300

        about_category = "for_category" in place
        for call in (
            "/v1/articles?limit=50&category=economy-business",
            "/v1/trending?limit=50&category=economy-business",
        ):
            assert ("copy" in str(get_json(context, call))) != about_category
        shown = str(page(context, "9", related_limit=1, trending_limit=50))
        assert ("copy" in shown) == about_category


def test_a_page_is_found_by_path_and_by_url(site: ServiceUnderTest) -> None:
    by_id = get_json(site, "/v1/page?id=9&related_limit=3")

    assert get_json(site, "/v1/page/9?related_limit=3") == by_id
    assert get_json(site, "/v1/page?url=https%3A%2F%2Fcourier.example%2F9&related_limit=3") == by_id
    assert get_json(site, f"/v1/page/{quote('日本 🗞')}")["article"]["id"] == "日本 🗞"


def test_an_id_with_a_slash_in_the_path_gets_its_address_in_the_error(site: ServiceUnderTest) -> None:
    answer = site.client.get("/v1/page/a/related")

    assert answer.status_code == 404
    assert answer.get_json()["detail"].endswith("use /v1/page?id=a%2Frelated")


@pytest.mark.parametrize(
    ("query", "status", "name"),
    [
        ("id=nobody", 404, "id"),
        ("id=15", 404, "id"),
        ("id=9&related_limit=51", 400, "related_limit"),
        ("id=9&trending_limit=0", 400, "trending_limit"),
        ("id=9&dedupe=some", 400, "dedupe"),
        ("id=9&limit=9", 400, "limit"),
        ("", 400, "id"),
    ],
)
def test_an_error_names_the_invalid_parameter(
    site: ServiceUnderTest, query: str, status: int, name: str
) -> None:
    answer = site.client.get(f"/v1/page?{query}")

    assert answer.status_code == status
    assert [fault["name"] for fault in answer.get_json()["errors"]] == [name]


def test_the_page_of_a_withdrawn_article_is_410(context: ServiceUnderTest) -> None:
    assert context.client.delete("/v1/articles/9", headers=WITH_KEY).status_code == 204

    answer = context.client.get("/v1/page/9")

    assert (answer.status_code, answer.headers["Cache-Control"]) == (410, "no-store")
    assert '"id":"9"' not in context.client.get("/v1/page/10").text


def test_an_embargo_ends_on_pages_at_its_moment(context: ServiceUnderTest) -> None:
    before = page(context, "14", related_limit=50)
    context.now += timedelta(seconds=15)
    after = page(context, "14", related_limit=50)

    assert "15" not in item_ids(before["related"])
    assert "15" in item_ids(after["related"])
    counts = [sum(section["articles"] for section in answer["sections"]) for answer in (before, after)]
    assert counts[1] == counts[0] + 1
    assert page(context, "14", related_limit=1, trending_limit=1)["next"] is None


def test_a_batch_is_in_the_order_of_the_request(site: ServiceUnderTest) -> None:
    answer = get_json(site, "/v1/related/batch?id=9&id=nobody&id=a%2Frelated&id=9&limit=3")

    assert [(entry["article_id"], entry["status"]) for entry in answer["results"]] == [
        ("9", 200),
        ("nobody", 404),
        ("a/related", 200),
        ("9", 200),
    ]
    assert [entry["list"] for entry in answer["results"]] == [
        get_json(site, "/v1/related?id=9&limit=3"),
        None,
        get_json(site, "/v1/related?id=a%2Frelated&limit=3"),
        get_json(site, "/v1/related?id=9&limit=3"),
    ]


def test_answers_about_unknown_articles_are_not_cached(site: ServiceUnderTest) -> None:
    cached, *uncached = (
        site.client.get(f"/v1/related{call}").headers["Cache-Control"]
        for call in ("/batch?id=9&id=8", "/batch?id=9&id=nobody", "?id=nobody&unknown=fallback")
    )

    assert cached.startswith("public, max-age=0, s-maxage=")
    assert uncached == ["no-store", "no-store"]


def test_a_batch_falls_back_if_requested(site: ServiceUnderTest) -> None:
    [entry] = get_json(site, "/v1/related/batch?id=nobody&unknown=fallback&limit=2")["results"]

    assert (entry["status"], entry["list"]["article_id"], entry["list"]["returned"]) == (200, "nobody", 2)


def test_a_batch_uses_cached_lists_and_caches_its_own(
    context: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, of_row = list[int](), Related.of_row

    def counting(related: Related, row: int, *arguments: Any, **options: Any) -> RelatedList:
        rows.append(row)
        return of_row(related, row, *arguments, **options)

    monkeypatch.setattr(Related, "of_row", counting)
    for target in ("/v1/related?id=9", "/v1/related/batch?id=9&id=8", "/v1/related?id=8"):
        get_json(context, target)

    assert len(rows) == len(set(rows)) == 2


@pytest.mark.parametrize(
    ("error", "status"), [(overloaded("no slot"), 503), (ValueError("damaged"), 500)], ids=["problem", "bug"]
)
def test_a_list_that_fails_does_not_fail_its_batch(
    context: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    of_row = Related.of_row

    def failing(related: Related, row: int, *arguments: Any, **options: Any) -> RelatedList:
        if related.articles.ids[row] == "8":
            raise error
        return of_row(related, row, *arguments, **options)

    with monkeypatch.context() as broken:
        broken.setattr(Related, "of_row", failing)
        response = context.client.get("/v1/related/batch?id=9&id=8&id=nobody")
        alone = context.client.get("/v1/related/batch?id=8")
    results = response.get_json()["results"]

    assert [result["status"] for result in results] == [200, status, 404]
    assert results[0]["list"] == get_json(context, "/v1/related?id=9")
    assert results[1]["list"] is None
    assert response.headers["Cache-Control"] == "no-store"
    assert alone.status_code == status
    assert get_json(context, "/v1/related/batch?id=8")["results"][0]["status"] == 200


@pytest.mark.parametrize("query", ["", "id=..", "&".join(f"id={n}" for n in range(101)), "id=9&category=no"])
def test_an_invalid_batch_is_rejected(site: ServiceUnderTest, query: str) -> None:
    assert site.client.get(f"/v1/related/batch?{query}").status_code == 400
