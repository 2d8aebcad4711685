"""A change sent to one worker or server is visible in all of them within a second."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.serving.http.auth import new_key
from recommender.training.train import train
from tests.support import postgresql
from tests.support.sample import NOW
from tests.support.servers import Server, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

KEY, WORD = new_key("cms", ["articles", "rules", "events"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
WITHIN_SECONDS = 1.0
ANSWERS = 40  # the chance that so many miss one of four workers is below 1 in 20,000
NEW = {"title": "In time"}


@pytest.fixture(scope="module")
def story() -> tuple[str, ...]:
    """The ids of a story in the sample; its last article is newer than the model."""
    return ("1005", "1008", "1011")


@pytest.fixture(scope="module")
def models(
    sample_articles: list[Article], story: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    known = [article for article in sample_articles if article.id != story[-1]]
    publish(train(known, now=NOW).model, folder, now=NOW)
    return folder


@pytest.fixture
def settings(models: Path, tmp_path: Path) -> dict[str, Any]:
    return {"models_dir": models, "write_keys": WORD, "state_file": tmp_path / "state.json"}


def body_of(article: Article) -> dict[str, Any]:
    return {
        "title": article.title,
        "body": article.body,
        "category": article.category,
        "published_at": "2026-11-01T12:00:00Z",
        "updated_at": "2026-11-01T12:00:00Z",
    }


def listed(server: Server, article_id: str) -> list[str]:
    answer = server.ask("GET", f"/v1/related?id={article_id}")
    assert answer.status == 200
    return [item["id"] for item in answer.body["items"]]


def within_a_second(condition: Callable[[], bool]) -> None:
    """Return once the condition is true, which must be within a second."""
    eventually(condition, WITHIN_SECONDS)


def test_a_new_article_is_in_the_lists_of_its_story_in_all_of_four_workers(
    settings: dict[str, Any], story: tuple[str, ...], sample_articles: list[Article], tmp_path: Path
) -> None:
    *older, new = story
    article = next(article for article in sample_articles if article.id == new)
    with serving(tmp_path / "log", workers=4, **settings) as server:
        assert new not in listed(server, older[0])
        assert server.ask("PUT", f"/v1/articles/{new}", body_of(article), HEADERS).status == 201

        within_a_second(lambda: all(new in listed(server, older[0]) for _ in range(ANSWERS)))
        missing = [number for number in range(200) if new not in listed(server, older[number % len(older)])]
        assert missing == []
        assert {server.ask("GET", f"/v1/related?id={new}").status for _ in range(40)} == {200}

        assert server.ask("DELETE", f"/v1/articles/{new}", None, HEADERS).status == 204
        within_a_second(lambda: not any(new in listed(server, older[0]) for _ in range(ANSWERS)))
        assert [number for number in range(200) if new in listed(server, older[number % len(older)])] == []
        assert {server.ask("GET", f"/v1/articles/{new}").status for _ in range(40)} == {410}


@pytest.fixture
def two_servers(
    settings: dict[str, Any], postgresql_url: str, tmp_path: Path
) -> Iterator[tuple[Server, Server]]:
    shared = settings | {"database_url": postgresql_url}
    with (
        serving(tmp_path / "log 1", **shared | {"state_file": tmp_path / "1.json"}) as first,
        serving(tmp_path / "log 2", **shared | {"state_file": tmp_path / "2.json"}) as second,
    ):
        yield first, second


def test_two_servers_on_one_postgresql_see_each_others_changes_within_a_second(
    two_servers: tuple[Server, Server], story: tuple[str, ...], sample_articles: list[Article]
) -> None:
    first, second = two_servers
    *older, new = story
    article = next(article for article in sample_articles if article.id == new)

    assert first.ask("PUT", f"/v1/articles/{new}", body_of(article), HEADERS).status == 201
    within_a_second(lambda: new in listed(second, older[0]))

    rule = {"kind": "block", "articles": [new], "reason": "a lawsuit", "author": "desk"}
    assert second.ask("PUT", "/v1/rules/hush", rule, HEADERS).status == 201
    within_a_second(lambda: new not in listed(first, older[0]))
    assert second.ask("DELETE", "/v1/rules/hush", None, HEADERS).status < 300
    within_a_second(lambda: new in listed(first, older[0]))

    assert second.ask("DELETE", f"/v1/articles/{older[1]}", None, HEADERS).status == 204
    within_a_second(lambda: first.ask("GET", f"/v1/articles/{older[1]}").status == 410)


def test_lists_stay_available_when_postgresql_is_killed(
    settings: dict[str, Any], story: tuple[str, ...], tmp_path: Path
) -> None:
    with (
        postgresql.running_server() as database,
        serving(tmp_path / "log", **settings | {"database_url": postgresql.url_of(database)}) as server,
    ):
        assert server.ask("DELETE", f"/v1/articles/{story[1]}", None, HEADERS).status == 204

        postgresql.kill(database)
        eventually(lambda: server.ask("GET", f"/v1/related?id={story[0]}").body["degraded"])
        for _ in range(20):
            answer = server.ask("GET", f"/v1/related?id={story[0]}")
            assert answer.status == 200
            assert answer.body["degraded"] == ["store"]
            assert story[1] not in [item["id"] for item in answer.body["items"]]
        assert server.ask("GET", "/readyz").status == 200
        refused = server.ask("PUT", "/v1/articles/new", {"title": "Too early"}, HEADERS)
        assert refused.status == 503
        assert refused.body["type"] == "store-down"
        assert int(refused.headers["retry-after"]) > 0
        event = server.ask("POST", "/v1/events", {"article_id": story[0], "type": "view"}, HEADERS)
        assert event.status == 503

        postgresql.start_again(database)
        eventually(lambda: server.ask("PUT", "/v1/articles/new", NEW, HEADERS).status == 201, 20)
        within_a_second(lambda: server.ask("GET", f"/v1/related?id={story[0]}").body["degraded"] == [])
