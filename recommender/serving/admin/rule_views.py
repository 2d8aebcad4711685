"""Editorial rules as the pages show them: in words, by state, with the titles of their articles."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from recommender.article import Article
from recommender.serving.lists.related import Related
from recommender.serving.rules.explain import (
    ExplainedArticle,
    RuleEffect,
    State,
    is_about,
    rule_effects,
    state_of,
)
from recommender.serving.rules.schema import Boost, Cap, Pin, Rule, Sensitive
from recommender.serving.worker.follower import WorkerState

STATES: tuple[State, ...] = ("active", "scheduled", "expired")
_SHOWN_ARTICLES = 3


@dataclass(frozen=True, slots=True)
class NamedArticle:
    """An article that a rule names. Without a title, it is unknown, or may not be shown."""

    id: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule in words."""

    id: str
    kind: str
    effect: str  # what it does
    place: str  # in which lists
    articles: tuple[NamedArticle, ...]  # the first ones
    more: int  # further articles
    reason: str
    author: str
    begins: datetime | None
    until: datetime | None
    is_stored: bool  # in the database; otherwise it can be changed only in the rules file


def rules_by_state(state: WorkerState, now: datetime) -> dict[State, list[tuple[Rule, bool]]]:
    """Return all rules, and whether they are in the database, by state.

    Active rules are sorted by their end, future ones by their beginning, those that end last at the top of
    the expired ones.
    """
    groups: dict[State, list[tuple[Rule, bool]]] = {name: [] for name in STATES}
    for source, rule in _with_sources(state):
        groups[state_of(rule, now)].append((rule, source == "database"))
    groups["active"].sort(key=lambda pair: (pair[0].until is None, pair[0].until or now))
    groups["scheduled"].sort(key=lambda pair: pair[0].begins or now)
    groups["expired"].sort(key=lambda pair: pair[0].until or now, reverse=True)
    return groups


def rule_views(rules: Iterable[tuple[Rule, bool]], related: Related, now: datetime) -> list[RuleView]:
    """Return rules in words; `rules` are pairs of a rule and whether it is in the database."""
    return [_view(rule, related, now, is_stored=is_stored) for rule, is_stored in rules]


def effects_on(article: Article, state: WorkerState, now: datetime) -> list[RuleEffect]:
    """Return what rules do to an article in the lists of others: the active rules first."""
    explained = ExplainedArticle(article.id, article.categories, article.authors)
    about = [
        (source, rule)
        for source, rule in _with_sources(state)
        if isinstance(rule, Cap) or is_about(rule, explained)
    ]
    return [effect for effect in rule_effects(about, explained, now) if effect.part == "candidate"]


def kinds_by_article(rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """Return the kinds of the rules that name each article, by its id."""
    kinds_of: dict[str, tuple[str, ...]] = {}
    for rule in rules:
        for article_id in () if isinstance(rule, Cap) else rule.articles or ():
            kinds = kinds_of.get(article_id, ())
            kinds_of[article_id] = kinds if rule.kind in kinds else (*kinds, rule.kind)
    return kinds_of


def _with_sources(state: WorkerState) -> Iterator[tuple[str, Rule]]:
    """Yield all rules, each with whether it is in the "file" or the "database"."""
    for number, rule in enumerate(state.rules.rules):  # those of the file come first
        yield "database" if number >= len(state.file_rules) else "file", rule


def _view(rule: Rule, related: Related, now: datetime, *, is_stored: bool) -> RuleView:
    ids = () if isinstance(rule, Cap) else rule.articles or ()
    return RuleView(
        id=rule.id,
        kind=rule.kind,
        effect=_effect(rule),
        place=_place(rule),
        articles=tuple(NamedArticle(each, _title(each, related, now)) for each in ids[:_SHOWN_ARTICLES]),
        more=max(0, len(ids) - _SHOWN_ARTICLES),
        reason=rule.reason,
        author=rule.author,
        begins=rule.begins,
        until=rule.until,
        is_stored=is_stored,
    )


def _effect(rule: Rule) -> str:
    if isinstance(rule, Cap):
        return f"at most {rule.at_most} articles per {'section' if rule.per == 'category' else 'author'}"
    factor = f"score \u00d7 {rule.factor:g}: " if isinstance(rule, Boost) else ""
    if isinstance(rule, Pin) or rule.articles is not None:
        return factor
    what = f"section {rule.in_category}" if rule.in_category is not None else f"by {rule.by_author}"
    return f"{factor}{what}"


def _place(rule: Rule) -> str:
    if isinstance(rule, Boost | Cap | Sensitive):
        return "all lists"
    if rule.for_article is not None:
        return f"the list of {rule.for_article}"
    return "all lists" if rule.for_category is None else f"lists in {rule.for_category}"


def _title(article_id: str, related: Related, now: datetime) -> str:
    """Return the title of an article that is published and not withdrawn; hidden ones are shown, too."""
    row = related.find(article_id, now)
    return "" if row is None else related.articles.titles[row]
