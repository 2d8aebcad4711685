"""Keys of answers and of changes: what is kept for long is forgotten when it would be another."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from recommender.serving.app import create_app
from recommender.serving.cache.purging import Purger
from recommender.serving.cache.surrogates import MAX_BYTES, MAX_CHANGED, keys_between, keys_of
from recommender.serving.http.auth import new_key
from recommender.serving.worker.follower import WorkerState
from recommender.settings import Settings
from tests.support.newsroom import NOW
from tests.support.state_machine import (
    ARTICLE_IDS,
    MACHINE_SETTINGS,
    SIGNED_JSON,
    TITLES,
    ServiceStateMachine,
)

KEY, WORD = new_key("cms", ["articles", "rules"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
STORM = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."


class Shared:
    """A shared cache that keeps answers for as long as they say, and forgets by keys."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Any, frozenset[str], datetime, datetime]] = {}

    def forget(self, keys: Iterable[str]) -> None:
        self.kept = {target: each for target, each in self.kept.items() if each[1].isdisjoint(keys)}

    def get(self, target: str, client: FlaskClient, now: datetime) -> Any:
        known = self.kept.get(target)
        if known is not None and known[2] <= now < known[3]:
            return known[0]
        answer = client.get(target)
        self.kept.pop(target, None)
        if answer.status_code == 200:
            keys = frozenset(answer.headers["Surrogate-Key"].split())
            seconds = re.search(r"s-maxage=(\d+)", answer.headers["Cache-Control"])
            assert seconds is not None
            self.kept[target] = answer.json, keys, now, now + timedelta(seconds=int(seconds[1]))
        return answer.json


class SharedOrders(ServiceStateMachine):
    """Whatever happens in whatever order: a list kept for long shows what it would show anew.

    How many articles are eligible may have changed meanwhile, and the hour.
    """

    def _start(self) -> None:
        super()._start()
        self.shared = Shared()
        self.context.purger = Purger(self.shared, lambda: self.context.follower.state, lambda: 0.0)
        self.context.purger.look()

    @rule(minutes=st.sampled_from([1, 10, 200]))
    def pass_minutes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(each=st.sampled_from(ARTICLE_IDS), text=st.sampled_from(TITLES), days=st.integers(0, 40))
    def publish_at_once(self, each: str, text: str, days: int) -> None:
        article = self._article(each, self.now - timedelta(days=days), self.now, text)
        answer = self.client.put(f"/v1/articles/{each}", data=article.to_json(), **SIGNED_JSON)
        if answer.json is not None and answer.json["applied"]:
            self.withdrawn.pop(each, None)
            self.known[each] = article

    @invariant()
    def nothing_forbidden_is_shown(self) -> None:
        """Every list, kept or not, is computed anew and compared."""
        if not hasattr(self, "client") or self.context.purger is None:
            return
        self.context.purger.look()
        assert self.context.purger.is_trusted
        for each in ARTICLE_IDS:
            for limit in (1, 2, 5):
                target = f"/v1/related?id={each}&limit={limit}&freshness=0"
                kept = self.shared.get(target, self.client, self.now)
                fresh = self.client.get(target).json
                assert fresh is not None
                assert kept.get("items") == fresh.get("items"), target


_FEW = settings(MACHINE_SETTINGS, max_examples=2, stateful_step_count=6)

TestSharedOrders = SharedOrders.TestCase
TestSharedOrders.settings = _FEW


@pytest.mark.slow
class TestMoreSharedOrders(SharedOrders.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(_FEW, max_examples=8, stateful_step_count=15)


def keys(client: FlaskClient, target: str) -> set[str]:
    answer = client.get(target)
    assert answer.status_code == 200, answer.text
    return set(answer.headers["Surrogate-Key"].split())


def test_an_answer_has_the_keys_of_all_that_it_shows(client: FlaskClient) -> None:
    listed = client.get("/v1/related?id=9&limit=2").json

    assert listed is not None
    assert [item["id"] for item in listed["items"]] == ["14", "11"]
    assert keys(client, "/v1/related?id=9&limit=2") == {"recommender", "of-9", "a-14", "a-11"}
    assert {"recommender", "of-9", "a-9"} <= keys(client, "/v1/article?id=9")
    assert {"of-9", "a-9", "newest"} <= keys(client, "/v1/page/9")
    assert {"of-9", "of-a", "a-11"} <= keys(client, "/v1/related/batch?id=9&id=a&limit=2")
    assert {"a-14", "newest"} <= keys(client, "/v1/articles")
    assert {"a-14", "newest"} <= keys(client, "/v1/trending")
    assert "newest" in keys(client, "/v1/topics")


def test_a_list_that_a_new_article_may_join_says_so(client: FlaskClient) -> None:
    assert "newest" not in keys(client, "/v1/related?id=9&limit=3")
    assert "newest" in keys(client, "/v1/related?id=9&limit=20")
    assert "newest" in keys(client, "/v1/related?id=nobody&unknown=fallback")


def test_copies_are_shown_too() -> None:
    answer = {"id": "a", "items": [{"id": "b", "also_published_as": ["c", "d"]}]}

    assert {"a-a", "a-b", "a-c", "a-d"} <= set(keys_of(answer))


@pytest.mark.parametrize("article_id", ["a b", "日本 🗞", "x" * 512, "a\tb", "%2F", "a-b", "~x"])
def test_keys_are_short_whatever_the_id(article_id: str) -> None:
    [key] = [key for key in keys_of({"id": article_id, "title": "x"}) if key.startswith("a-")]

    assert re.fullmatch(r"a-[A-Za-z0-9_.~-]{1,16}", key)


def test_ids_have_different_keys() -> None:
    ids = ["a", "A", "a-", "~a", "of-a", "日", "本", "a" * 17, "a" * 18]

    assert len({keys_of({"id": each, "title": "x"}) for each in ids}) == len(ids)


def test_an_answer_of_very_many_articles_has_few_keys() -> None:
    items = [{"id": str(1000 + number)} for number in range(MAX_BYTES // 7 - 1)]

    assert len(keys_of({"results": items})) == 2 + len(items)
    assert keys_of({"results": [*items, {"id": "more"}]}) == ("recommender", "many", "newest")


class Context:
    """A newsroom whose changes are told as keys."""

    def __init__(self, models_dir: Path) -> None:
        settings = Settings(models_dir=models_dir, write_keys=(WORD,), live_poll_seconds=0)
        app = create_app(settings, clock=lambda: NOW)
        self.client, self.follower = app.test_client(), app.extensions["recommender"].follower
        self.seen = self.follower.state

    def changed(self) -> frozenset[str]:
        before, self.seen = self.seen, self.follower.state
        return keys_between(before, self.seen)

    def put(self, article_id: str, body: str) -> frozenset[str]:
        article = {"title": "Storm", "body": body, "category": "Environment", "lang": "en"}
        answer = self.client.put(f"/v1/article?id={article_id}", json=article, headers=HEADERS)
        assert answer.status_code in {200, 201}, answer.text
        return self.changed()

    def rule(self, kind: str, **fields: Any) -> frozenset[str]:
        body = {"kind": kind, "reason": "x", "author": "x"} | fields
        answer = self.client.put("/v1/rules/one", json=body, headers=HEADERS)
        assert answer.status_code in {200, 201}, answer.text
        return self.changed()

    def delete(self, target: str) -> frozenset[str]:
        assert self.client.delete(target, headers=HEADERS).status_code == 204
        return self.changed()


@pytest.fixture
def context(models_dir: Path) -> Context:
    return Context(models_dir)


def test_what_is_put_concerns_the_lists_that_it_joins(context: Context) -> None:
    first = context.put("new", STORM)
    second = context.put("newer", STORM)
    other = context.put("oats", "Oats butter salt and a hot griddle.")

    assert {"a-new", "of-new", "of-9", "of-10", "of-11", "newest", "many"} <= first
    assert {"a-newer", "of-9", "of-new"} <= second
    assert "a-new" in second  # it is a copy now
    assert "of-12" in other


def test_what_is_withdrawn_concerns_what_showed_it(context: Context) -> None:
    assert {"a-9", "of-9"} <= context.delete("/v1/article?id=9")
    assert not context.delete("/v1/article?id=9")
    context.put("new", STORM)
    assert {"a-new", "of-new"} <= context.delete("/v1/article?id=new")


def test_rules_concern_what_they_name(context: Context) -> None:
    everything = {"recommender"}

    assert context.rule("pin", articles=["10"], for_article="a") == {"of-a", "many"}
    assert context.rule("block", articles=["10"], for_article="9") == {"of-a", "of-9", "many"}
    assert context.delete("/v1/rules/one") == {"of-9", "many"}
    assert context.rule("block", articles=["10", "a"]) == {"a-10", "a-a", "many"}
    assert context.delete("/v1/rules/one") == everything
    assert context.rule("sensitive", articles=["9"]) == {"a-9", "many"}
    assert context.rule("pin", articles=["9"], for_section="Politics") == everything
    assert context.rule("cap", per="section", at_most=2) == everything
    assert context.rule("boost", articles=["9"], factor=2) == everything


def test_many_changes_at_once_concern_everything(context: Context) -> None:
    articles = [{"id": f"n{number}", "title": "Storm"} for number in range(MAX_CHANGED + 1)]
    answer = context.client.post("/v1/articles", json={"articles": articles}, headers=HEADERS)

    assert answer.status_code == 200
    assert context.changed() == {"recommender"}


def test_a_new_model_concerns_everything(context: Context) -> None:
    assert keys_between(WorkerState(), context.follower.state) == {"recommender"}


def test_nothing_is_forgotten_where_nothing_happened() -> None:
    assert keys_between(WorkerState(), WorkerState()) == frozenset()
