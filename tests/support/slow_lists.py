"""Related lists as slow and obvious code computes them, to compare the fast ones with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import prod
from typing import Any

from recommender.article import Article
from recommender.model import Model
from recommender.recipe import Recipe
from recommender.serving.lists.query import ListQuery
from recommender.serving.rules.schema import Block, Boost, Pin, Rule, Sensitive
from recommender.text import is_same_language
from tests.support.newsroom import NOW
from tests.support.record import under_caps

_NOWHERE = Article(id="-", title="-")
Expected = list[tuple[str, str]]  # the id and the source of every item
Scores = dict[str, Any]  # by article id; float32 as in the model, so that comparisons are equal


def slow_list(
    model: Model, articles: Sequence[Article], source: Article, query: ListQuery, rules: Sequence[Rule] = ()
) -> tuple[Expected, int]:
    """Return the list of an article under rules, and the number of eligible articles."""
    model_scores = model.scores(model.query_of(model.articles.ids.index(source.id)))
    scores = {article.id: model_scores[row] for row, article in enumerate(articles)}
    group_of = {article.id: int(model.copies.first[row]) for row, article in enumerate(articles)}
    excluded = {group_of[article_id] for article_id in (source.id, *query.exclude) if article_id in group_of}
    blocked = _blocked(rules, source, articles)
    candidates = [
        article for article in articles if group_of[article.id] not in excluded and article.id not in blocked
    ]
    pins: dict[int, Article] = {}
    for pinned in _pinned(rules, source):
        for article in candidates:
            if article.id == pinned and passes(article, replace(source, lang=None), query):
                pins.setdefault(group_of[article.id], article)
    passing = [
        article
        for article in candidates
        if group_of[article.id] not in pins and passes(article, source, query)
    ]
    newest = {group_of[article.id]: article for article in sorted(passing, key=newest_first, reverse=True)}
    eligible = sorted(newest.values(), key=newest_first)
    in_order = [
        (article, "similar") for article in _similar(model, eligible, articles, scores, source, query, rules)
    ]
    if query.fallback == "auto":
        in_order += _fallback(model, eligible, articles, scores, source)
    source_of = {article.id: (article, name) for article, name in reversed(in_order)}
    distinct = [source_of[article_id] for article_id in dict.fromkeys(article.id for article, _ in in_order)]
    admitted = under_caps([*pins.values()], [article for article, _ in distinct], rules)
    items = [(pin.id, "pin") for pin in pins.values()]
    items += [(article.id, source_of[article.id][1]) for article in admitted]
    return items[: query.limit], len(items)


def _similar(
    model: Model,
    eligible: list[Article],
    articles: Sequence[Article],
    scores: Scores,
    source: Article,
    query: ListQuery,
    rules: Sequence[Rule],
) -> list[Article]:
    """Return the similar articles in the order of the list."""
    least = query.min_similarity or 0
    similar = [
        article
        for article in eligible
        if scores[article.id] > model.manifest.similar_above and scores[article.id] >= least
    ]
    hidden = _blocked(rules, _NOWHERE, articles)
    shown = [article for article in articles if article.id not in hidden]
    fresh = _fresh(scores, shown, source, query) | dict.fromkeys(hidden, 0.0)
    final = {article.id: fresh[article.id] * _boost(article, rules) for article in articles}
    similar.sort(key=lambda article: (-final[article.id], article.id.encode()))
    return _diverse(model, similar, final, query)


def _fallback(
    model: Model, eligible: list[Article], articles: Sequence[Article], scores: Scores, source: Article
) -> list[tuple[Article, str]]:
    """Return the articles of the same category, the neighbours first, then all articles by date."""
    others = sorted(
        (article for article in articles if article.id != source.id),
        key=lambda article: (-scores[article.id], article.id.encode()),
    )
    k = model.neighbors.rows.shape[1]
    neighbors = [article for article in others[:k] if article in eligible]
    same = [
        article
        for article in neighbors + eligible
        if source.category and source.category in {article.category, *article.categories}
    ]
    return [(article, "same_category") for article in same] + [(article, "recent") for article in eligible]


def _fresh(scores: Scores, articles: Sequence[Article], source: Article, query: ListQuery) -> Scores:
    own, hour = source.published_at, NOW.replace(minute=0, second=0)
    reference = own if own and hour - own >= timedelta(days=14) else hour
    ages = {
        article.id: abs(article.published_at - reference) / timedelta(days=1)
        for article in articles
        if article.published_at
    }
    median = sorted(ages.values())[(len(ages) - 1) // 2]
    f, half_life = query.freshness, Recipe().freshness.half_life_days
    return {
        article.id: float(scores[article.id]) * (1 - f + f * 2 ** (-ages.get(article.id, median) / half_life))
        for article in articles
    }


def _diverse(model: Model, ranked: list[Article], scores: Scores, query: ListQuery) -> list[Article]:
    placed: list[Article] = []
    left = list(ranked)
    while left:
        worths = [
            (1 - query.diversity) * scores[article.id]
            - query.diversity * max((_similarity(model, article, other) for other in placed), default=0)
            for article in left
        ]
        placed.append(left.pop(worths.index(max(worths))))
    return placed


def _similarity(model: Model, a: Article, b: Article) -> float:
    first, second = (model.vectors.of(model.articles.ids.index(article.id)) for article in (a, b))
    weights = dict(zip(first.columns.tolist(), first.values.tolist(), strict=True))
    terms = zip(second.columns.tolist(), second.values.tolist(), strict=True)
    cosine = sum(weights.get(column, 0.0) * value for column, value in terms)
    latent = sum(x * y for x, y in zip(first.latent.tolist(), second.latent.tolist(), strict=True))
    return float(max(0.0, (1 - model.latent_weight) * cosine + model.latent_weight * latent))


def newest_first(article: Article) -> tuple[bool, float, bytes]:
    """Return a key that sorts articles from the newest to the oldest; undated ones come last."""
    date = article.published_at
    return date is None, 0 if date is None else -date.timestamp(), article.id.encode()


def passes(article: Article, source: Article, query: ListQuery) -> bool:
    """Return whether an article is public and passes the filters of the list of another."""
    slugs = {name.lower().replace(" & ", "-") for name in (*article.categories, article.category or "")}
    lang = query.lang or source.lang
    date = article.published_at
    hour = NOW.replace(minute=0, second=0)
    return all(
        (
            date is None or date <= NOW,
            not query.categories or slugs & {name.lower() for name in query.categories},
            not slugs & {name.lower().replace(" & ", "-") for name in query.exclude_categories},
            article.id not in query.exclude,
            lang in {None, "any"} or (article.lang is not None and is_same_language(article.lang, str(lang))),
            query.max_age_days is None or (date and hour - date <= timedelta(days=query.max_age_days)),
            query.published_before is None or (date and date < query.published_before),
            query.published_after is None or (date and date > query.published_after),
            query.mode != "background" or (date and source.published_at and date < source.published_at),
            query.mode != "follow_up" or (date and source.published_at and date > source.published_at),
        )
    )


def _names(article: Article) -> set[str]:
    names = {*article.categories, article.category or ""} - {""}
    return {form for name in names for form in (name.lower(), name.lower().replace(" & ", "-"))}


def _is_for(rule: Pin | Block, source: Article) -> bool:
    if rule.for_article or rule.for_category:
        return rule.for_article == source.id or (rule.for_category or "").lower() in _names(source)
    return True


def _blocked(rules: Sequence[Rule], source: Article, articles: Sequence[Article]) -> set[str]:
    """Return the ids of the articles that rules keep out of the list of an article."""
    return {
        article.id
        for rule in rules
        if isinstance(rule, Sensitive) or (isinstance(rule, Block) and _is_for(rule, source))
        for article in articles
        if _is_about(article, rule)
    }


def _pinned(rules: Sequence[Rule], source: Article) -> list[str]:
    pins = [rule for rule in rules if isinstance(rule, Pin) and _is_for(rule, source)]
    pins.sort(key=lambda pin: (not pin.for_article, not pin.for_category))
    return [article_id for pin in pins for article_id in pin.articles]


def _boost(article: Article, rules: Sequence[Rule]) -> float:
    boosts = [rule for rule in rules if isinstance(rule, Boost)]
    return min(10.0, max(0.1, prod(boost.factor for boost in boosts if _is_about(article, boost))))


def _is_about(article: Article, rule: Boost | Block | Sensitive) -> bool:
    if rule.by_author:
        return rule.by_author.lower() in {name.lower() for name in article.authors}
    return article.id in (rule.articles or ()) or (rule.in_category or "").lower() in _names(article)
