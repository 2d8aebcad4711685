"""Editorial rules: read and changed with a key, without overwriting the changes of others."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Response, request

from recommender.serving.http.auth import Access
from recommender.serving.http.problems import Fault, Problem, bad_body, bad_parameter, store_down
from recommender.serving.http.requests import json_object, refuse_parameters
from recommender.serving.http.responses import etag_of, to_bytes
from recommender.serving.rules.schema import Rule, RuleFault, RulesError, read_rule, read_set, to_json
from recommender.serving.store import RuleSet, StaleError, StoreDownError
from recommender.serving.worker.context import Context

_TRIES = 20  # to change one rule while other rules change
_CHANGED = "the rules changed since you read them; read them again"


class RuleRoutes:
    """The routes of rules; all need a key with the scope `rules`, because the reasons are private.

    Rules in the rules file are shown, and can be changed only there.
    """

    def __init__(self, context: Context, access: Access) -> None:
        self._context, self._access = context, access

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/rules", endpoint="rules", view_func=self.rules)
        app.add_url_rule("/v1/rules", endpoint="put_rules", view_func=self.replace, methods=["PUT"])
        path = "/v1/rules/<rule_id>"
        app.add_url_rule(path, endpoint="rule", view_func=self.rule)
        app.add_url_rule(path, endpoint="put_rule", view_func=self.put, methods=["PUT"])
        app.add_url_rule(path, endpoint="delete_rule", view_func=self.delete, methods=["DELETE"])

    def rules(self) -> Response:
        """Respond with all rules, and the ETag that is needed to replace those in the database."""
        self._authorize()
        stored = self._stored()
        return _response(self._rules_json(stored), stored.etag)

    def rule(self, rule_id: str) -> Response:
        """Respond with one rule from the database or else from the rules file."""
        self._authorize()
        text = dict(self._file_rules()) | dict(self._stored().rules)
        if rule_id not in text:
            fault = Fault("path", "rule_id", rule_id, "the id of a rule")
            raise Problem("unknown-rule", f"no rule has the id {rule_id[:100]!r}", (fault,))
        return _response(json.loads(text[rule_id]), _etag(text[rule_id]))

    def replace(self) -> Response:
        """Replace all rules in the database, if they have not changed since the ETag."""
        self._authorize()
        rules = self._read_set(json_object("rules", self._context.settings.max_body_bytes))
        if not request.if_match or request.if_match.star_tag:
            fault = Fault("header", "If-Match", request.headers.get("If-Match"), "the ETag of GET /v1/rules")
            raise Problem(
                "match-missing", "this replaces all rules; send the ETag of the rules that you read", (fault,)
            )
        before = self._stored()
        self._check_match(before.etag)
        pairs = [(rule.id, to_json(rule)) for rule in rules]
        stored = self._write(lambda: self._context.store.replace_rules(pairs, before.etag))
        return _response(self._rules_json(stored), stored.etag)

    def put(self, rule_id: str) -> Response:
        """Add one rule, or replace the rule with the same id."""
        self._authorize()
        values = json_object("a rule", self._context.settings.max_body_bytes)
        rule, is_new = self.save(rule_id, values)
        return _response(rule.as_json(), _etag(to_json(rule)), 201 if is_new else 200)

    def delete(self, rule_id: str) -> Response:
        """Delete one rule from the database, if it exists."""
        self._authorize()
        self.remove(rule_id)
        return Response(status=204)

    def save(self, rule_id: str, values: dict[str, Any]) -> tuple[Rule, bool]:
        """Add or replace a rule for a caller who may do so; return it, and whether it is new.

        Raises Problem for invalid values, and for a rule in the rules file.
        """
        self._check_not_in_file([rule_id])
        rule = self._read(rule_id, values)
        text = to_json(rule)
        is_new, _ = self._change(rule_id, lambda match: self._context.store.put_rule(rule_id, text, match))
        return rule, is_new

    def remove(self, rule_id: str) -> None:
        """Delete a rule from the database, if it exists, for a caller who may do so. Raises Problem."""
        if rule_id not in dict(self._stored().rules):  # a rule with the same id in the file does not matter
            self._check_not_in_file([rule_id])
        self._change(rule_id, lambda match: self._context.store.delete_rule(rule_id, match))

    def _authorize(self) -> None:
        self._access.require_key("rules")
        refuse_parameters()

    def _file_rules(self) -> list[tuple[str, str]]:
        return [(rule.id, to_json(rule)) for rule in self._context.follower.file_rules()]

    def _rules_json(self, stored: RuleSet) -> dict[str, Any]:
        in_file = [json.loads(text) for _, text in self._file_rules()]
        return {"rules": [json.loads(text) for _, text in stored.rules], "file_rules": in_file}

    def _read(self, rule_id: str, values: dict[str, Any]) -> Rule:
        if values.get("id", rule_id) != rule_id:
            raise bad_body([Fault("body", "id", str(values["id"]), "the id in the URL, or no id")])
        try:
            return read_rule(values | {"id": rule_id}, "the rule")
        except RulesError as error:
            in_path = [fault for fault in error.faults if fault.field == "id"]
            if in_path:
                raise bad_parameter([Fault("path", "rule_id", rule_id, in_path[0].allowed)]) from None
            raise bad_body([_fault(fault) for fault in error.faults]) from None

    def _read_set(self, values: dict[str, Any]) -> tuple[Rule, ...]:
        if set(values) != {"rules"} or not isinstance(values["rules"], list):
            raise bad_body(
                [Fault("body", ", ".join(values) or "rules", None, "only `rules`, a list of rules")]
            )
        try:
            rules = read_set(values["rules"])
        except RulesError as error:
            raise bad_body([_fault(fault, fault.rule) for fault in error.faults]) from None
        self._check_not_in_file([rule.id for rule in rules])
        return rules

    def _check_not_in_file(self, rule_ids: list[str]) -> None:
        in_file = {rule_id for rule_id, _ in self._file_rules()}
        for rule_id in rule_ids:
            if rule_id in in_file:
                detail = f"the rule {rule_id} is in the rules file and can be changed only there"
                raise Problem("rule-of-file", detail)

    def _stored(self) -> RuleSet:
        try:
            return self._context.store.rules()
        except StoreDownError as error:
            raise store_down(str(error)) from None

    def _write(self, write: Callable[[], Any]) -> Any:
        """Return the result of a write, once this worker applies it."""
        try:
            outcome = write()
        except StaleError:
            raise Problem("changed-meanwhile", _CHANGED) from None
        except StoreDownError as error:
            raise store_down(str(error)) from None
        self._context.follower.refresh()
        return outcome

    def _change(self, rule_id: str, change: Callable[[str | None], Any]) -> Any:
        """Change one rule; if the request has conditions, only while they are true."""
        if not request.if_match and not request.if_none_match:
            return self._write(lambda: change(None))
        for _ in range(_TRIES):
            before = self._stored()
            text = dict(before.rules).get(rule_id)
            if request.if_match:
                self._check_match(before.etag, None if text is None else _etag(text))
            if text is not None and request.if_none_match.contains(_etag(text)):
                raise Problem("changed-meanwhile", f"the rule {rule_id} already exists")
            try:
                return self._write(partial(change, before.etag))
            except Problem as problem:
                if problem.kind != "changed-meanwhile":
                    raise
        raise Problem("changed-meanwhile", _CHANGED)

    def _check_match(self, *etags: str | None) -> None:
        """Raise Problem if If-Match has none of these ETags; None is the ETag of a missing rule."""
        if request.if_match.star_tag and etags[-1] is not None:
            return
        if not any(etag is not None and request.if_match.contains(etag) for etag in etags):
            fault = Fault("header", "If-Match", request.headers.get("If-Match"), "the current ETag")
            raise Problem("changed-meanwhile", _CHANGED, (fault,))


def _fault(fault: RuleFault, rule: str = "") -> Fault:
    return Fault("body", f"{rule}: {fault.field}" if rule else fault.field, fault.value, fault.allowed)


def _etag(text: str) -> str:
    return etag_of(text.encode())


def _response(content: dict[str, Any], etag: str, status: int = 200) -> Response:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    response = Response(to_bytes(content), status, headers, content_type="application/json")
    response.set_etag(etag)
    if request.method == "GET":
        response.make_conditional(request.environ)
    return response
