"""Rules under the former name of a category, a section, have the same effects and are returned as written."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.rules.explain import ExplainedArticle, rule_effects
from recommender.serving.rules.file import read_file
from recommender.serving.rules.schema import (
    Boost,
    Cap,
    Pin,
    Rule,
    RulesError,
    read_rule,
    read_stored,
    to_json,
)
from recommender.serving.store import Store
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

KEY, SETTING = new_key("desk", ["rules"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
SIGNED = {"reason": "asked for", "author": "A. Reyes"}
RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [  # with the new name, and with the former name
    (
        {"kind": "pin", "articles": ["13"], "for_category": "Environment"},
        {"kind": "pin", "articles": ["13"], "for_section": "Environment"},
    ),
    (
        {"kind": "block", "articles": ["10"], "for_category": "environment"},
        {"kind": "block", "articles": ["10"], "for_section": "environment"},
    ),
    (
        {"kind": "boost", "in_category": "Politics", "factor": 3},
        {"kind": "boost", "in_section": "Politics", "factor": 3},
    ),
    ({"kind": "cap", "per": "category", "at_most": 2}, {"kind": "cap", "per": "section", "at_most": 2}),
]
TOML = """
[[rule]]
id = "pin"
kind = "pin"
articles = ["13"]
{for_name} = "Environment"
reason = "asked for"
author = "A. Reyes"

[[rule]]
id = "boost"
kind = "boost"
{in_name} = "Politics"
factor = 3
reason = "asked for"
author = "A. Reyes"

[[rule]]
id = "cap"
kind = "cap"
per = "{per}"
at_most = 2
reason = "asked for"
author = "A. Reyes"
"""
OLD_TEXT = (
    '{"id":"old","kind":"pin","for_section":"Environment","articles":["13"],'
    '"reason":"asked for","author":"A. Reyes"}'
)


@pytest.fixture
def app(models_dir: Path) -> Flask:
    settings = Settings(models_dir=models_dir, write_keys=(SETTING,), live_poll_seconds=0)
    return create_app(settings, clock=lambda: NOW)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def rule(**fields: Any) -> Rule:
    return read_rule({"id": "x"} | SIGNED | fields, "x")


def active(*rules: Rule) -> ActiveRules:
    return Rules(rules).active(NOW)


@pytest.mark.parametrize(
    ("for_name", "in_name", "per"),
    [("for_category", "in_category", "category"), ("for_section", "in_section", "section")],
)
def test_a_file_may_use_either_name(tmp_path: Path, for_name: str, in_name: str, per: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(TOML.format(for_name=for_name, in_name=in_name, per=per))

    pin, boost, cap = read_file(path)

    assert isinstance(pin, Pin)
    assert pin.for_category == "Environment"
    assert isinstance(boost, Boost)
    assert boost.in_category == "Politics"
    assert isinstance(cap, Cap)
    assert cap.per == "category"


@pytest.mark.parametrize("fields", [fields for pair in RULES for fields in pair])
def test_a_rule_is_returned_with_the_name_it_was_written_with(fields: dict[str, Any]) -> None:
    written = rule(**fields)

    assert written.as_json() == {"id": "x"} | SIGNED | fields
    assert read_stored([("x", to_json(written))]) == ((written,), ())


def test_a_stored_rule_with_the_former_name_keeps_its_text() -> None:
    [stored], invalid = read_stored([("old", OLD_TEXT)])

    assert (to_json(stored), invalid) == (OLD_TEXT, ())


@pytest.mark.parametrize(("new", "former"), RULES)
def test_both_names_have_the_same_effects(new: dict[str, Any], former: dict[str, Any]) -> None:
    model, query = build_model(newsroom(), similar_above=0.01), ListQuery(limit=50, lang="any")
    article = ExplainedArticle("9", ("Environment", "Politics"), ("Jane Doe",))

    lists, effects = [], []
    for fields in (new, former):
        related = Related(model, active(rule(**fields)))
        lists.append([related.of(article_id, query, NOW) for article_id in ("9", "8", "a")])
        effects.append([effect.effect for effect in rule_effects([("file", rule(**fields))], article, NOW)])

    assert lists[0] == lists[1]
    assert lists[0] != [Related(model).of(article_id, query, NOW) for article_id in ("9", "8", "a")]
    assert effects[0] == effects[1]


@pytest.mark.parametrize(("new", "former"), RULES)
def test_a_rule_with_another_name_is_another_value(new: dict[str, Any], former: dict[str, Any]) -> None:
    assert rule(**new) != rule(**former)
    assert to_json(rule(**new)) != to_json(rule(**former))
    assert active(rule(**new)).version != active(rule(**former)).version
    assert active(rule(**former)) == active(rule(**former))
    assert hash(rule(**former)) == hash(rule(**former))


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        (
            {"kind": "pin", "articles": ["1"], "for_category": "Sport", "for_section": "Sport"},
            "for_section",
            "only one of for_category and for_section, its former name",
        ),
        (
            {"kind": "boost", "factor": 2, "in_category": "Sport", "in_section": "Sport"},
            "in_section",
            "only one of in_category and in_section, its former name",
        ),
        (
            {"kind": "block", "articles": ["1"], "for_article": "1", "for_section": "Sport"},
            "for_section",
            "only one of for_article and for_section",
        ),
    ],
)
def test_two_names_in_one_rule_are_an_error_that_names_both(
    fields: dict[str, Any], field: str, allowed: str
) -> None:
    with pytest.raises(RulesError) as error:
        rule(**fields)

    [fault] = error.value.faults
    assert (fault.field, fault.value, fault.allowed) == (field, "Sport", allowed)


def test_a_set_of_rules_survives_the_round_trip_over_http(client: FlaskClient) -> None:
    rules = [
        {"id": f"{number}-{name}"} | SIGNED | fields
        for number, pair in enumerate(RULES)
        for name, fields in zip(("new", "former"), pair, strict=True)
    ]

    def put(etag: str, rules: list[dict[str, Any]]) -> Any:
        return client.put("/v1/rules", json={"rules": rules}, headers=HEADERS | {"If-Match": etag})

    first = put(client.get("/v1/rules", headers=HEADERS).headers["ETag"], rules)
    read = client.get("/v1/rules", headers=HEADERS)
    again = put(read.headers["ETag"], read.get_json()["rules"])

    assert (first.status_code, again.status_code) == (200, 200)
    assert read.get_json()["rules"] == rules
    assert again.get_json() == read.get_json()
    assert first.headers["ETag"] == read.headers["ETag"] == again.headers["ETag"]


def test_a_stored_rule_with_the_former_name_is_active_and_can_be_put_back(
    app: Flask, client: FlaskClient
) -> None:
    store: Store = app.extensions["recommender"].store
    store.put_rule("old", OLD_TEXT)
    app.extensions["recommender"].follower.refresh()

    read = client.get("/v1/rules/old", headers=HEADERS)
    put = client.put(
        "/v1/rules/old", json=read.get_json(), headers=HEADERS | {"If-Match": read.headers["ETag"]}
    )

    assert read.get_json() == json.loads(OLD_TEXT)
    assert (put.status_code, put.headers["ETag"]) == (200, read.headers["ETag"])
    assert store.rules().rules == (("old", OLD_TEXT),)
    first = client.get("/v1/articles/9/related").get_json()["items"][0]
    assert (first["id"], first["source"]) == ("13", "pin")


def test_a_rule_renamed_over_http_gets_another_etag_and_the_same_lists(client: FlaskClient) -> None:
    etags, lists = set(), []
    for name in ("for_section", "for_category"):
        body = SIGNED | {"kind": "pin", "articles": ["13"], name: "Environment"}
        put = client.put("/v1/rules/x", json=body, headers=HEADERS)
        etags.add(put.headers["ETag"])
        lists.append(client.get("/v1/articles/9/related").get_json()["items"])

    assert len(etags) == 2
    assert lists[0] == lists[1]
    assert client.get("/v1/rules/x", headers=HEADERS).get_json() == {"id": "x"} | body


def test_openapi_documents_both_names_and_marks_the_former_as_deprecated(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").get_json()["components"]["schemas"]

    for schema, new, former in (
        ("Pin", "for_category", "for_section"),
        ("Block", "for_category", "for_section"),
        ("Boost", "in_category", "in_section"),
    ):
        for body in (schema, f"{schema}Body"):
            properties = schemas[body]["properties"]
            assert "deprecated" not in properties[new]
            assert properties[former]["deprecated"] is True
    assert schemas["Cap"]["properties"]["per"]["enum"] == ["category", "author", "section"]


def test_a_rule_of_either_name_acts_in_its_time() -> None:
    begins = datetime(2026, 11, 3, tzinfo=UTC)
    for fields in RULES[0]:
        written = rule(**fields, **{"from": begins.isoformat()})

        assert written.is_active(begins)
        assert not written.is_active(NOW)
