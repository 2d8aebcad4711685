"""The admin page: what it shows of models of any size, what it never shows, and the way to a rule."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.displayed import displayed_lists
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.serving.admin.model_facts import FactsCache, ListFacts, lists_with
from recommender.serving.http.auth import new_key
from recommender.serving.store import StoreDownError
from tests.support.admin import SETTING, AdminUnderTest
from tests.support.newsroom import NOW, build_model, newsroom

CMS_KEY, CMS_SETTING = new_key("cms", ["articles", "events", "rules"])
CMS = {"Authorization": f"Bearer {CMS_KEY}"}
HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"


@pytest.fixture
def admin(models_dir: Path) -> AdminUnderTest:
    admin = AdminUnderTest(models_dir, write_keys=f"{SETTING} {CMS_SETTING}")
    admin.sign_in()
    return admin


def test_lists_are_counted_as_they_are_displayed(model: Model) -> None:
    facts = ListFacts.of(model)

    shown = Counter(row for rows in displayed_lists(model).lists.tolist() for row in rows if row != NO_ROW)
    assert facts.listed.tolist() == [shown[row] for row in range(len(model.articles))]
    for row in range(len(model.articles)):
        assert len(lists_with(model, row)) == shown[row]
    assert sum(count for _, count in facts.histogram) == int(displayed_lists(model).listable.sum())


def test_crowders_are_those_in_more_than_three_times_the_mean() -> None:
    model = build_model([Article(id=f"{n:03}", title=f"Story {n}", body=f"word{n} tide") for n in range(60)])
    rows = np.full_like(model.neighbors.rows[:, :1], NO_ROW)
    rows[1:20], rows[20:24] = 0, 1
    crowded = replace(model, neighbors=replace(model.neighbors, rows=rows, scores=rows * 0.0))

    facts = ListFacts.of(crowded)

    assert facts.mean == 23 / 60
    assert facts.crowders == 2
    assert facts.most_listed.tolist() == [0, 1]
    assert facts.listed[:3].tolist() == [19, 4, 0]
    assert len(facts.orphans) == 58


def test_facts_are_computed_once_for_each_model_and_keep_none_open(model: Model) -> None:
    cache, other = FactsCache(), build_model(newsroom()[:5])

    first, gone = cache.lists(model), ref(other)

    assert cache.lists(model) is first
    assert len(cache.lists(other).listed) == 5
    del other
    assert gone() is None


def test_an_editor_sets_and_removes_a_rule_against_an_article(admin: AdminUnderTest) -> None:
    path = "/admin/article?id=9"
    added = admin.add_rule(path, days="7")
    [(rule_id, text)] = admin.rules()
    shown = admin.page(added.headers["Location"])

    assert json.loads(text) == {
        "id": rule_id,
        "kind": "block",
        "articles": ["9"],
        "reason": "too often",
        "author": "B. Oduya",
        "until": (NOW + timedelta(days=7)).replace(microsecond=0).isoformat().replace("+00:00", "Z"),
    }
    assert "Rule saved: block, until 8 Mar 2026, 12:00" in shown
    assert "too often" in shown
    listed = admin.client.get("/v1/related?id=10").get_json()["items"]
    assert "9" not in {item["id"] for item in listed}
    removed = {"form_token": admin.form_token(), "rule": rule_id, "article": "9"}
    assert admin.client.post("/admin/rules", data=removed).headers["Location"] == path
    assert admin.rules() == []


def test_sending_a_form_twice_adds_one_rule(admin: AdminUnderTest) -> None:
    form = admin.fields("/admin/article?id=9") | {"action": "weaken", "reason": "r", "author": "a"}
    for _ in range(2):
        assert admin.client.post("/admin/article?id=9", data=form).status_code == 303

    [(_, text)] = admin.rules()
    assert (json.loads(text)["kind"], json.loads(text)["factor"]) == ("boost", 0.5)


def test_an_invalid_form_is_shown_again_with_the_reason_and_what_was_entered(admin: AdminUnderTest) -> None:
    for values, fault in (
        ({"reason": " "}, "reason is"),
        ({"author": "x" * 201}, "author is"),
        ({"action": "burn"}, "action is"),
        ({"days": "-1"}, "days is"),
        ({"rule_id": "../x"}, "rule_id is"),
    ):
        refused = admin.add_rule("/admin/article?id=9", **{"reason": "Kept words"} | values)
        assert refused.status_code == 400
        assert fault in refused.text
        assert ("Kept words" in refused.text) == ("reason" not in values)
    assert admin.add_rule("/admin/article?id=9", author=HOSTILE).status_code == 303
    assert len(admin.rules()) == 1
    assert admin.client.get("/admin/article?id=nobody").status_code == 404


@pytest.mark.slow
def test_a_rule_may_include_the_near_duplicates(tmp_path: Path) -> None:
    article = newsroom()[11]
    publish(build_model([*newsroom(), replace(article, id="12b")]), tmp_path / "models", now=NOW)
    admin = AdminUnderTest(tmp_path / "models")
    admin.sign_in()
    assert "2 articles are copies of each other, in 1 group." in admin.page("/admin/")
    admin.add_rule("/admin/article?id=12", copies="1", rule_id="with")
    admin.add_rule("/admin/article?id=12", rule_id="without")

    ids_of = {rule_id: json.loads(text)["articles"] for rule_id, text in admin.rules()}
    assert ids_of == {"with": ["12", "12b"], "without": ["12"]}


def test_articles_that_must_not_be_shown_are_on_no_page(admin: AdminUnderTest) -> None:
    titles = {article.id: article.title for article in newsroom()}
    admin.client.delete("/v1/articles/9", headers=CMS)
    rule = {"kind": "pin", "articles": ["9", "16", "8"], "reason": "r", "author": "a"}
    admin.client.put("/v1/rules/all", json=rule, headers=CMS)
    pages = [admin.page(path) for path in ("/admin/", "/admin/rules", "/admin/search?q=storm+budget")]

    for forbidden in (titles["9"], titles["15"], titles["16"]):  # withdrawn, and under embargo
        assert not any(forbidden in page for page in pages)
    assert titles["8"] in pages[1]
    assert {admin.client.get(f"/admin/article?id={name}").status_code for name in ("9", "15", "16")} == {404}


def test_all_parts_of_the_overview_show_what_happens(admin: AdminUnderTest) -> None:
    live = {"title": "Ferry strike", "body": "zyxwv strike tide", "published_at": "2026-03-01T11:00:00Z"}
    admin.client.put("/v1/articles/strike", json=live, headers=CMS)
    views = [{"article_id": "8", "type": "view", "ts": "2026-03-01T11:30:00Z", "count": 12}]
    admin.client.post("/v1/events", json={"events": views}, headers=CMS)
    admin.client.get("/v1/related?id=8")
    admin.now = NOW + timedelta(days=3)
    stale = admin.page_after_sign_in("/admin/")

    for text in ("Ferry strike", "too old", "related</code>", "Similar", "All things", "not run"):
        assert text in stale, text
    admin.now = NOW + timedelta(minutes=1)
    admin.sign_in()
    assert "12</td>" in admin.page("/admin/")


@pytest.mark.slow
def test_a_model_with_one_article_has_a_page_also_when_it_is_withdrawn(tmp_path: Path) -> None:
    publish(build_model(newsroom()[:1]), tmp_path / "models", now=NOW)
    admin = AdminUnderTest(tmp_path / "models", write_keys=f"{SETTING} {CMS_SETTING}")
    admin.sign_in()

    assert "No article is in a list" in admin.page("/admin/")
    assert "In 0 lists" in admin.page("/admin/article?id=a")
    admin.client.delete("/v1/articles/a", headers=CMS)
    assert "Every article is in a list" in admin.page("/admin/")
    assert newsroom()[0].title not in admin.page("/admin/search?q=a")


@pytest.mark.slow
def test_a_damaged_version_is_shown_as_such(tmp_path: Path) -> None:
    for seconds in (0, 1):
        version = publish(build_model(newsroom()), tmp_path / "models", now=NOW + timedelta(seconds=seconds))
    admin = AdminUnderTest(tmp_path / "models")
    admin.sign_in()
    damaged = next(path for path in (tmp_path / "models").iterdir() if path.is_dir() and path.name != version)
    (damaged / "manifest.json").write_text("{}")

    page = admin.page("/admin/")
    assert "does not match its sha256" in page
    assert f'<code>{version}</code> <span class="tag current">current</span>' in page


def test_a_rule_that_cannot_be_stored_is_not_lost(
    admin: AdminUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreDownError("it is down")

    monkeypatch.setattr(admin.store, "put_rule", fail)
    refused = admin.add_rule("/admin/article?id=9", reason="Kept words")

    assert refused.status_code == 503
    assert "the database does not respond" in refused.text
    assert "Kept words" in refused.text


def test_without_a_model_the_page_says_why(tmp_path: Path) -> None:
    admin = AdminUnderTest(tmp_path / "none")
    admin.sign_in()
    response = admin.client.get("/admin/")

    assert response.status_code == 503
    assert "no published model" in response.text


@pytest.mark.slow
def test_texts_of_authors_are_escaped(tmp_path: Path) -> None:
    hostile = [
        Article(id=f"{HOSTILE}{n}", title=HOSTILE, body="one tide", category=HOSTILE) for n in range(3)
    ]
    publish(build_model([*newsroom(), *hostile]), tmp_path / "models", now=NOW)
    admin = AdminUnderTest(tmp_path / "models")
    admin.sign_in()
    path = f"/admin/article?id={HOSTILE.replace('#', '%23')}0"
    admin.add_rule(path, reason=HOSTILE, author=HOSTILE)
    pages = [admin.page(each) for each in ("/admin/", path, "/admin/rules", f"/admin/search?q={HOSTILE}")]

    assert admin.rules()
    for page in pages:
        assert "<img" not in page
        assert "{{7*7}}" in page


@pytest.mark.slow
def test_thousands_of_rules_are_shown_in_pages(admin: AdminUnderTest) -> None:
    rules: list[dict[str, Any]] = [
        {"id": f"r{n}", "kind": "block", "articles": [f"x{n}"], "reason": f"reason {n}", "author": "a"}
        for n in range(3000)
    ]
    admin.store.replace_rules([(rule["id"], json.dumps(rule)) for rule in rules], admin.store.rules().etag)
    admin.app.extensions["recommender"].follower.refresh()

    assert "All 3,000 rules" in admin.page("/admin/")
    last = admin.page("/admin/rules?page=60")
    assert "Page 60 of 60" in last
    assert "reason 2999" in last
    assert "Page 60 of 60" in admin.page("/admin/rules?page=99999999999999999999")
    assert "Page 1 of 60" in admin.page("/admin/rules?page=-1&state=burnt")
