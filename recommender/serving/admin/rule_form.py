"""The form for a rule about one article: what it offers, and the rule that it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from recommender.serving.http.problems import Fault, bad_body
from recommender.serving.worker.consistent_view import ConsistentView

WEAKER = 0.5  # the factor of the boost that the form offers
DAYS = (("", "without end"), ("1", "for 1 day"), ("7", "for 1 week"), ("30", "for 30 days"))
_ACTIONS = ("weaken", "block", "block-section")


@dataclass(frozen=True, slots=True)
class RuleForm:
    """The values of the form. `rule_id` is made with the form, so that sending it twice adds one rule."""

    rule_id: str
    reason: str
    author: str
    action: str = _ACTIONS[0]
    days: str = ""
    has_copies: bool = True  # the rule is also about near-duplicates


def suggestion(author: str) -> RuleForm:
    """Return the form for a new rule."""
    return RuleForm(f"admin-{token_hex(8)}", "appears in too many lists", author)


def submitted(form: Mapping[str, str]) -> RuleForm:
    """Return the form as it was sent."""
    names = ("rule_id", "reason", "author", "action", "days")
    values = {name: form.get(name, "").strip() for name in names}
    return RuleForm(**values, has_copies="copies" in form)


def rule_values(form: RuleForm, view: ConsistentView, row: int) -> dict[str, Any]:
    """Return the rule that a form means, about the article in this row, as JSON. Raises Problem."""
    articles = view.related.articles
    rows = [row, *(view.related.snapshot.copies.of(row) if form.has_copies else ())]
    ids = list(dict.fromkeys(articles.ids[each] for each in rows))
    values: dict[str, Any] = {"articles": ids, "reason": form.reason, "author": form.author}
    category = articles.category[row]
    if form.action == "weaken":
        values |= {"kind": "boost", "factor": WEAKER}
    elif form.action == "block":
        values |= {"kind": "block"}
    elif form.action == "block-section" and category:
        values |= {"kind": "block", "for_category": category}
    else:
        raise bad_body([Fault("body", "action", form.action, ", ".join(_ACTIONS))])
    if form.days not in {days for days, _ in DAYS}:
        raise bad_body([Fault("body", "days", form.days, ", ".join(days for days, _ in DAYS if days))])
    if form.days:
        values["until"] = _iso(view.now + timedelta(days=int(form.days)))
    return values


def _iso(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat()
