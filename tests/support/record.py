"""What a newsroom holds, and slowly counted, how many articles each answer may show."""

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

MAX_ARTICLES = 50  # of a newsroom, and of a list
Given = Mapping[str, Any]  # the parameters of a call


@dataclass
class Record:
    """The articles as they were last put or trained on, what was withdrawn, and the rules."""

    articles: dict[str, Article]
    withdrawn: set[str] = field(default_factory=set)
    rules: list[Rule] = field(default_factory=list)

    def related(
        self,
        snapshot: Snapshot,
        source: Article,
        given: Given,
        now: datetime,
        as_of: datetime,
        trending: Sequence[int],
    ) -> int:
        """Count what may stand in the list of an article; under caps this depends on its order."""
        group = Groups(snapshot)
        gone = {group[each] for each in (source.id, *given.get("exclude", ())) if each in group}
        free = [each for each in self._free(source, now) if group[each.id] not in gone]
        pinned: dict[int, Article] = {}
        for article_id in self._pinned(source):
            for each in free:
                if each.id == article_id and passes(each, source, {"lang": "any"} | dict(given), as_of):
                    pinned.setdefault(group[each.id], each)
        others = group.newest(each for each in free if passes(each, source, given, as_of))
        others = [each for each in others if group[each.id] not in pinned]
        if given.get("fallback") == "none":
            near = similar(snapshot, source.id)
            least = given.get("min_similarity", 0)
            others = [each for each in others if near.get(each.id, -1) >= least]
        if not any(isinstance(rule, Cap) for rule in self.rules):
            return len(pinned) + len(others)
        in_order = self._in_order(snapshot, source, given, now, trending)
        pins = [*pinned.values()]
        assert sorted(in_order) == sorted(each.id for each in (*pins, *others))
        others.sort(key=lambda each: in_order.index(each.id))
        return len(pins) + len(under_caps(pins, others, self.rules))

    def trending(self, snapshot: Snapshot, given: Given, now: datetime, without: Iterable[str] = ()) -> int:
        """Count what may stand in the list of what trends, less some articles and their copies."""
        group = Groups(snapshot)
        gone = {group[each] for each in without}
        categories = given.get("category", ())
        free = [each for each in self._shown(now, categories) if in_any(each, categories)]
        return len({group[each.id] for each in free} - gone)

    def around(self, snapshot: Snapshot, source: Article, without: Iterable[str], now: datetime) -> int:
        """Count what may trend beside an article, less what stands in its list."""
        group = Groups(snapshot)
        gone = {group[each] for each in (source.id, *without)}
        return len({group[each.id] for each in self._free(source, now)} - gone)

    def search(self, snapshot: Snapshot, given: Given, now: datetime) -> int:
        """Count what a search finds in texts whose every word is a term, if the model knows it."""
        group, categories = Groups(snapshot), given.get("category", ())
        terms = snapshot.vocabulary.terms
        *whole, begun = given["q"].split()

        def lacks(article: Article) -> int:
            known = {word for word in article.body.split() if terms.find(word) is not None}
            held = {*article.title.split(), *known}
            return len([one for one in whole if one not in held]) + (
                not any(one.startswith(begun) for one in held)
            )

        hold = [each for each in self._shown(now) if lacks(each) <= len(whole)]
        least = min(map(lacks, hold), default=0)
        blocked = {each.id for each in self._shown(now)} - {each.id for each in self._shown(now, categories)}
        found = [each for each in hold if lacks(each) == least and each.id not in blocked]
        lang = given.get("lang", "any")
        return len(
            {group[each.id] for each in found if in_any(each, categories) and lang in {"any", each.lang}}
        )

    def public(self, now: datetime) -> list[Article]:
        """Return what may be asked for."""
        return [
            each
            for each in self.articles.values()
            if each.id not in self.withdrawn and (each.published_at is None or each.published_at <= now)
        ]

    def _shown(self, now: datetime, categories: Sequence[str] = ()) -> list[Article]:
        """Return what may stand in the answers about some sections."""
        place = Article(id="-", title="-", categories=tuple(categories))
        return self._free(place, now)

    def _free(self, source: Article, now: datetime) -> list[Article]:
        blocked = {
            each
            for rule in self.rules
            if isinstance(rule, Sensitive) or (isinstance(rule, Block) and is_for(rule, source))
            for each in rule.articles
        }
        return [each for each in self.public(now) if each.id not in blocked]

    def _pinned(self, source: Article) -> list[str]:
        pins = [rule for rule in self.rules if isinstance(rule, Pin) and is_for(rule, source)]
        pins.sort(key=lambda pin: (not pin.for_article, not pin.for_category))
        return [each for pin in pins for each in pin.articles if each != source.id]

    def _in_order(
        self, snapshot: Snapshot, source: Article, given: Given, now: datetime, trending: Sequence[int]
    ) -> list[str]:
        """Return the ids of the whole list of an article without caps, in its order."""
        rules = Rules(tuple(rule for rule in self.rules if not isinstance(rule, Cap)))
        query = replace(Filters(**given).query(), limit=MAX_ARTICLES)
        listed = Related(snapshot, rules.active(now)).of(source.id, query, now, trending=trending)
        assert listed.eligible <= MAX_ARTICLES
        return [snapshot.articles.ids[item.row] for item in listed.items]


class Groups:
    """Which articles are copies of one another."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __contains__(self, article_id: str) -> bool:
        return self._snapshot.articles.find(article_id) is not None

    def __getitem__(self, article_id: str) -> int:
        row = self._snapshot.articles.find(article_id)
        assert row is not None
        return int(self._snapshot.copies.first[row])

    def newest(self, articles: Iterable[Article]) -> list[Article]:
        """Return of each group of copies the newest."""
        found: dict[int, Article] = {}
        for each in sorted(articles, key=newest_first):
            found.setdefault(self[each.id], each)
        return list(found.values())


def similar(snapshot: Snapshot, article_id: str) -> dict[str, float]:
    """Return what is similar to an article, and how much, by the scores of all there is."""
    row = snapshot.articles.find(article_id)
    assert row is not None
    n, shown = len(snapshot.model.articles), snapshot.articles.shown
    scores = snapshot.scores(snapshot.query_of(row))[:n].tolist()
    near = {each: score for each, score in enumerate(scores) if score > snapshot.manifest.similar_above}
    live, live_scores = snapshot.live_similar(row)
    near |= zip(live.tolist(), live_scores.tolist(), strict=True)
    return {snapshot.articles.ids[each]: score for each, score in near.items() if shown[each]}


def under_caps(pins: Sequence[Article], articles: Sequence[Article], rules: Iterable[Rule]) -> list[Article]:
    """Return the articles that a list contains after its pins, which are counted again for every article."""
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
    """Return the name by which a cap counts an article; None: it does not count it."""
    return article.category if cap.per == "category" else next(iter(article.authors), None)


def is_for(rule: Pin | Block, source: Article) -> bool:
    """Tell whether a rule acts in the list of an article."""
    if rule.for_article or rule.for_category:
        return rule.for_article == source.id or slug(rule.for_category or "") in names(source)
    return True


def names(article: Article) -> set[str]:
    """Return what the sections of an article answer to."""
    return {slug(name) for name in (*article.categories, article.category or "") if name}


def slug(name: str) -> str:
    """Return the name of a section as addresses have it."""
    return name.lower().replace(" & ", "-")


def in_any(article: Article, categories: Sequence[str]) -> bool:
    """Tell whether an article is in any of these sections; no sections are all."""
    return not categories or bool(names(article) & {slug(each) for each in categories})


def passes(article: Article, source: Article, given: Given, as_of: datetime) -> bool:
    """Tell whether an article passes the filters of the list of another."""
    lang, date = given.get("lang", source.lang), article.published_at
    limits = [
        in_any(article, given.get("category", ())),
        not given.get("exclude_category") or not in_any(article, given["exclude_category"]),
        lang in {None, "any", article.lang},
    ]
    if "max_age_days" in given:
        limits.append(date is not None and as_of - date <= timedelta(days=given["max_age_days"]))
    if "published_before" in given:
        limits.append(date is not None and date < given["published_before"])
    if "published_after" in given:
        limits.append(date is not None and date > given["published_after"])
    own = source.published_at
    if given.get("mode") == "background":
        limits.append(date is not None and own is not None and date < own)
    if given.get("mode") == "follow_up":
        limits.append(date is not None and own is not None and date > own)
    return all(limits)


def newest_first(article: Article) -> tuple[bool, float, bytes]:
    """Return a key that sorts articles as they stand in time."""
    date = article.published_at
    return date is None, 0 if date is None else -date.timestamp(), article.id.encode()
