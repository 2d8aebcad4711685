"""Hidden articles appear only where they are requested; rules begin and end at their moments."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

KEY, WORD = new_key("desk", ["rules", "articles"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
HIDDEN = "10"
TEXT = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."


class ServiceWithRules:
    """A service with a clock that tests set."""

    def __init__(self, models_dir: Path) -> None:
        self.now = NOW
        settings = Settings(models_dir=models_dir, write_keys=(WORD,), live_poll_seconds=0)
        self.client: FlaskClient = create_app(settings, clock=lambda: self.now).test_client()

    def rule(self, kind: str, **fields: Any) -> None:
        body = {"kind": kind, "reason": "a lawsuit", "author": "A. Reyes"} | fields
        answer = self.client.put(f"/v1/rules/{kind}", json=body, headers=HEADERS)
        assert answer.status_code in {200, 201}, answer.text

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def listed(self, article_id: str = "9", **fields: str) -> list[str]:
        more = "".join(f"&{name}={value}" for name, value in fields.items())
        return [item["id"] for item in self.get(f"/v1/articles/{article_id}/related?limit=50{more}")["items"]]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newsroom with a near-duplicate of the article to hide."""
    articles = newsroom()
    [hidden] = [article for article in articles if article.id == HIDDEN]
    copy = replace(
        hidden, id="copy", url="https://www.courier.example/copy/", published_at=NOW - timedelta(days=40)
    )
    folder = tmp_path_factory.mktemp("copied")
    publish(build_model([*articles, copy]), folder, now=NOW)
    return folder


@pytest.fixture
def newsroom_of(models_dir: Path) -> ServiceWithRules:
    return ServiceWithRules(models_dir)


def ids_in(answer: Any) -> Iterator[str]:
    """Yield every id in an answer, also those of near-duplicates."""
    if isinstance(answer, dict):
        yield from ([answer["id"], *(answer["also_published_as"] or ())] if "id" in answer else [])
        for value in answer.values():
            yield from ids_in(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from ids_in(value)


CALLS = [
    "/v1/articles/9/related?limit=50",
    "/v1/related?id=unheard&unknown=fallback&limit=50",
    "/v1/articles?limit=50",
    "/v1/articles?limit=50&category=environment",
    "/v1/related/batch?id=9&id=11&limit=50",
    "/v1/page?id=9&related_limit=50",
    "/v1/page?id=9&related_limit=1&trending_limit=50",
    "/v1/page?id=9&related_limit=1&trending_limit=1",
    "/v1/articles/9",
    "/v1/articles/11",
    "/v1/articles/copy",
    "/v1/topics/all?limit=50",
    "/v1/trending?limit=50",
    "/v1/trending?limit=50&category=environment",
    "/v1/search?limit=50&q=sea+wal",
]
PAGES = [
    "/demo/",
    "/demo/article?id=9",
    "/demo/article?id=11",
    "/demo/section?name=Environment",
    "/demo/search?q=sea",
]


@pytest.mark.parametrize("kind", ["block", "sensitive"])
def test_a_hidden_article_is_in_no_answer_but_its_own(newsroom_of: ServiceWithRules, kind: str) -> None:
    similar = newsroom_of.client.post("/v1/similar", json={"title": "Sea wall", "body": TEXT, "limit": 50})
    before = [newsroom_of.get(path) for path in CALLS]
    assert all(HIDDEN in ids_in(answer) for answer in (*before, similar.json))
    topics = newsroom_of.get("/v1/topics")["topics"][0]["articles"]
    pages = [newsroom_of.client.get(page).text for page in PAGES]
    assert all(f"id={HIDDEN}&" in page or f'id={HIDDEN}"' in page for page in pages[1:])

    newsroom_of.rule(kind, articles=[HIDDEN])

    similar = newsroom_of.client.post("/v1/similar", json={"title": "Sea wall", "body": TEXT, "limit": 50})
    for answer in (*map(newsroom_of.get, CALLS), similar.json):
        assert HIDDEN not in ids_in(answer)
    for page in PAGES:
        text = newsroom_of.client.get(page).text
        assert f"id={HIDDEN}&" not in text
        assert f'id={HIDDEN}"' not in text
    assert newsroom_of.get("/v1/topics")["topics"][0]["articles"] == topics - 1


def test_a_hidden_article_keeps_its_own_facts_and_list(newsroom_of: ServiceWithRules) -> None:
    newsroom_of.rule("block", articles=[HIDDEN])

    facts, related = (
        newsroom_of.get(f"/v1/articles/{HIDDEN}"),
        newsroom_of.get(f"/v1/articles/{HIDDEN}/related"),
    )

    assert (facts["id"], facts["also_published_as"]) == (HIDDEN, ["copy"])
    assert (facts["previous"]["id"], facts["next"]["id"]) == ("9", "11")
    assert len(related["items"]) == min(related["requested"], related["eligible"]) > 0
    assert newsroom_of.client.get(f"/demo/article?id={HIDDEN}").status_code == 200


def test_a_near_duplicate_replaces_a_hidden_article(newsroom_of: ServiceWithRules) -> None:
    assert "copy" not in newsroom_of.listed()

    newsroom_of.rule("block", articles=[HIDDEN])

    assert "copy" in newsroom_of.listed()


@pytest.mark.parametrize("place", [{"for_article": "9"}, {"for_category": "environment"}])
def test_a_block_for_some_lists_applies_only_to_these(
    newsroom_of: ServiceWithRules, place: dict[str, str]
) -> None:
    newsroom_of.rule("block", articles=[HIDDEN], **place)

    assert HIDDEN not in ids_in(newsroom_of.get("/v1/articles/9/related?limit=50"))
    assert HIDDEN in newsroom_of.listed("8")
    in_category = [
        item["id"] for item in newsroom_of.get("/v1/articles?limit=50&category=Environment")["items"]
    ]
    assert (HIDDEN in in_category) == ("for_article" in place)
    assert HIDDEN in ids_in(newsroom_of.get("/v1/articles?limit=50"))


@pytest.mark.parametrize("place", [{}, {"for_article": "9"}, {"for_category": "Environment"}])
@pytest.mark.parametrize("kind", ["block", "sensitive"])
def test_a_block_wins_over_a_pin(newsroom_of: ServiceWithRules, kind: str, place: dict[str, str]) -> None:
    newsroom_of.rule(kind, articles=[HIDDEN])
    newsroom_of.rule("pin", articles=[HIDDEN, "8"], **place)

    assert newsroom_of.listed()[0] == "8"
    assert HIDDEN not in newsroom_of.listed()


def test_a_withdrawn_or_unpublished_article_is_not_pinned(newsroom_of: ServiceWithRules) -> None:
    newsroom_of.rule("pin", articles=[HIDDEN, "15", "16", "8"])
    assert newsroom_of.client.delete(f"/v1/articles/{HIDDEN}", headers=HEADERS).status_code == 204

    assert newsroom_of.listed()[0] == "8"
    newsroom_of.now = datetime.fromisoformat("2026-03-01T12:00:45Z")
    assert newsroom_of.listed()[:2] == ["15", "8"]


def test_pins_must_pass_the_filters_of_the_request(newsroom_of: ServiceWithRules) -> None:
    newsroom_of.rule("pin", articles=["13", "8", "12"])

    assert newsroom_of.listed()[:3] == ["13", "8", "12"]
    assert newsroom_of.listed(exclude="8")[:2] == ["13", "12"]
    assert newsroom_of.listed(category="politics")[0] == "8"
    assert newsroom_of.listed(max_age_days="10")[0] == "13"
    assert "13" not in newsroom_of.listed(lang="en")


def test_pins_are_counted(newsroom_of: ServiceWithRules) -> None:
    eligible = newsroom_of.get("/v1/articles/9/related")["eligible"]
    newsroom_of.rule("pin", articles=["13", "8", HIDDEN])

    related = newsroom_of.get("/v1/articles/9/related?limit=2")

    assert [(item["id"], item["source"]) for item in related["items"]] == [("13", "pin"), ("8", "pin")]
    assert related["eligible"] == eligible + 1  # the German article, which its language otherwise keeps out


def test_a_rule_begins_and_ends_at_its_moments_by_itself(newsroom_of: ServiceWithRules) -> None:
    begins, until = NOW + timedelta(minutes=2), NOW + timedelta(minutes=5)
    newsroom_of.rule("block", articles=[HIDDEN], **{"from": begins.isoformat(), "until": until.isoformat()})
    seen = []

    for moment in (NOW, begins - timedelta(seconds=1), begins, until - timedelta(seconds=1), until, begins):
        newsroom_of.now = moment
        seen.append(HIDDEN in newsroom_of.listed())

    assert seen == [True, True, False, False, True, False]


@pytest.mark.parametrize("path", ["/v1/articles/9/related", "/v1/articles/9", "/v1/articles", "/v1/topics"])
def test_no_answer_is_cached_beyond_the_next_change_of_a_rule(
    newsroom_of: ServiceWithRules, path: str
) -> None:
    newsroom_of.now = NOW + timedelta(minutes=1)  # past the embargo of this minute
    plain = newsroom_of.client.get(path).headers["Cache-Control"]
    assert "s-maxage=60" in plain

    newsroom_of.rule("block", articles=[HIDDEN], until=(newsroom_of.now + timedelta(seconds=20)).isoformat())

    assert newsroom_of.client.get(path).headers["Cache-Control"] == "public, max-age=0, s-maxage=20"


def test_a_cached_answer_changes_once_a_rule_is_active(newsroom_of: ServiceWithRules) -> None:
    tag = newsroom_of.client.get("/v1/articles/9/related").headers["ETag"]

    newsroom_of.rule("block", articles=[HIDDEN])

    again = newsroom_of.client.get("/v1/articles/9/related", headers={"If-None-Match": tag})
    assert again.status_code == 200
