"""What the rules do with one article, told to people: as a candidate of lists, and in its own list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from recommender.serving.index.categories import key, keys
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, Sensitive

Standing = Literal["acts", "over", "to come"]
Part = Literal["candidate", "own list"]

_SHOWN_IDS = 5  # of a rule that names many


@dataclass(frozen=True, slots=True)
class ExplainedArticle:
    """The article that is asked about; of one that nobody knows only the id."""

    id: str
    categories: tuple[str, ...] = ()  # the primary one first
    authors: tuple[str, ...] = ()  # the first one, too


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """What one rule does with the article, would do, or did."""

    rule: Rule
    source: str  # where the rule stands
    state: Standing
    part: Part
    effect: str


def rule_effects(
    written: Iterable[tuple[str, Rule]], subject: ExplainedArticle, now: datetime
) -> list[RuleEffect]:
    """Return what each rule does with the article: first those that act, then those to come, then those over.

    `written` are all rules, each with the name of its source.
    """
    written = tuple(written)
    active = Rules(tuple(rule for _, rule in written)).active(now)
    found = [
        RuleEffect(rule, source, _state(rule, now), part, effect)
        for source, rule in written
        for part, effect in _effects(rule, subject, active if rule.acts(now) else ActiveRules())
    ]
    order: list[Standing] = ["acts", "to come", "over"]
    return sorted(found, key=lambda ruling: order.index(ruling.state))


def _state(rule: Rule, now: datetime) -> Standing:
    if rule.acts(now):
        return "acts"
    return "over" if rule.until is not None and rule.until <= now else "to come"


def _effects(rule: Rule, subject: ExplainedArticle, active: ActiveRules) -> Iterator[tuple[Part, str]]:
    if isinstance(rule, Pin | Block | Sensitive) and subject.id in rule.articles:
        yield "candidate", _as_named(rule, subject.id, active)
    if isinstance(rule, Pin | Block) and _is_in(rule, subject):
        yield from _in_own_list(rule, subject, active)
    if isinstance(rule, Boost):
        if _is_boosted(rule, subject):
            yield "candidate", f"its score counts {rule.factor:g} times"
        yield "own list", f"scores count {rule.factor:g} times of {_target(rule)}"
    if isinstance(rule, Cap):
        for own in (subject.authors if rule.per == "author" else subject.categories)[:1]:
            yield "candidate", f"at most {rule.at_most} of {own} in a list"
        yield "own list", f"at most {rule.at_most} of one {rule.per}"


def _as_named(rule: Pin | Block | Sensitive, article_id: str, active: ActiveRules) -> str:
    if isinstance(rule, Sensitive):
        return "kept out of all lists"
    if isinstance(rule, Block):
        everywhere = rule.for_article is None and rule.for_section is None
        return "kept out of every answer but its own" if everywhere else f"kept out of {_place(rule)}"
    pinned = f"pin {1 + rule.articles.index(article_id)} of {len(rule.articles)} in {_place(rule)}"
    categories = () if rule.for_section is None else (rule.for_section,)
    wins = article_id in active.hidden | active.blocked(rule.for_article, categories)
    return f"{pinned}; but it is blocked, and a block wins" if wins else pinned


def _in_own_list(
    rule: Pin | Block, subject: ExplainedArticle, active: ActiveRules
) -> Iterator[tuple[Part, str]]:
    others = [each for each in rule.articles if each != subject.id]
    if isinstance(rule, Block):
        if others and (rule.for_article is not None or rule.for_section is not None):
            yield "own list", f"keeps out {_ids(others)}"
        return
    blocked = active.hidden | active.blocked(subject.id, subject.categories)
    if stand := [each for each in others if each not in blocked]:
        yield "own list", f"puts first {_ids(stand)}"
    if lost := [each for each in others if each in blocked]:
        yield "own list", f"would put first {_ids(lost)}; but a block wins"


def _is_in(rule: Pin | Block, subject: ExplainedArticle) -> bool:
    if rule.for_article is not None:
        return rule.for_article == subject.id
    if rule.for_section is None:
        return True
    return any(key(rule.for_section) in keys(category) for category in subject.categories)


def _is_boosted(rule: Boost, subject: ExplainedArticle) -> bool:
    if rule.articles is not None:
        return subject.id in rule.articles
    if rule.in_section is not None:
        return any(key(rule.in_section) in keys(category) for category in subject.categories)
    return key(rule.by_author or "") in map(key, subject.authors)


def _place(rule: Pin | Block) -> str:
    if rule.for_article is not None:
        return f"the list of {rule.for_article}"
    return "every list" if rule.for_section is None else f"the lists of {rule.for_section}"


def _target(rule: Boost) -> str:
    if rule.articles is not None:
        return _ids(rule.articles)
    return f"articles in {rule.in_section}" if rule.in_section else f"articles by {rule.by_author}"


def _ids(articles: Iterable[str]) -> str:
    named = list(articles)
    rest = len(named) - _SHOWN_IDS
    return ", ".join(named[:_SHOWN_IDS]) + (f" and {rest} more" if rest > 0 else "")
