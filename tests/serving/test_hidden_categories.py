"""Rules that hide a category or an author keep its articles, trained and live, out of every list."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recommender.serving.http.auth import new_key
from tests.support.newsroom import NOW
from tests.support.service import ServiceUnderTest, get_json, item_ids

KEY, SETTING = new_key("cms", ["articles", "rules", "events"])
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
TEXT = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."
CALLS = [
    "/v1/articles/9/related?limit=50",
    "/v1/related?id=unheard&unknown=fallback&limit=50",
    "/v1/articles?limit=50",
    "/v1/related/batch?id=9&limit=50",
    "/v1/page?id=9&related_limit=50",
    "/v1/page?id=9&related_limit=1&trending_limit=50",
    "/v1/page?id=9&related_limit=1&trending_limit=1",
    "/v1/articles/9",
    "/v1/topics/all?limit=50",
    "/v1/trending?limit=50",
    "/v1/search?limit=50&q=sea+wal",
]
DROP_INS = [
    "/v2/related?limit=50&url=https://www.courier.example/9/",
    "/v2/related?limit=50&url=https://www.courier.example/unheard",
    "/v2/related?limit=50&section=Politics&url=https://www.courier.example/9/",
    "/wp-json/yarpp/v1/related/9?limit=50",
    "/api/item/9/neighbors?n=50",
    "/api/item/9/neighbors/politics?n=50",
    "/?relatedposts=1&size=20&url=https://www.courier.example/9/",
]
POLITICS = {"a,b", "https://x/y//z", "/abs", "%2F", "日本 🗞", "8", "10"}
LIVE = {"ad", "ad2"}


def opened(models_dir: Path, folder: Path, **options: Any) -> ServiceUnderTest:
    return ServiceUnderTest(
        models_dir,
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
        write_keys=SETTING,
        drop_in="yarpp jetpack parsely gorse",
        **options,
    )


@pytest.fixture
def service(models_dir: Path, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A service with two live articles: one in the category Politics, both by Jane Doe."""
    service = opened(models_dir, tmp_path)
    put(service, "ad", category="Politics", authors=["Jane Doe"])
    put(service, "ad2", category="Environment", authors=["John Roe", "JANE DOE"])
    yield service
    service.close()


@pytest.fixture(scope="module")
def unchanged(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service that refuses all that the tests send, so that they can share it."""
    service = opened(models_dir, tmp_path_factory.mktemp("unchanged"))
    yield service
    service.close()


def put(service: ServiceUnderTest, article_id: str, **fields: Any) -> None:
    body = {
        "title": "Sea wall tour",
        "body": f"{TEXT} {article_id}",
        "url": f"https://www.courier.example/{article_id}",
        "published_at": "2026-02-20T09:30:00Z",
        "updated_at": service.now.isoformat(),
    }
    answer = service.client.put(f"/v1/articles/{article_id}", json=body | fields, headers=WITH_KEY)
    assert answer.status_code in {200, 201}, answer.text
    assert answer.get_json()["applied"]


def put_rule(service: ServiceUnderTest, kind: str, rule_id: str = "hide", **fields: Any) -> None:
    body = {"kind": kind, "reason": "paid for", "author": "A. Reyes"} | fields
    answer = service.client.put(f"/v1/rules/{rule_id}", json=body, headers=WITH_KEY)
    assert answer.status_code in {200, 201}, answer.text


def shown(answer: Any) -> set[str]:
    """Return every id in an answer, also those of near-duplicates, but not that of the own article."""
    if isinstance(answer, dict):
        own = {answer["id"], *(answer["also_published_as"] or ())} if "also_published_as" in answer else set()
        return own.union(*map(shown, answer.values())) - {"9"}
    return set[str]().union(*map(shown, answer)) if isinstance(answer, list) else set()


def everything(service: ServiceUnderTest) -> set[str]:
    """Return the ids of all listed articles, over all calls."""
    similar = service.client.post("/v1/similar", json={"title": "Sea wall", "body": TEXT, "limit": 50}).json
    return shown(similar).union(*(shown(get_json(service, call)) for call in CALLS))


def drop_in_titles(service: ServiceUnderTest) -> str:
    return "\n".join(service.client.get(call).text for call in DROP_INS)


@pytest.mark.parametrize("kind", ["block", "sensitive"])
@pytest.mark.parametrize(
    ("target", "hidden"),
    [
        ({"in_category": "Politics"}, POLITICS | {"ad"}),
        ({"in_category": "politics"}, POLITICS | {"ad"}),
        ({"in_category": " POLITICS "}, POLITICS | {"ad"}),
        ({"by_author": "Jane Doe"}, LIVE),
        ({"by_author": "jane doe"}, LIVE),
    ],
)
def test_a_hidden_category_or_author_is_in_no_answer(
    service: ServiceUnderTest, kind: str, target: dict[str, str], hidden: set[str]
) -> None:
    views = [{"article_id": "ad", "type": "view"}, {"article_id": "10", "type": "view"}]
    service.send(*views, **WITH_KEY)
    service.now += timedelta(minutes=1)
    before = everything(service)
    assert hidden <= before

    put_rule(service, kind, **target)

    assert everything(service) == before - hidden
    page = get_json(service, "/v1/page?id=9&related_limit=50&dedupe=none")
    assert page["related"]["eligible"] == page["related"]["returned"]
    for article_id in hidden & {"ad", "10"}:
        assert get_json(service, f"/v1/articles/{article_id}")["id"] == article_id
    assert service.client.delete("/v1/rules/hide", headers=WITH_KEY).status_code == 204
    assert everything(service) == before


@pytest.mark.parametrize("target", [{"in_category": "Politics"}, {"by_author": "Jane Doe"}])
def test_a_hidden_category_or_author_is_in_no_drop_in_response(
    service: ServiceUnderTest, target: dict[str, str]
) -> None:
    assert "courier.example/ad" in drop_in_titles(service)

    put_rule(service, "sensitive", **target)

    responses = drop_in_titles(service)
    assert "courier.example/ad2" in responses or target == {"by_author": "Jane Doe"}
    assert 'courier.example/ad"' not in responses
    assert '"Id":"ad"' not in responses


def test_an_article_is_hidden_as_soon_as_it_joins_the_category_and_shown_when_it_leaves(
    service: ServiceUnderTest,
) -> None:
    put_rule(service, "sensitive", in_category="Anzeigen & Größen")  # no article has it yet
    assert "11" in everything(service)

    service.now += timedelta(seconds=1)
    put(service, "11", categories=["anzeigen & grössen"])
    put(service, "new", category="Anzeigen & Größen")
    hidden = everything(service)
    service.now += timedelta(seconds=1)
    put(service, "11", categories=["Environment"])

    assert not {"11", "new"} & hidden
    assert "11" in everything(service)


def test_another_worker_hides_the_category_after_one_refresh(
    service: ServiceUnderTest, models_dir: Path, tmp_path: Path
) -> None:
    with_own_state = tmp_path / "other"
    with_own_state.mkdir()
    other = opened(models_dir, tmp_path)
    before = everything(other)

    put_rule(service, "sensitive", in_category="Politics")
    other.app.extensions["recommender"].follower.refresh()

    assert everything(other) == before - POLITICS - {"ad"} == everything(service)
    other.close()
    restarted = opened(models_dir, tmp_path)
    assert everything(restarted) == everything(service)
    restarted.close()


@pytest.mark.parametrize("place", [{}, {"for_article": "9"}, {"for_category": "Environment"}])
@pytest.mark.parametrize("kind", ["block", "sensitive"])
def test_a_hidden_category_wins_over_a_pin(
    service: ServiceUnderTest, kind: str, place: dict[str, str]
) -> None:
    put_rule(service, "pin", "first", articles=["ad", "10", "11"], **place)
    assert item_ids(get_json(service, CALLS[0]))[:3] == ["ad", "10", "11"]

    put_rule(service, kind, in_category="Politics")

    related = get_json(service, CALLS[0])
    assert item_ids(related)[0] == "11"
    assert not (POLITICS | {"ad"}) & shown(related)


@pytest.mark.parametrize("place", [{"for_article": "9"}, {"for_category": "environment"}])
@pytest.mark.parametrize(
    ("target", "blocked"),
    [({"in_category": "Politics"}, POLITICS | {"ad"}), ({"by_author": "JANE DOE"}, LIVE)],
)
def test_a_block_for_some_lists_applies_only_to_these(
    service: ServiceUnderTest, place: dict[str, str], target: dict[str, str], blocked: set[str]
) -> None:
    put_rule(service, "pin", "first", articles=["ad", "11"])
    put_rule(service, "block", **target, **place)

    assert item_ids(get_json(service, CALLS[0]))[0] == "11"
    for call in ("/v1/articles/9/related?limit=50", "/v1/page/9?related_limit=1&trending_limit=50"):
        assert not blocked & shown(get_json(service, call))
    page = get_json(service, "/v1/page/9?related_limit=1&trending_limit=1&dedupe=none")
    assert not blocked & {page["previous"]["id"], page["next"]["id"]}
    assert blocked - {"8"} <= shown(get_json(service, "/v1/articles/8/related?limit=50"))
    assert blocked <= shown(get_json(service, "/v1/articles?limit=50"))
    in_category = shown(get_json(service, "/v1/articles?limit=50&category=Environment"))
    assert bool(blocked & in_category) == ("for_article" in place)


def test_a_rule_for_a_category_begins_and_ends_at_its_moments(service: ServiceUnderTest) -> None:
    begins, until = NOW + timedelta(minutes=2), NOW + timedelta(minutes=5)
    put_rule(
        service, "block", in_category="Politics", until=until.isoformat(), **{"from": begins.isoformat()}
    )
    seen = []

    for moment in (NOW, begins - timedelta(seconds=1), begins, until - timedelta(seconds=1), until):
        service.now = moment
        seen.append("10" in shown(get_json(service, CALLS[0])))

    assert seen == [True, True, False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "hides"),
    [
        ({"in_category": "c"}, {"one", "two"}),  # the slugs of C++ and C# are the same
        ({"in_category": "C++"}, {"one"}),
        ({"in_category": "économie"}, {"three"}),
        ({"in_category": "economie"}, {"three"}),
        ({"in_category": "E\u0301CONOMIE"}, {"three"}),
        ({"in_category": "🗞"}, {"four"}),
        ({"in_category": "Paid  \u00a0content\t"}, {"five"}),
        ({"in_category": "paid-content"}, {"five"}),
        ({"by_author": "ana  M.\u00a0reyes"}, {"five"}),
        ({"in_category": "none of these"}, set()),
        ({"by_author": "İpek Ünal"}, {"one"}),
        ({"by_author": "STRAẞE"}, {"two"}),
    ],
)
def test_odd_names_hide_what_they_name(
    service: ServiceUnderTest, target: dict[str, str], hides: set[str]
) -> None:
    put(service, "one", category="C++", authors=["İPEK ÜNAL"])
    put(service, "two", category="C#", authors=["Strasse"])
    put(service, "three", categories=["Économie"])
    put(service, "four", category="🗞")
    put(service, "five", category=" Paid  content", authors=["Ana  M. Reyes"])

    put_rule(service, "sensitive", **target)

    listed = set(item_ids(get_json(service, "/v1/articles?limit=50")))
    assert {"one", "two", "three", "four", "five"} - listed == hides


def test_200_rules_for_categories_and_authors_hide_all_their_articles(service: ServiceUnderTest) -> None:
    for number in range(20):
        put(service, f"live{number}", category=f"Paid {number}", authors=[f"Author {number}"])
    rules = [
        {
            "id": f"r{number}",
            "kind": "sensitive",
            "reason": "paid",
            "author": "A. Reyes",
            field: f"{name} {number}",
        }
        for number in range(100)
        for field, name in (("in_category", "paid"), ("by_author", "AUTHOR"))
    ]
    rules = [rule | {"id": f"r{number}"} for number, rule in enumerate(rules)]
    etag = service.client.get("/v1/rules", headers=WITH_KEY).headers["ETag"]

    answer = service.client.put("/v1/rules", json={"rules": rules}, headers=WITH_KEY | {"If-Match": etag})

    assert answer.status_code == 200
    assert not [
        item for item in item_ids(get_json(service, "/v1/articles?limit=50")) if item.startswith("live")
    ]


@pytest.mark.parametrize("kind", ["block", "sensitive"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"articles": ["1"], "in_category": "Politics"},
        {"in_category": "Politics", "by_author": "Jane Doe"},
        {"articles": ["1"], "in_category": "Politics", "by_author": "Jane Doe"},
        {"in_category": None},
        {"in_category": ""},
        {"in_category": " \t"},
        {"by_author": "\u3000"},
        {"in_category": ["Politics"]},
        {"in_category": 7},
        {"in_category": "x" * 201},
        {"in_section": "Politics"},
    ],
)
def test_a_rule_needs_exactly_one_valid_target(
    unchanged: ServiceUnderTest, kind: str, fields: dict[str, Any]
) -> None:
    body = {"kind": kind, "reason": "paid for", "author": "A. Reyes"} | fields

    answer = unchanged.client.put("/v1/rules/hide", json=body, headers=WITH_KEY)

    assert answer.status_code == 400
    assert answer.get_json()["errors"][0]["name"] in {"articles", *fields}
    assert "10" in shown(get_json(unchanged, CALLS[0]))
