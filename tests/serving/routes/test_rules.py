"""Rules over HTTP: who may, what is refused, and that nobody undoes another's work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.store import StaleError, Store, StoreDownError
from recommender.settings import Settings
from tests.support.newsroom import NOW

KEY, WORD = new_key("desk", ["rules"])
OTHER_KEY, OTHER_WORD = new_key("cms", ["articles", "events"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
BLOCK: dict[str, Any] = {"kind": "block", "articles": ["10"], "reason": "a lawsuit", "author": "A. Reyes"}
PIN: dict[str, Any] = {"kind": "pin", "articles": ["8"], "reason": "read this", "author": "B. Oduya"}
IN_FILE = """
[[rule]]
id = "by-file"
kind = "sensitive"
articles = ["12"]
reason = "asked for"
author = "C. Wu"
"""


@pytest.fixture
def app(models_dir: Path, tmp_path: Path) -> Flask:
    (tmp_path / "rules.toml").write_text(IN_FILE)
    return create_app(
        Settings(
            models_dir=models_dir,
            write_keys=(WORD, OTHER_WORD),
            live_poll_seconds=0,
            rules_file=tmp_path / "rules.toml",
        ),
        clock=lambda: NOW,
    )


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def store(app: Flask) -> Store:
    store: Store = app.extensions["recommender"].store
    return store


def put(client: FlaskClient, rule_id: str = "hush", rule: object = BLOCK, **headers: str) -> TestResponse:
    return client.put(f"/v1/rules/{rule_id}", json=rule, headers=HEADERS | _dashed(headers))


def put_all(client: FlaskClient, *rules: dict[str, Any], **headers: str) -> TestResponse:
    return client.put("/v1/rules", json={"rules": rules}, headers=HEADERS | _dashed(headers))


def read(client: FlaskClient, path: str = "/v1/rules", **headers: str) -> TestResponse:
    return client.get(path, headers=HEADERS | _dashed(headers))


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def ids(answer: TestResponse) -> list[str]:
    assert answer.json is not None
    return [rule["id"] for rule in answer.json["rules"]]


def listed(client: FlaskClient, article_id: str = "9") -> list[str]:
    answer = client.get(f"/v1/articles/{article_id}/related?limit=50").json
    assert answer is not None
    return [item["id"] for item in answer["items"]]


def refused(answer: TestResponse, status: int, kind: str) -> dict[str, Any]:
    assert answer.json is not None
    assert (answer.status_code, answer.json["type"]) == (status, kind), answer.text
    problem: dict[str, Any] = answer.json
    return problem


def test_a_rule_acts_at_once_and_no_longer_than_it_is_there(client: FlaskClient) -> None:
    assert "10" in listed(client)

    assert put(client).status_code == 201
    assert "10" not in listed(client)

    assert client.delete("/v1/rules/hush", headers=HEADERS).status_code == 204
    assert "10" in listed(client)


def test_a_rule_is_answered_as_it_was_understood(client: FlaskClient) -> None:
    given = BLOCK | {"articles": [10], "until": "2026-05-01T12:00:00+02:00"}

    made = put(client, rule=given)

    assert made.json == {"id": "hush"} | BLOCK | {"until": "2026-05-01T10:00:00Z"}
    again = read(client, "/v1/rules/hush")
    assert (again.json, again.headers["ETag"]) == (made.json, made.headers["ETag"])
    assert put(client, rule=made.json).status_code == 200


def test_all_rules_are_told_with_those_of_the_file_apart(client: FlaskClient) -> None:
    put(client)
    put(client, "first", PIN)

    found = read(client)

    assert ids(found) == ["hush", "first"]
    assert found.json is not None
    assert [rule["id"] for rule in found.json["file_rules"]] == ["by-file"]
    assert found.headers["Cache-Control"] == "private, no-cache"
    assert read(client, If_None_Match=found.headers["ETag"]).status_code == 304


def test_rules_of_the_file_act_beside_the_others(client: FlaskClient) -> None:
    put(client, "first", PIN | {"articles": ["12", "8"]})

    assert listed(client)[0] == "8"
    assert "12" not in listed(client)


def test_the_file_is_followed_and_a_broken_one_shows_in_what_is_degraded(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    context, path = app.extensions["recommender"], tmp_path / "rules.toml"

    def degraded() -> Any:
        answer = client.get("/v1/articles/9/related").json
        return None if answer is None else answer["degraded"]

    path.write_text(IN_FILE.replace('"12"', '"11", "10"'))
    context.follower.refresh()
    assert "12" in listed(client)
    assert not {"10", "11"} & set(listed(client))
    assert degraded() == []

    path.write_text(IN_FILE + "[[rule]]")
    context.follower.refresh()
    context.follower.refresh()
    assert not {"10", "11"} & set(listed(client))
    assert degraded() == ["rules"]

    path.write_text("# no rules")
    context.follower.refresh()
    assert "11" in listed(client)
    assert degraded() == []


CALLS: list[Callable[[FlaskClient, dict[str, str]], TestResponse]] = [
    lambda client, headers: client.get("/v1/rules", headers=headers),
    lambda client, headers: client.get("/v1/rules/hush", headers=headers),
    lambda client, headers: client.put("/v1/rules/hush", json=BLOCK, headers=headers),
    lambda client, headers: client.delete("/v1/rules/hush", headers=headers),
    lambda client, headers: client.put("/v1/rules", json={"rules": []}, headers=headers),
]


@pytest.mark.parametrize("call", CALLS)
def test_rules_are_private(
    client: FlaskClient, call: Callable[[FlaskClient, dict[str, str]], TestResponse]
) -> None:
    put(client)

    refused(call(client, {}), 401, "key-missing")
    answer = call(client, {"Authorization": f"Bearer {OTHER_KEY}"})
    assert "lawsuit" not in answer.text
    refused(answer, 403, "key-not-allowed")


def test_no_reason_is_told_to_readers(client: FlaskClient) -> None:
    put(client, "first", PIN)

    item = client.get("/v1/articles/9/related?limit=1&explain=1").json["items"][0]  # type: ignore[index]

    assert (item["id"], item["source"], item["score"], item["why"]) == ("8", "pin", None, None)
    assert "read this" not in client.get("/v1/articles/9/related").text


def test_replacing_all_needs_the_etag_of_what_was_read(client: FlaskClient) -> None:
    put(client)

    refused(put_all(client, {"id": "first"} | PIN), 428, "match-missing")
    refused(put_all(client, {"id": "first"} | PIN, If_Match="*"), 428, "match-missing")
    refused(put_all(client, {"id": "first"} | PIN, If_Match='"other"'), 412, "changed-meanwhile")
    assert ids(read(client)) == ["hush"]

    done = put_all(client, {"id": "first"} | PIN, If_Match=read(client).headers["ETag"])

    assert (done.status_code, ids(done)) == (200, ["first"])
    assert done.headers["ETag"] == read(client).headers["ETag"]
    assert listed(client)[0] == "8"


def test_two_clients_cannot_erase_each_others_rules(client: FlaskClient) -> None:
    etag = read(client).headers["ETag"]
    assert put_all(client, {"id": "one"} | BLOCK, If_Match=etag).status_code == 200

    refused(put_all(client, {"id": "other"} | PIN, If_Match=etag), 412, "changed-meanwhile")

    assert ids(read(client)) == ["one"]


def test_what_changes_between_reading_and_writing_is_noticed(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = read(client).headers["ETag"]
    replace_rules = store.replace_rules

    def late(rules: Any, if_match: str) -> Any:
        store.put_rule("other", "{}")
        return replace_rules(rules, if_match)

    monkeypatch.setattr(store, "replace_rules", late)

    refused(put_all(client, {"id": "one"} | BLOCK, If_Match=etag), 412, "changed-meanwhile")


def test_a_rule_is_changed_only_as_it_was_read(client: FlaskClient) -> None:
    first = put(client).headers["ETag"]
    changed = put(client, rule=BLOCK | {"reason": "settled"}, If_Match=first)
    assert changed.status_code == 200

    refused(put(client, If_Match=first), 412, "changed-meanwhile")
    refused(put(client, "none", If_Match=first), 412, "changed-meanwhile")
    refused(put(client, If_None_Match="*"), 412, "changed-meanwhile")
    stale = client.delete("/v1/rules/hush", headers=HEADERS | {"If-Match": first})
    refused(stale, 412, "changed-meanwhile")
    assert read(client, "/v1/rules/hush").headers["ETag"] == changed.headers["ETag"]
    assert put(client, "new", If_None_Match="*").status_code == 201
    assert put(client, If_Match=read(client).headers["ETag"]).status_code == 200


def test_a_change_to_another_rule_is_no_conflict(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = put(client).headers["ETag"]
    put_rule, missed = store.put_rule, [StaleError("changed"), StaleError("changed")]

    def late(*arguments: Any) -> Any:
        if missed:
            raise missed.pop()
        return put_rule(*arguments)

    monkeypatch.setattr(store, "put_rule", late)

    assert put(client, rule=BLOCK | {"reason": "settled"}, If_Match=etag).status_code == 200


def test_a_rule_of_the_file_is_changed_in_the_file_alone(client: FlaskClient) -> None:
    etag = read(client).headers["ETag"]

    refused(put(client, "by-file"), 409, "rule-of-file")
    refused(client.delete("/v1/rules/by-file", headers=HEADERS), 409, "rule-of-file")
    refused(put_all(client, {"id": "by-file"} | BLOCK, If_Match=etag), 409, "rule-of-file")
    assert read(client, "/v1/rules/by-file").json["reason"] == "asked for"  # type: ignore[index]


def test_a_rule_that_the_file_took_over_can_be_deleted_from_the_database(
    client: FlaskClient, store: Store
) -> None:
    store.put_rule("by-file", '{"id": "by-file"}')

    assert client.delete("/v1/rules/by-file", headers=HEADERS).status_code == 204
    assert ids(read(client)) == []
    assert read(client, "/v1/rules/by-file").json["reason"] == "asked for"  # type: ignore[index]


def test_deleting_what_is_not_there_is_done_already(client: FlaskClient) -> None:
    assert client.delete("/v1/rules/none", headers=HEADERS).status_code == 204
    refused(read(client, "/v1/rules/none"), 404, "unknown-rule")


@pytest.mark.parametrize(
    ("rule_id", "rule", "error"),
    [
        ("x", PIN | {"articles": []}, ("body", "articles", "[]", "a list of 1 to 1000 article ids")),
        ("x", {"kind": "pin"}, ("body", "reason", None, "1 to 1000 characters")),
        ("x", PIN | {"id": "y"}, ("body", "id", "y", "the id in the URL, or no id")),
        (
            "a%20b",
            PIN,
            (
                "path",
                "rule_id",
                "a b",
                "1 to 100 of the characters A-Z a-z 0-9 . _ -; the first is not a dot",
            ),
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_what_is_allowed(
    client: FlaskClient, rule_id: str, rule: dict[str, Any], error: tuple[str, str, str | None, str]
) -> None:
    answer = put(client, rule_id, rule)

    assert answer.status_code == 400
    assert answer.json is not None
    shown = [(each["in"], each["name"], each["value"], each["allowed"]) for each in answer.json["errors"]]
    assert error in shown


def test_a_wrong_set_names_every_fault_with_its_rule(client: FlaskClient) -> None:
    rules = ({"id": "x"} | PIN, {"id": "x"} | BLOCK, {"id": "y"} | PIN | {"articles": []})

    problem = refused(put_all(client, *rules, If_Match=read(client).headers["ETag"]), 400, "bad-body")

    assert [error["name"] for error in problem["errors"]] == ["rule 2: id", "rule 'y': articles"]


@pytest.mark.parametrize("body", [{}, {"rules": 3}, {"rules": [], "file_rules": []}])
def test_a_set_is_rules_alone(client: FlaskClient, body: object) -> None:
    answer = client.put("/v1/rules", json=body, headers=HEADERS | {"If-Match": read(client).headers["ETag"]})

    refused(answer, 400, "bad-body")


def test_what_is_no_json_is_refused(client: FlaskClient) -> None:
    form = client.put("/v1/rules/x", data="kind=pin", headers=HEADERS)
    broken = client.put("/v1/rules/x", data="{", headers=HEADERS, content_type="application/json")
    asked = client.get("/v1/rules?all=1", headers=HEADERS)

    refused(form, 415, "unsupported-type")
    refused(broken, 400, "bad-body")
    refused(asked, 400, "bad-parameter")


def test_without_a_database_rules_are_neither_told_nor_taken(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> Any:
        raise StoreDownError("the database is busy")

    for name in ("rules", "put_rule", "changes"):
        monkeypatch.setattr(store, name, down)

    for answer in (read(client), put(client)):
        refused(answer, 503, "store-down")
        assert answer.headers["Retry-After"]
    assert listed(client)
