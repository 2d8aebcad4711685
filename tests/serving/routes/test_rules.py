"""Rules over HTTP: keys, validation, and changes that do not overwrite the changes of others."""

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

KEY, SETTING = new_key("desk", ["rules"])
OTHER_KEY, OTHER_SETTING = new_key("cms", ["articles", "events"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
BLOCK: dict[str, Any] = {"kind": "block", "articles": ["10"], "reason": "a lawsuit", "author": "A. Reyes"}
PIN: dict[str, Any] = {"kind": "pin", "articles": ["8"], "reason": "read this", "author": "B. Oduya"}
FAULT_KEYS = ("in", "name", "value", "allowed")
RULES_FILE = """
[[rule]]
id = "by-file"
kind = "sensitive"
articles = ["12"]
reason = "asked for"
author = "C. Wu"
"""


@pytest.fixture
def app(models_dir: Path, tmp_path: Path) -> Flask:
    (tmp_path / "rules.toml").write_text(RULES_FILE)
    return create_app(
        Settings(
            models_dir=models_dir,
            write_keys=(SETTING, OTHER_SETTING),
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


def ids(response: TestResponse) -> list[str]:
    assert response.json is not None
    return [rule["id"] for rule in response.json["rules"]]


def listed(client: FlaskClient, article_id: str = "9") -> list[str]:
    response = client.get(f"/v1/articles/{article_id}/related?limit=50").json
    assert response is not None
    return [item["id"] for item in response["items"]]


def refused(response: TestResponse, status: int, kind: str) -> dict[str, Any]:
    assert response.json is not None
    assert (response.status_code, response.json["type"]) == (status, kind), response.text
    problem: dict[str, Any] = response.json
    return problem


def test_a_rule_applies_at_once_until_it_is_deleted(client: FlaskClient) -> None:
    assert "10" in listed(client)

    assert put(client).status_code == 201
    assert "10" not in listed(client)

    assert client.delete("/v1/rules/hush", headers=HEADERS).status_code == 204
    assert "10" in listed(client)


def test_a_rule_is_returned_in_its_normal_form(client: FlaskClient) -> None:
    sent = BLOCK | {"articles": [10], "until": "2026-05-01T12:00:00+02:00"}

    created = put(client, rule=sent)

    assert created.json == {"id": "hush"} | BLOCK | {"until": "2026-05-01T10:00:00Z"}
    again = read(client, "/v1/rules/hush")
    assert (again.json, again.headers["ETag"]) == (created.json, created.headers["ETag"])
    assert put(client, rule=created.json).status_code == 200


def test_all_rules_are_listed_with_the_rules_of_the_file_apart(client: FlaskClient) -> None:
    put(client)
    put(client, "first", PIN)

    rules = read(client)

    assert ids(rules) == ["hush", "first"]
    assert rules.json is not None
    assert [rule["id"] for rule in rules.json["file_rules"]] == ["by-file"]
    assert rules.headers["Cache-Control"] == "private, no-cache"
    assert read(client, If_None_Match=rules.headers["ETag"]).status_code == 304


def test_rules_in_the_file_and_in_the_database_apply_together(client: FlaskClient) -> None:
    put(client, "first", PIN | {"articles": ["12", "8"]})

    assert listed(client)[0] == "8"
    assert "12" not in listed(client)


def test_changes_of_the_file_apply_and_an_invalid_file_is_reported_as_degraded(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    context, path = app.extensions["recommender"], tmp_path / "rules.toml"

    def degraded() -> Any:
        response = client.get("/v1/articles/9/related").json
        return None if response is None else response["degraded"]

    path.write_text(RULES_FILE.replace('"12"', '"11", "10"'))
    context.follower.refresh()
    assert "12" in listed(client)
    assert not {"10", "11"} & set(listed(client))
    assert degraded() == []

    path.write_text(RULES_FILE + "[[rule]]")
    context.follower.refresh()
    context.follower.refresh()
    assert not {"10", "11"} & set(listed(client))
    assert degraded() == ["rules"]

    path.write_text("# no rules")
    context.follower.refresh()
    assert "11" in listed(client)
    assert degraded() == []


REQUESTS: list[Callable[[FlaskClient, dict[str, str]], TestResponse]] = [
    lambda client, headers: client.get("/v1/rules", headers=headers),
    lambda client, headers: client.get("/v1/rules/hush", headers=headers),
    lambda client, headers: client.put("/v1/rules/hush", json=BLOCK, headers=headers),
    lambda client, headers: client.delete("/v1/rules/hush", headers=headers),
    lambda client, headers: client.put("/v1/rules", json={"rules": []}, headers=headers),
]


@pytest.mark.parametrize("send", REQUESTS)
def test_rules_need_a_key_with_their_scope(
    client: FlaskClient, send: Callable[[FlaskClient, dict[str, str]], TestResponse]
) -> None:
    put(client)

    refused(send(client, {}), 401, "key-missing")
    response = send(client, {"Authorization": f"Bearer {OTHER_KEY}"})
    assert "lawsuit" not in response.text
    refused(response, 403, "key-not-allowed")


def test_readers_do_not_see_the_reason_of_a_rule(client: FlaskClient) -> None:
    put(client, "first", PIN)

    item = client.get("/v1/articles/9/related?limit=1&explain=1").json["items"][0]  # type: ignore[index]

    assert (item["id"], item["source"], item["score"], item["why"]) == ("8", "pin", None, None)
    assert "read this" not in client.get("/v1/articles/9/related").text


def test_replacing_all_rules_needs_the_etag_of_the_rules_that_were_read(client: FlaskClient) -> None:
    put(client)

    refused(put_all(client, {"id": "first"} | PIN), 428, "match-missing")
    refused(put_all(client, {"id": "first"} | PIN, If_Match="*"), 428, "match-missing")
    refused(put_all(client, {"id": "first"} | PIN, If_Match='"other"'), 412, "changed-meanwhile")
    assert ids(read(client)) == ["hush"]

    replaced = put_all(client, {"id": "first"} | PIN, If_Match=read(client).headers["ETag"])

    assert (replaced.status_code, ids(replaced)) == (200, ["first"])
    assert replaced.headers["ETag"] == read(client).headers["ETag"]
    assert listed(client)[0] == "8"


def test_two_clients_cannot_overwrite_each_others_rules(client: FlaskClient) -> None:
    etag = read(client).headers["ETag"]
    assert put_all(client, {"id": "first"} | BLOCK, If_Match=etag).status_code == 200

    refused(put_all(client, {"id": "other"} | PIN, If_Match=etag), 412, "changed-meanwhile")

    assert ids(read(client)) == ["first"]


def test_a_change_between_reading_and_writing_is_noticed(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = read(client).headers["ETag"]
    replace_rules = store.replace_rules

    def late(rules: Any, if_match: str) -> Any:
        store.put_rule("other", "{}")
        return replace_rules(rules, if_match)

    monkeypatch.setattr(store, "replace_rules", late)

    refused(put_all(client, {"id": "first"} | BLOCK, If_Match=etag), 412, "changed-meanwhile")


def test_a_rule_is_changed_only_if_it_is_still_as_it_was_read(client: FlaskClient) -> None:
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


def test_a_change_of_another_rule_is_not_a_conflict(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = put(client).headers["ETag"]
    put_rule, conflicts = store.put_rule, [StaleError("changed"), StaleError("changed")]

    def late(*arguments: Any) -> Any:
        if conflicts:
            raise conflicts.pop()
        return put_rule(*arguments)

    monkeypatch.setattr(store, "put_rule", late)

    assert put(client, rule=BLOCK | {"reason": "settled"}, If_Match=etag).status_code == 200


def test_a_rule_in_the_file_can_be_changed_only_there(client: FlaskClient) -> None:
    etag = read(client).headers["ETag"]

    refused(put(client, "by-file"), 409, "rule-of-file")
    refused(client.delete("/v1/rules/by-file", headers=HEADERS), 409, "rule-of-file")
    refused(put_all(client, {"id": "by-file"} | BLOCK, If_Match=etag), 409, "rule-of-file")
    assert read(client, "/v1/rules/by-file").json["reason"] == "asked for"  # type: ignore[index]


def test_a_rule_in_both_the_file_and_the_database_can_be_deleted_from_the_database(
    client: FlaskClient, store: Store
) -> None:
    store.put_rule("by-file", '{"id": "by-file"}')

    assert client.delete("/v1/rules/by-file", headers=HEADERS).status_code == 204
    assert ids(read(client)) == []
    assert read(client, "/v1/rules/by-file").json["reason"] == "asked for"  # type: ignore[index]


def test_deleting_a_missing_rule_succeeds(client: FlaskClient) -> None:
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
def test_the_error_for_an_invalid_rule_names_what_is_allowed(
    client: FlaskClient, rule_id: str, rule: dict[str, Any], error: tuple[str, str, str | None, str]
) -> None:
    response = put(client, rule_id, rule)

    assert response.status_code == 400
    assert response.json is not None
    assert error in [tuple(fault[key] for key in FAULT_KEYS) for fault in response.json["errors"]]


def test_the_error_for_an_invalid_set_names_every_fault_with_its_rule(client: FlaskClient) -> None:
    rules = ({"id": "x"} | PIN, {"id": "x"} | BLOCK, {"id": "y"} | PIN | {"articles": []})

    problem = refused(put_all(client, *rules, If_Match=read(client).headers["ETag"]), 400, "bad-body")

    assert [error["name"] for error in problem["errors"]] == ["rule 2: id", "rule 'y': articles"]


@pytest.mark.parametrize("body", [{}, {"rules": 3}, {"rules": [], "file_rules": []}])
def test_a_set_contains_only_rules(client: FlaskClient, body: object) -> None:
    response = client.put(
        "/v1/rules", json=body, headers=HEADERS | {"If-Match": read(client).headers["ETag"]}
    )

    refused(response, 400, "bad-body")


def test_a_request_without_json_or_with_parameters_is_refused(client: FlaskClient) -> None:
    form = client.put("/v1/rules/x", data="kind=pin", headers=HEADERS)
    broken = client.put("/v1/rules/x", data="{", headers=HEADERS, content_type="application/json")
    with_parameter = client.get("/v1/rules?all=1", headers=HEADERS)

    refused(form, 415, "unsupported-type")
    refused(broken, 400, "bad-body")
    refused(with_parameter, 400, "bad-parameter")


def test_without_a_database_rules_can_be_neither_read_nor_changed(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> Any:
        raise StoreDownError("the database is busy")

    for name in ("rules", "put_rule", "changes"):
        monkeypatch.setattr(store, name, down)

    for response in (read(client), put(client)):
        refused(response, 503, "store-down")
        assert response.headers["Retry-After"]
    assert listed(client)
