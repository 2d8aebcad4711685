"""Every call that lists articles can exclude categories, by name or slug."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from recommender.serving.http.auth import new_key
from tests.support.service import ServiceUnderTest, get_json, item_ids

KEY, SETTING = new_key("cms", ["articles", "events"])
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
TEXT = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."
CALLS = [
    "/v1/related?id=9&limit=50",
    "/v1/articles/9/related?limit=50",
    "/v1/related?id=unheard&unknown=fallback&limit=50",
    "/v1/related/batch?id=9&id=11&limit=50",
    "/v1/page?id=9&related_limit=50",
    "/v1/page/9?related_limit=1&trending_limit=50",
    "/v1/page/9?related_limit=1&trending_limit=1&dedupe=none",
    "/v1/articles?limit=50",
    "/v1/articles?limit=50&category=politics",
    "/v1/trending?limit=50",
    "/v1/trending?limit=50&window=7d&category=politics",
    "/v1/search?limit=50&q=sea+wal",
    "/v1/topics/all?limit=50",
]
SPELLINGS = ["Politics", "politics", "POLITICS", "pOlItIcs"]


@pytest.fixture
def service(models_dir: Path, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(
        models_dir, database_url=f"sqlite:///{tmp_path / 'store.db'}", write_keys=SETTING
    )
    yield service
    service.close()


@pytest.fixture(scope="module")
def unchanged(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service that no test changes."""
    folder = tmp_path_factory.mktemp("unchanged")
    service = ServiceUnderTest(models_dir, database_url=f"sqlite:///{folder / 'store.db'}")
    yield service
    service.close()


def put(service: ServiceUnderTest, article_id: str, **fields: Any) -> None:
    body = {"title": "Sea wall tour", "body": TEXT, "published_at": "2026-02-21T10:00:00Z"} | fields
    answer = service.client.put(f"/v1/articles/{article_id}", json=body, headers=WITH_KEY)
    assert answer.status_code in {200, 201}, answer.text


def listed(answer: Any, *, own: str = "9") -> Iterator[dict[str, Any]]:
    """Yield every listed article in a response, but not the article that it is about."""
    if isinstance(answer, dict):
        if "categories" in answer and answer["id"] != own:
            yield answer
        for value in answer.values():
            yield from listed(value, own=own)
    elif isinstance(answer, list):
        for value in answer:
            yield from listed(value, own=own)


def categories(answer: Any) -> set[str]:
    return {name for item in listed(answer) for name in (item["category"], *item["categories"])}


@pytest.mark.parametrize("call", CALLS)
def test_no_list_contains_an_excluded_category(unchanged: ServiceUnderTest, call: str) -> None:
    plain = get_json(unchanged, call)

    without = get_json(unchanged, f"{call}&exclude_category=Politics")

    assert "Politics" in categories(plain)
    assert "Politics" not in categories(without)
    assert get_json(unchanged, call) == plain  # the parameter is part of the cache key


def test_texts_and_all_spellings_exclude_a_category(unchanged: ServiceUnderTest) -> None:
    body = {"title": "Sea wall", "body": TEXT, "limit": 50, "exclude_category": ["politics"]}
    similar = unchanged.client.post("/v1/similar", json=body).json
    answers = [get_json(unchanged, f"/v1/articles?limit=50&exclude_category={name}") for name in SPELLINGS]

    assert "Politics" not in categories(similar)
    assert all(answer == answers[0] for answer in answers)
    both = "/v1/articles?limit=50&exclude_category=politics&exclude_category=environment"
    assert categories(get_json(unchanged, both)) == {"Economy & Business", "Culture"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["Gardening", "", "politics ", "*", "Pol%00itics", "🗞"])
def test_an_unknown_category_is_named_in_the_error(unchanged: ServiceUnderTest, call: str, name: str) -> None:
    answer = unchanged.client.get(f"{call}&exclude_category={name}")

    assert answer.status_code == 400
    [fault] = answer.get_json()["errors"]
    assert (fault["in"], fault["name"]) == ("query", "exclude_category")
    assert fault["allowed"].startswith("Culture, Economy & Business")


@pytest.mark.parametrize("call", CALLS)
def test_up_to_200_categories_may_be_excluded(unchanged: ServiceUnderTest, call: str) -> None:
    many = "&exclude_category=politics" * 199 + "&exclude_category=Culture"

    assert not {"Politics", "Culture"} & categories(get_json(unchanged, call + many))
    assert unchanged.client.get(f"{call}{many}&exclude_category=Culture").status_code == 400


def test_counts_follow_and_sections_stay(unchanged: ServiceUnderTest) -> None:
    plain, without = (
        get_json(unchanged, f"/v1/page?id=9&related_limit=2&trending_limit=2{more}&dedupe=none")
        for more in ("", "&exclude_category=Politics")
    )

    assert (plain["related"]["eligible"], without["related"]["eligible"]) == (12, 5)
    assert (plain["trending"]["eligible"], without["trending"]["eligible"]) == (13, 6)
    assert without["sections"] == plain["sections"]
    assert (plain["previous"]["id"], without["previous"]["id"]) == ("%2F", "a/related")
    assert (plain["next"]["id"], without["next"]["id"]) == ("10", "11")


def test_pages_of_newest_articles_and_topics_skip_the_category(unchanged: ServiceUnderTest) -> None:
    for path in ("/v1/articles", "/v1/topics/all"):
        seen: list[str] = []
        cursor = ""
        while True:
            answer = get_json(unchanged, f"{path}?limit=2&exclude_category=Politics{cursor}")
            seen += item_ids(answer)
            if answer["next_cursor"] is None:
                break
            cursor = f"&cursor={answer['next_cursor']}"

        assert seen == ["14", "13", "11", "9", "a/related", "a", "12"]
    everything = "".join(
        f"&exclude_category={name}" for name in ("politics", "environment", "culture", "economy-business")
    )
    assert get_json(unchanged, f"/v1/topics/all?limit=2{everything}")["items"] == []


def test_a_category_that_only_live_articles_have_can_be_excluded(service: ServiceUnderTest) -> None:
    query = f"exclude_category={quote('Anzeigen & Größen')}"
    assert service.client.get(f"/v1/articles?{query}").status_code == 400
    put(service, "ad", categories=["Anzeigen & Größen"])
    put(service, "ad2", category="Anzeigen & Größen")

    for call in CALLS:
        if "category=politics" not in call:
            assert {"ad", "ad2"} & {item["id"] for item in listed(get_json(service, call))} or "=1" in call
        for name in ("Anzeigen & Größen", "ANZEIGEN & GRÖSSEN", "anzeigen-grossen"):
            answer = get_json(service, f"{call}&exclude_category={quote(name)}")
            assert not {"ad", "ad2"} & {item["id"] for item in listed(answer)}


def test_categories_whose_slugs_collide_are_excluded_together(service: ServiceUnderTest) -> None:
    put(service, "one", category="C++")
    put(service, "two", category="C#")

    by_slug, by_name = (
        set(item_ids(get_json(service, f"/v1/articles?limit=50&exclude_category={name}")))
        for name in ("c", "C%2B%2B")
    )

    assert not {"one", "two"} & by_slug
    assert {"one", "two"} - by_name == {"one"}
