"""The effects of the rules on one article, in words: in the lists of others, and in its own list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from recommender.serving.index.categories import key, keys
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, Sensitive, TargetRule

State = Literal["active", "expired", "scheduled"]
Part = Literal["candidate", "own list"]

_SHOWN_IDS = 5  # of a rule with many articles


@dataclass(frozen=True, slots=True)
class ExplainedArticle:
    """The article to explain. An unknown article has only an id."""

    id: str
    categories: tuple[str, ...] = ()  # the primary category first
    authors: tuple[str, ...] = ()  # in the order of the byline


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """The effect of one rule on the article, now, in the past or in the future."""

    rule: Rule
    source: str  # "file" or "database"
    state: State
    part: Part
    effect: str


def rule_effects(
    sourced_rules: Iterable[tuple[str, Rule]], article: ExplainedArticle, now: datetime
) -> list[RuleEffect]:
    """Return the effects of all rules on the article: active rules first, then future ones, then past ones.

    `sourced_rules` are pairs of the source's name and the rule.
    """
    sourced_rules = tuple(sourced_rules)
    active = Rules(tuple(rule for _, rule in sourced_rules)).active(now)
    effects = [
        RuleEffect(rule, source, state_of(rule, now), part, effect)
        for source, rule in sourced_rules
        for part, effect in _effects(rule, article, active if rule.is_active(now) else ActiveRules())
    ]
    states: list[State] = ["active", "scheduled", "expired"]
    return sorted(effects, key=lambda effect: states.index(effect.state))


def state_of(rule: Rule, now: datetime) -> State:
    """Return whether a rule is active at a moment, was active before, or will be."""
    if rule.is_active(now):
        return "active"
    return "expired" if rule.until is not None and rule.until <= now else "scheduled"


def _effects(rule: Rule, article: ExplainedArticle, active: ActiveRules) -> Iterator[tuple[Part, str]]:
    if isinstance(rule, Pin | Block | Sensitive) and is_about(rule, article):
        yield "candidate", _as_candidate(rule, article, active)
    if isinstance(rule, Pin | Block) and _is_for(rule, article):
        yield from _in_own_list(rule, article, active)
    if isinstance(rule, Boost):
        if is_about(rule, article):
            yield "candidate", f"its score is multiplied by {rule.factor:g}"
        yield "own list", f"scores of {_target(rule)} are multiplied by {rule.factor:g}"
    if isinstance(rule, Cap):
        names = article.authors if rule.per == "author" else article.categories
        for name in names[:1]:
            yield "candidate", f"at most {rule.at_most} of {name} in a list"
        yield "own list", f"at most {rule.at_most} of one {rule.per}"


def _as_candidate(rule: Pin | Block | Sensitive, article: ExplainedArticle, active: ActiveRules) -> str:
    if isinstance(rule, Sensitive):
        return "excluded from all lists"
    if isinstance(rule, Block):
        everywhere = rule.for_article is None and rule.for_category is None
        return "shown only in responses for its own id" if everywhere else f"excluded from {_lists(rule)}"
    pinned = f"pin {1 + rule.articles.index(article.id)} of {len(rule.articles)} in {_lists(rule)}"
    categories = () if rule.for_category is None else (rule.for_category,)
    blocks = (*active.hiding, *active.blocks(rule.for_article, categories))
    is_blocked = any(is_about(block, article) for block in blocks)
    return f"{pinned}, but a block takes precedence" if is_blocked else pinned


def _in_own_list(
    rule: Pin | Block, article: ExplainedArticle, active: ActiveRules
) -> Iterator[tuple[Part, str]]:
    others = [article_id for article_id in rule.articles or () if article_id != article.id]
    if isinstance(rule, Block):
        if (others or rule.articles is None) and (
            rule.for_article is not None or rule.for_category is not None
        ):
            yield "own list", f"excludes {_ids(others) if others else _target(rule)}"
        return
    blocked = active.hidden | active.blocked(article.id, article.categories)
    if pinned := [article_id for article_id in others if article_id not in blocked]:
        # Only the ids of the pins are known, not their categories and authors.
        blocks = (*active.hiding, *active.blocks(article.id, article.categories))
        targets = dict.fromkeys(_target(block) for block in blocks if block.articles is None)
        exceptions = f", except {' and '.join(targets)}" if targets else ""
        yield "own list", f"pins {_ids(pinned)}{exceptions}"
    if overruled := [article_id for article_id in others if article_id in blocked]:
        yield "own list", f"would pin {_ids(overruled)}, but a block takes precedence"


def _is_for(rule: Pin | Block, article: ExplainedArticle) -> bool:
    if rule.for_article is not None:
        return rule.for_article == article.id
    if rule.for_category is None:
        return True
    return any(key(rule.for_category) in keys(category) for category in article.categories)


def is_about(rule: Pin | TargetRule, article: ExplainedArticle) -> bool:
    """Return whether an article is one of the articles that a rule pins, blocks, hides or boosts."""
    if isinstance(rule, Pin) or rule.articles is not None:
        return article.id in (rule.articles or ())
    if rule.in_category is not None:
        return any(key(rule.in_category) in keys(category) for category in article.categories)
    return key(rule.by_author or "") in map(key, article.authors)


def _lists(rule: Pin | Block) -> str:
    if rule.for_article is not None:
        return f"the list of {rule.for_article}"
    return "every list" if rule.for_category is None else f"the lists of {rule.for_category}"


def _target(rule: TargetRule) -> str:
    if rule.articles is not None:
        return _ids(rule.articles)
    return f"articles in {rule.in_category}" if rule.in_category else f"articles by {rule.by_author}"


def _ids(article_ids: Iterable[str]) -> str:
    ids = list(article_ids)
    rest = len(ids) - _SHOWN_IDS
    return ", ".join(ids[:_SHOWN_IDS]) + (f" and {rest} more" if rest > 0 else "")
