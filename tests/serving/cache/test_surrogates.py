"""Surrogate keys: a shared cache that is purged by key never serves an outdated list."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from recommender.article import Article
from recommender.artifact import publish
from recommender.model import Model, microseconds
from recommender.serving.app import create_app
from recommender.serving.cache.purging import Purger
from recommender.serving.cache.surrogates import (
    MAX_BYTES,
    MAX_CHANGED,
    keys_between,
    keys_of,
    shown_key,
    subject_key,
)
from recommender.serving.http.auth import new_key
from recommender.serving.http.responses import Dependencies
from recommender.serving.index.fold_in import fold_in
from recommender.serving.store import ArticleRow, Changes
from recommender.serving.worker.context import Context
from recommender.serving.worker.follower import WorkerState
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom
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


class FakeSharedCache:
    """A shared cache that stores responses for as long as they allow, and can be purged by key."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[Any, frozenset[str], datetime, datetime]] = {}

    def purge(self, keys: Iterable[str]) -> None:
        self.stored = {target: entry for target, entry in self.stored.items() if entry[1].isdisjoint(keys)}

    def get(self, target: str, client: FlaskClient, now: datetime) -> Any:
        entry = self.stored.get(target)
        if entry is not None and entry[2] <= now < entry[3]:
            return entry[0]
        response = client.get(target)
        self.stored.pop(target, None)
        if response.status_code == 200:
            keys = frozenset(response.headers["Surrogate-Key"].split())
            seconds = re.search(r"s-maxage=(\d+)", response.headers["Cache-Control"])
            assert seconds is not None
            self.stored[target] = response.json, keys, now, now + timedelta(seconds=int(seconds[1]))
        return response.json


class SharedCacheMachine(ServiceStateMachine):
    """Whatever happens in whatever order, a list in a shared cache has the items of a new one.

    The number of eligible articles and the hour may be older.
    """

    def _start(self) -> None:
        self.shared_cache = FakeSharedCache()
        super()._start()
        self.purger.run_once()

    def _make_purger(self, context: Context) -> Purger:
        self.purger = Purger(self.shared_cache, lambda: context.follower.state, lambda: 0.0)
        return self.purger

    @rule(minutes=st.sampled_from([1, 10, 200]))
    def pass_minutes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(article_id=st.sampled_from(ARTICLE_IDS), text=st.sampled_from(TITLES), days=st.integers(0, 40))
    def publish_at_once(self, article_id: str, text: str, days: int) -> None:
        article = self._article(article_id, self.now - timedelta(days=days), self.now, text)
        response = self.client.put(f"/v1/articles/{article_id}", data=article.to_json(), **SIGNED_JSON)
        if response.json is not None and response.json["applied"]:
            self.withdrawn.pop(article_id, None)
            self.known[article_id] = article

    @invariant()
    def nothing_forbidden_is_shown(self) -> None:
        """Compare every list from the shared cache with a new one."""
        if not hasattr(self, "client"):
            return
        self.purger.run_once()
        assert self.purger.is_trusted
        for article_id in ARTICLE_IDS:
            for limit in (1, 2, 5):
                target = f"/v1/related?id={article_id}&limit={limit}&freshness=0"
                cached = self.shared_cache.get(target, self.client, self.now)
                fresh = self.client.get(target).json
                assert fresh is not None
                assert cached.get("items") == fresh.get("items"), target


_FEW = settings(MACHINE_SETTINGS, max_examples=2, stateful_step_count=6)

TestSharedCache = SharedCacheMachine.TestCase
TestSharedCache.settings = _FEW


@pytest.mark.slow
class TestSharedCacheLonger(SharedCacheMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(_FEW, max_examples=8, stateful_step_count=15)


def keys(client: FlaskClient, target: str) -> set[str]:
    response = client.get(target)
    assert response.status_code == 200, response.text
    return set(response.headers["Surrogate-Key"].split())


def test_a_response_has_the_keys_of_all_articles_in_it(client: FlaskClient) -> None:
    related_list = client.get("/v1/related?id=9&limit=2").json

    assert related_list is not None
    assert [item["id"] for item in related_list["items"]] == ["14", "11"]
    assert keys(client, "/v1/related?id=9&limit=2") == {"recommender", "of-9", "a-14", "a-11"}
    assert {"recommender", "of-9", "a-9"} <= keys(client, "/v1/article?id=9")
    assert {"of-9", "a-9", "newest"} <= keys(client, "/v1/page/9")
    assert {"of-9", "of-a", "a-11"} <= keys(client, "/v1/related/batch?id=9&id=a&limit=2")
    assert {"a-14", "newest"} <= keys(client, "/v1/articles")
    assert {"a-14", "newest"} <= keys(client, "/v1/trending")
    assert "newest" in keys(client, "/v1/topics")


def test_a_list_that_any_new_article_may_join_has_the_key_newest(client: FlaskClient) -> None:
    assert "newest" not in keys(client, "/v1/related?id=9&limit=3")
    assert "newest" in keys(client, "/v1/related?id=9&limit=20")
    assert "newest" in keys(client, "/v1/related?id=nobody&unknown=fallback")


def test_near_duplicates_in_a_response_have_keys(models_dir: Path) -> None:
    service = ChangingService(models_dir)
    for article_id in ("first", "second"):
        service.put(article_id, STORM)

    items = service.client.get("/v1/related?id=9&limit=3").json["items"]  # type: ignore[index]

    assert [item["also_published_as"] for item in items if item["id"] in {"first", "second"}] in (
        [["first"]],
        [["second"]],
    )
    assert {"a-first", "a-second"} <= keys(service.client, "/v1/related?id=9&limit=3")


@pytest.mark.parametrize("article_id", ["a b", "日本 🗞", "x" * 512, "a\tb", "%2F", "a-b", "~x"])
def test_keys_are_short_for_any_id(article_id: str) -> None:
    assert re.fullmatch(r"a-[A-Za-z0-9_.~-]{1,16}", shown_key(article_id))


def test_ids_have_different_keys() -> None:
    ids = ["a", "A", "a-", "~a", "of-a", "日", "本", "a" * 17, "a" * 18]

    assert len({shown_key(article_id) for article_id in ids}) == len(ids)


def test_a_response_with_very_many_articles_has_few_keys() -> None:
    ids = {str(1000 + number) for number in range(MAX_BYTES // 7 - 1)}

    assert len(keys_of(Dependencies(shown_ids=ids))) == 2 + len(ids)
    assert keys_of(Dependencies(shown_ids={*ids, "more"})) == ("recommender", "many", "newest")


class ChangingService:
    """A service that returns the surrogate keys of each change."""

    def __init__(self, models_dir: Path) -> None:
        settings = Settings(models_dir=models_dir, write_keys=(WORD,), live_poll_seconds=0)
        app = create_app(settings, clock=lambda: NOW)
        self.client, self.follower = app.test_client(), app.extensions["recommender"].follower
        self.seen = self.follower.state

    def changed(self) -> frozenset[str]:
        before, self.seen = self.seen, self.follower.state
        return keys_between(before, self.seen)

    def put(self, article_id: str, body: str, title: str = "Storm") -> frozenset[str]:
        article = {"title": title, "body": body, "category": "Environment", "lang": "en"}
        response = self.client.put(f"/v1/article?id={article_id}", json=article, headers=HEADERS)
        assert response.status_code in {200, 201}, response.text
        return self.changed()

    def rule(self, kind: str, **fields: Any) -> frozenset[str]:
        body = {"kind": kind, "reason": "x", "author": "x"} | fields
        response = self.client.put("/v1/rules/one", json=body, headers=HEADERS)
        assert response.status_code in {200, 201}, response.text
        return self.changed()

    def delete(self, target: str) -> frozenset[str]:
        assert self.client.delete(target, headers=HEADERS).status_code == 204
        return self.changed()


@pytest.fixture
def service(models_dir: Path) -> ChangingService:
    return ChangingService(models_dir)


def test_a_put_purges_the_lists_that_the_article_joins(service: ChangingService) -> None:
    first = service.put("new", STORM)
    second = service.put("newer", STORM)
    other = service.put("oats", "Oats butter salt and a hot griddle.")

    assert {"a-new", "of-new", "of-9", "of-10", "of-11", "newest", "many"} <= first
    assert {"a-newer", "of-9", "of-new"} <= second
    assert "a-new" in second  # it is a near-duplicate now
    assert "of-12" in other


def test_a_fold_in_purges_the_lists_that_the_article_joins(model: Model) -> None:
    article = Article(id="new", title="Storm floods the marsh", updated_at=NOW)
    payload = article.to_json().encode()
    put = ArticleRow("new", microseconds(NOW), withdrawn=False, payload=payload)
    changes = Changes(1, [put], None, complete=False)
    pending = WorkerState().with_model(model).with_changes(changes)

    folded = pending.with_fold_ins(model, [(article, fold_in(model, article))])

    assert {"a-new", "of-new", "of-9", "newest"} <= keys_between(pending, folded)
    assert keys_between(folded, folded.with_fold_ins(model, [])) == frozenset()


def test_a_withdrawal_purges_the_responses_with_the_article(service: ChangingService) -> None:
    assert {"a-9", "of-9"} <= service.delete("/v1/article?id=9")
    assert not service.delete("/v1/article?id=9")
    service.put("new", STORM)
    assert {"a-new", "of-new"} <= service.delete("/v1/article?id=new")


def test_a_rule_purges_the_responses_that_it_may_change(service: ChangingService) -> None:
    everything = {"recommender"}

    assert service.rule("pin", articles=["10"], for_article="a") == {"of-a", "many"}
    assert service.rule("block", articles=["10"], for_article="9") == {"of-a", "of-9", "many"}
    assert service.delete("/v1/rules/one") == {"of-9", "many"}
    assert service.rule("block", articles=["10", "a"]) == {"a-10", "a-a", "many"}
    assert service.delete("/v1/rules/one") == everything
    assert service.rule("sensitive", articles=["9"]) == {"a-9", "many"}
    assert service.rule("pin", articles=["9"], for_section="Politics") == everything
    assert service.rule("cap", per="section", at_most=2) == everything
    assert service.rule("boost", articles=["9"], factor=2) == everything


def test_an_article_that_is_pinned_before_it_exists_purges_its_lists(service: ChangingService) -> None:
    service.rule("pin", articles=["later"], for_section="Politics")
    in_politics = next(
        item["id"]
        for item in service.client.get("/v1/articles?category=Politics").json["items"]  # type: ignore[index]
    )

    pinned_keys = keys(service.client, f"/v1/related?id={in_politics}&limit=2")

    assert "a-later" in pinned_keys
    assert "a-later" in service.put("later", "Oats butter salt.")


@pytest.mark.parametrize("how", ["withdraw", "hide", "correct"])
def test_the_near_duplicates_of_an_article_that_disappears_may_take_its_place(
    service: ChangingService, how: str
) -> None:
    service.put("first", STORM)
    joined = service.put("second", STORM)

    if how == "withdraw":
        changed = service.delete("/v1/article?id=second")
    elif how == "hide":
        changed = service.rule("block", articles=["second"])
    else:
        changed = service.put("second", "Oats butter salt and a hot griddle.")

    assert "of-9" in joined  # in whose list both are similar
    assert {"a-second", "a-first", "of-9"} <= changed


def test_near_duplicates_in_the_model_may_take_the_place_of_a_withdrawn_article(
    service: ChangingService, model: Model
) -> None:
    [row] = [row for row, article_id in enumerate(model.articles.ids) if article_id == "9"]
    original = model.articles.article(row)
    service.put("copy", original.body, title=original.title)

    changed = service.delete("/v1/article?id=copy")

    readers = np.flatnonzero((model.neighbors.rows == row).any(axis=1)).tolist()
    assert {"a-9", "of-9", "scored"} <= changed
    assert {subject_key(model.articles.ids[reader]) for reader in readers} <= changed


def test_pins_in_another_order_purge_everything(service: ChangingService) -> None:
    pins = [
        {"id": name, "kind": "pin", "articles": [name], "for_article": "a", "reason": "x", "author": "x"}
        for name in ("9", "10")
    ]
    for rules in (pins, pins[::-1]):
        etag = service.client.get("/v1/rules", headers=HEADERS).headers["ETag"]
        response = service.client.put(
            "/v1/rules", json={"rules": rules}, headers=HEADERS | {"If-Match": etag}
        )
        assert response.status_code == 200, response.text
        changed = service.changed()

    assert changed == {"recommender"}


def test_a_list_that_is_diverse_or_needs_scores_has_a_key_for_it(client: FlaskClient) -> None:
    assert "newest" in keys(client, "/v1/related?id=9&limit=2&diversity=0.5")
    assert "scored" not in keys(client, "/v1/related?id=9&limit=2")


def test_a_list_with_more_than_the_known_neighbours_has_the_key_scored(tmp_path: Path) -> None:
    publish(build_model(newsroom(), k=2), tmp_path, now=NOW)
    client = ChangingService(tmp_path).client
    some_rivals, all_articles, known_alone = "limit=2", "limit=3&exclude=10&exclude=11", "limit=1&freshness=0"

    assert "scored" in keys(client, f"/v1/related?id=9&{some_rivals}")
    assert "scored" in keys(client, f"/v1/related?id=9&{all_articles}")
    assert "scored" not in keys(client, f"/v1/related?id=9&{known_alone}")


def test_a_rule_for_a_category_or_an_author_purges_all_lists_that_it_may_change(
    service: ChangingService,
) -> None:
    everything = {"recommender"}

    for target in ({"in_category": "Politics"}, {"by_author": "Jane Doe"}, {"in_category": "nowhere"}):
        assert service.rule("sensitive", **target) == everything
        assert service.rule("block", **target) == everything
        assert service.rule("block", for_category="Politics", **target) == everything
        assert service.delete("/v1/rules/one") == everything
        assert service.rule("block", for_article="9", **target) == {"of-9", "many"}
        assert service.delete("/v1/rules/one") == {"of-9", "many"}


def test_many_changes_at_once_purge_everything(service: ChangingService) -> None:
    articles = [{"id": f"n{number}", "title": "Storm"} for number in range(MAX_CHANGED + 1)]
    response = service.client.post("/v1/articles", json={"articles": articles}, headers=HEADERS)

    assert response.status_code == 200
    assert service.changed() == {"recommender"}


def test_a_new_model_purges_everything(service: ChangingService) -> None:
    assert keys_between(WorkerState(), service.follower.state) == {"recommender"}


def test_without_a_change_nothing_is_purged() -> None:
    assert keys_between(WorkerState(), WorkerState()) == frozenset()
