"""A record of the articles and rules of a newsroom, which counts slowly what each answer may contain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from recommender.article import Article
from recommender.serving.http.parameters import Filters
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import Rules
from recommender.serving.rules.schema import Block, Cap, Pin, Rule, Sensitive
from recommender.text import is_same_language

MAX_ARTICLES = 50  # in a newsroom, and in a list
Parameters = Mapping[str, Any]  # of a call
NO_PARAMETERS: Parameters = {}


@dataclass
class Record:
    """The latest state of every article, the withdrawn ids, and the rules."""

    articles: dict[str, Article]
    withdrawn: set[str] = field(default_factory=set)
    rules: list[Rule] = field(default_factory=list)

    def related(
        self,
        snapshot: Snapshot,
        source: Article,
        parameters: Parameters,
        now: datetime,
        as_of: datetime,
        trending: Sequence[int],
    ) -> int:
        """Count the articles that may be in the list of an article. Under caps this depends on its order."""
        group = Groups(snapshot)
        excluded_ids = (source.id, *parameters.get("exclude", ()))
        excluded = {group[article_id] for article_id in excluded_ids if article_id in group}
        candidates = [
            article for article in self._not_blocked(source, now) if group[article.id] not in excluded
        ]
        any_lang = {"lang": "any"} | dict(parameters)
        pins: dict[int, Article] = {}
        for article_id in self._pinned(source):
            for article in candidates:
                if article.id == article_id and passes(article, source, any_lang, as_of):
                    pins.setdefault(group[article.id], article)
        others = group.newest(article for article in candidates if passes(article, source, parameters, as_of))
        others = [article for article in others if group[article.id] not in pins]
        if parameters.get("fallback") == "none":
            scores = similar(snapshot, source.id)
            least = parameters.get("min_similarity", 0)
            others = [article for article in others if scores.get(article.id, -1) >= least]
        if not any(isinstance(rule, Cap) for rule in self.rules):
            return len(pins) + len(others)
        in_order = self._in_order(snapshot, source, parameters, now, trending)
        assert sorted(in_order) == sorted(article.id for article in (*pins.values(), *others))
        others.sort(key=lambda article: in_order.index(article.id))
        return len(pins) + len(under_caps([*pins.values()], others, self.rules))

    def trending(
        self, snapshot: Snapshot, parameters: Parameters, now: datetime, without: Iterable[str] = ()
    ) -> int:
        """Count the articles that may be in the trending list, less some articles and their copies."""
        group = Groups(snapshot)
        excluded = {group[article_id] for article_id in without}
        categories = parameters.get("category", ())
        shown = [
            article
            for article in self._shown(now, categories)
            if in_any(article, categories) and not is_excluded(article, parameters)
        ]
        return len({group[article.id] for article in shown} - excluded)

    def around(
        self,
        snapshot: Snapshot,
        source: Article,
        without: Iterable[str],
        now: datetime,
        parameters: Parameters = NO_PARAMETERS,
    ) -> int:
        """Count the articles that may trend on the page of an article, less those in its list."""
        group = Groups(snapshot)
        excluded = {group[article_id] for article_id in (source.id, *without)}
        shown = [
            article for article in self._not_blocked(source, now) if not is_excluded(article, parameters)
        ]
        return len({group[article.id] for article in shown} - excluded)

    def search(self, snapshot: Snapshot, parameters: Parameters, now: datetime) -> int:
        """Count the matches of a search in texts whose every word is a term, if the model has it."""
        group, categories = Groups(snapshot), parameters.get("category", ())
        terms = snapshot.vocabulary.terms
        *whole_words, prefix = parameters["q"].split()

        def missing(article: Article) -> int:
            known = {word for word in article.body.split() if terms.find(word) is not None}
            words = {*article.title.split(), *known}
            has_prefix = any(word.startswith(prefix) for word in words)
            return len([word for word in whole_words if word not in words]) + (not has_prefix)

        shown = self._shown(now)
        with_any = [article for article in shown if missing(article) <= len(whole_words)]
        least = min(map(missing, with_any), default=0)
        blocked = {article.id for article in shown} - {article.id for article in self._shown(now, categories)}
        lang = parameters.get("lang", "any")
        matches = [
            article
            for article in with_any
            if missing(article) == least
            and article.id not in blocked
            and in_any(article, categories)
            and not is_excluded(article, parameters)
            and lang in {"any", article.lang}
        ]
        return len({group[article.id] for article in matches})

    def is_excluded(self, article_id: str, parameters: Parameters) -> bool:
        """Return whether the article with this id is in a category that a call excludes."""
        return is_excluded(self.articles[article_id], parameters)

    def public(self, now: datetime) -> list[Article]:
        """Return the articles that may be requested."""
        return [
            article
            for article in self.articles.values()
            if article.id not in self.withdrawn
            and (article.published_at is None or article.published_at <= now)
        ]

    def _shown(self, now: datetime, categories: Sequence[str] = ()) -> list[Article]:
        """Return the articles that may be in answers about some categories."""
        source = Article(id="-", title="-", categories=tuple(categories))
        return self._not_blocked(source, now)

    def _not_blocked(self, source: Article, now: datetime) -> list[Article]:
        """Return the public articles that no rule keeps out of the list of an article."""
        rules = [
            rule
            for rule in self.rules
            if isinstance(rule, Sensitive) or (isinstance(rule, Block) and is_for(rule, source))
        ]
        return [article for article in self.public(now) if not any(is_about(rule, article) for rule in rules)]

    def _pinned(self, source: Article) -> list[str]:
        pins = [rule for rule in self.rules if isinstance(rule, Pin) and is_for(rule, source)]
        pins.sort(key=lambda pin: (not pin.for_article, not pin.for_category))
        return [article_id for pin in pins for article_id in pin.articles if article_id != source.id]

    def _in_order(
        self,
        snapshot: Snapshot,
        source: Article,
        parameters: Parameters,
        now: datetime,
        trending: Sequence[int],
    ) -> list[str]:
        """Return the ids of the whole list of an article without caps, in its order."""
        rules = Rules(tuple(rule for rule in self.rules if not isinstance(rule, Cap)))
        query = replace(Filters(**parameters).query(), limit=MAX_ARTICLES)
        listed = Related(snapshot, rules.active(now)).of(source.id, query, now, trending=trending)
        assert listed.eligible <= MAX_ARTICLES
        return [snapshot.articles.ids[item.row] for item in listed.items]


class Groups:
    """The groups of near-duplicates."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __contains__(self, article_id: str) -> bool:
        return self._snapshot.articles.find(article_id) is not None

    def __getitem__(self, article_id: str) -> int:
        row = self._snapshot.articles.find(article_id)
        assert row is not None
        return int(self._snapshot.copies.first[row])

    def newest(self, articles: Iterable[Article]) -> list[Article]:
        """Return the newest article of each group."""
        newest: dict[int, Article] = {}
        for article in sorted(articles, key=newest_first):
            newest.setdefault(self[article.id], article)
        return list(newest.values())


def similar(snapshot: Snapshot, article_id: str) -> dict[str, float]:
    """Return the ids of the articles similar to an article, and their scores, by scoring all articles."""
    row = snapshot.articles.find(article_id)
    assert row is not None
    n, shown = len(snapshot.model.articles), snapshot.articles.shown
    scores = snapshot.scores(snapshot.query_of(row))[:n].tolist()
    above = snapshot.manifest.similar_above
    score_of = {other: score for other, score in enumerate(scores) if score > above}
    live, live_scores = snapshot.live_similar(row)
    score_of |= zip(live.tolist(), live_scores.tolist(), strict=True)
    return {snapshot.articles.ids[other]: score for other, score in score_of.items() if shown[other]}


def under_caps(pins: Sequence[Article], articles: Sequence[Article], rules: Iterable[Rule]) -> list[Article]:
    """Return the articles that a list contains after its pins, by counting the list again for each."""
    caps = [rule for rule in rules if isinstance(rule, Cap)]
    listed = list(pins)
    for article in articles:
        if all(
            name is None or [capped_name(cap, other) for other in listed].count(name) < cap.at_most
            for cap in caps
            for name in [capped_name(cap, article)]
        ):
            listed.append(article)
    return listed[len(pins) :]


def capped_name(cap: Cap, article: Article) -> str | None:
    """Return the category or author that a cap counts an article by; None without one."""
    return article.category if cap.per == "category" else next(iter(article.authors), None)


def is_for(rule: Pin | Block, source: Article) -> bool:
    """Return whether a rule is for the list of an article."""
    if rule.for_article or rule.for_category:
        return rule.for_article == source.id or slug(rule.for_category or "") in names(source)
    return True


def is_about(rule: Block | Sensitive, article: Article) -> bool:
    """Return whether a rule names an article, its category or its author."""
    if rule.by_author is not None:
        return rule.by_author.lower() in {name.lower() for name in article.authors}
    if rule.in_category is not None:
        return slug(rule.in_category) in names(article)
    return article.id in (rule.articles or ())


def names(article: Article) -> set[str]:
    """Return the slugs of the categories of an article."""
    return {slug(name) for name in (*article.categories, article.category or "") if name}


def slug(name: str) -> str:
    """Return the slug of a category."""
    return name.lower().replace(" & ", "-")


def in_any(article: Article, categories: Sequence[str]) -> bool:
    """Return whether an article is in any of these categories; without categories, every article is."""
    return not categories or bool(names(article) & {slug(name) for name in categories})


def is_excluded(article: Article, parameters: Parameters) -> bool:
    """Return whether an article is in one of the categories that a call excludes."""
    excluded = parameters.get("exclude_category", ())
    return bool(excluded) and in_any(article, excluded)


def passes(article: Article, source: Article, parameters: Parameters, as_of: datetime) -> bool:
    """Return whether an article passes the filters of the list of another."""
    lang, date = parameters.get("lang", source.lang), article.published_at
    limits = [
        in_any(article, parameters.get("category", ())),
        not is_excluded(article, parameters),
        lang in {None, "any"} or (article.lang is not None and is_same_language(article.lang, lang)),
    ]
    if "max_age_days" in parameters:
        limits.append(date is not None and as_of - date <= timedelta(days=parameters["max_age_days"]))
    if "published_before" in parameters:
        limits.append(date is not None and date < parameters["published_before"])
    if "published_after" in parameters:
        limits.append(date is not None and date > parameters["published_after"])
    own = source.published_at
    if parameters.get("mode") == "background":
        limits.append(date is not None and own is not None and date < own)
    if parameters.get("mode") == "follow_up":
        limits.append(date is not None and own is not None and date > own)
    return all(limits)


def newest_first(article: Article) -> tuple[bool, float, bytes]:
    """Return a key that sorts articles from the newest to the oldest; undated ones come last."""
    date = article.published_at
    return date is None, 0 if date is None else -date.timestamp(), article.id.encode()
