"""The rules over HTTP: read and changed by whoever has a key, and by nobody over another's head."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Response, request

from recommender.serving.http.auth import Access
from recommender.serving.http.bodies import json_object
from recommender.serving.http.parameters import Parameters, read_query
from recommender.serving.http.problems import Fault, Problem, bad_body, bad_parameter, store_down
from recommender.serving.http.responses import etag_of, to_bytes
from recommender.serving.rules.schema import Rule, RuleFault, RulesError, read_rule, read_set, to_json
from recommender.serving.store import RuleSet, StaleError, StoreDownError
from recommender.serving.worker.context import Context

_TRIES = 20  # of a change to one rule, while others change other rules
_CHANGED = "the rules have changed since they were read; read them again"


class RuleRoutes:
    """The calls of the rules; all need a key with the scope `rules`, for reasons are private.

    Rules of the file are shown, and can be changed there alone.
    """

    def __init__(self, context: Context, access: Access) -> None:
        self._context, self._access = context, access

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/v1/rules", endpoint="rules", view_func=self.every)
        app.add_url_rule("/v1/rules", endpoint="put_rules", view_func=self.replace, methods=["PUT"])
        one = "/v1/rules/<rule_id>"
        app.add_url_rule(one, endpoint="rule", view_func=self.one)
        app.add_url_rule(one, endpoint="put_rule", view_func=self.put, methods=["PUT"])
        app.add_url_rule(one, endpoint="delete_rule", view_func=self.delete, methods=["DELETE"])

    def every(self) -> Response:
        """Answer all rules, with the ETag that replacing those of the database needs."""
        self._begin()
        stored = self._stored()
        return _answer(self._told(stored), stored.etag)

    def one(self, rule_id: str) -> Response:
        """Answer one rule of the database, or else of the file."""
        self._begin()
        text = dict(self._of_file()) | dict(self._stored().rules)
        if rule_id not in text:
            fault = Fault("path", "rule_id", rule_id, "the id of a rule")
            raise Problem("unknown-rule", f"no rule has the id {rule_id[:100]!r}", (fault,))
        return _answer(json.loads(text[rule_id]), _etag(text[rule_id]))

    def replace(self) -> Response:
        """Put these rules in place of all that the database holds, if they are still those of the ETag."""
        self._begin()
        rules = self._read_set(json_object("rules", self._context.settings.max_body_bytes))
        if not request.if_match or request.if_match.star_tag:
            fault = Fault("header", "If-Match", request.headers.get("If-Match"), "the ETag of GET /v1/rules")
            raise Problem("match-missing", "this replaces all rules; say which you have read", (fault,))
        before = self._stored()
        self._check_match(before.etag)
        pairs = [(rule.id, to_json(rule)) for rule in rules]
        stored = self._write(lambda: self._context.store.replace_rules(pairs, before.etag))
        return _answer(self._told(stored), stored.etag)

    def put(self, rule_id: str) -> Response:
        """Put one rule, new or instead of that of the same id."""
        self._begin()
        self._check_not_of_file([rule_id])
        rule = self._read(rule_id, json_object("a rule", self._context.settings.max_body_bytes))
        text = to_json(rule)
        is_new, _ = self._change(rule_id, lambda match: self._context.store.put_rule(rule_id, text, match))
        return _answer(rule.as_json(), _etag(text), 201 if is_new else 200)

    def delete(self, rule_id: str) -> Response:
        """Delete one rule of the database, if it is there."""
        self._begin()
        if rule_id not in dict(self._stored().rules):  # one that the file holds, too, may go
            self._check_not_of_file([rule_id])
        self._change(rule_id, lambda match: self._context.store.delete_rule(rule_id, match))
        return Response(status=204)

    def _begin(self) -> None:
        self._access.require("rules")
        read_query(Parameters, request.environ.get("QUERY_STRING", ""))

    def _of_file(self) -> list[tuple[str, str]]:
        return [(rule.id, to_json(rule)) for rule in self._context.follower.file_rules()]

    def _told(self, stored: RuleSet) -> dict[str, Any]:
        in_file = [json.loads(text) for _, text in self._of_file()]
        return {"rules": [json.loads(text) for _, text in stored.rules], "file_rules": in_file}

    def _read(self, rule_id: str, given: dict[str, Any]) -> Rule:
        if given.get("id", rule_id) != rule_id:
            raise bad_body([Fault("body", "id", str(given["id"]), "the id of the address, or none")])
        try:
            return read_rule(given | {"id": rule_id}, "the rule")
        except RulesError as error:
            in_path = [fault for fault in error.faults if fault.field == "id"]
            if in_path:
                raise bad_parameter([Fault("path", "rule_id", rule_id, in_path[0].allowed)]) from None
            raise bad_body([_fault(fault) for fault in error.faults]) from None

    def _read_set(self, given: dict[str, Any]) -> tuple[Rule, ...]:
        if set(given) != {"rules"} or not isinstance(given["rules"], list):
            raise bad_body([Fault("body", ", ".join(given) or "rules", None, "rules alone: a list of rules")])
        try:
            rules = read_set(given["rules"])
        except RulesError as error:
            raise bad_body([_fault(fault, fault.rule) for fault in error.faults]) from None
        self._check_not_of_file([rule.id for rule in rules])
        return rules

    def _check_not_of_file(self, rule_ids: list[str]) -> None:
        in_file = {rule_id for rule_id, _ in self._of_file()}
        for rule_id in rule_ids:
            if rule_id in in_file:
                told = f"the rule {rule_id} is in the file of rules, and can be changed there alone"
                raise Problem("rule-of-file", told)

    def _stored(self) -> RuleSet:
        try:
            return self._context.store.rules()
        except StoreDownError as error:
            raise store_down(str(error)) from None

    def _write(self, write: Callable[[], Any]) -> Any:
        """Return what a write returns, once this worker acts by it."""
        try:
            done = write()
        except StaleError:
            raise Problem("changed-meanwhile", _CHANGED) from None
        except StoreDownError as error:
            raise store_down(str(error)) from None
        self._context.follower.refresh()
        return done

    def _change(self, rule_id: str, change: Callable[[str | None], Any]) -> Any:
        """Change one rule, where the request has conditions only if they hold at that very moment."""
        if not request.if_match and not request.if_none_match:
            return self._write(lambda: change(None))
        for _ in range(_TRIES):
            before = self._stored()
            text = dict(before.rules).get(rule_id)
            if request.if_match:
                self._check_match(before.etag, None if text is None else _etag(text))
            if text is not None and request.if_none_match.contains(_etag(text)):
                raise Problem("changed-meanwhile", f"there is a rule {rule_id} already")
            try:
                return self._write(partial(change, before.etag))
            except Problem as problem:
                if problem.kind != "changed-meanwhile":
                    raise
        raise Problem("changed-meanwhile", _CHANGED)

    def _check_match(self, *etags: str | None) -> None:
        """Raise Problem where If-Match names none of these ETags; None is one of what is not there."""
        if request.if_match.star_tag and etags[-1] is not None:
            return
        if not any(etag is not None and request.if_match.contains(etag) for etag in etags):
            fault = Fault(
                "header", "If-Match", request.headers.get("If-Match"), "the ETag of what is there now"
            )
            raise Problem("changed-meanwhile", _CHANGED, (fault,))


def _fault(fault: RuleFault, rule: str = "") -> Fault:
    return Fault("body", f"{rule}: {fault.field}" if rule else fault.field, fault.value, fault.allowed)


def _etag(text: str) -> str:
    return etag_of(text.encode())


def _answer(answer: dict[str, Any], etag: str, status: int = 200) -> Response:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    response = Response(to_bytes(answer), status, headers, content_type="application/json")
    response.set_etag(etag)
    if request.method == "GET":
        response.make_conditional(request.environ)
    return response
