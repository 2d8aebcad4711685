"""Build responses as JSON, and record what each of them depends on."""

import json
import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from recommender.model import Manifest, from_microseconds
from recommender.serving.lists.explain import Explanation
from recommender.serving.lists.highlights import Highlights
from recommender.serving.lists.query import Item, RelatedList, SearchResults
from recommender.serving.lists.related import Related

RankOf = Callable[[int], int | None]  # the trending rank of a row, from 1; None: it has no rank

SCORE_DECIMALS = 7  # of a score; more would be noise
PART_DECIMALS = 9  # of a part of a score: twenty rounding errors must not show in the sum
# In a list. A string cannot contain an unescaped quotation mark, so the first match is not in one.
_COUNTS = re.compile(rb'"as_of":"[^"]*"(,.*?,"eligible":)\d+')
_SOURCES_BY_TREND = frozenset({"trending", "recent"})  # which of the two depends on what is trending
_SOURCES_BY_CONTENT = frozenset({"pin", "similar", "same_category"})


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The model behind the responses, whether it is stale, and which parts of the service are degraded."""

    manifest: Manifest
    stale: bool = False
    degraded: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, manifest: Manifest, now: datetime, stale_after_hours: float, degraded: tuple[str, ...] = ()
    ) -> "ModelStatus":
        """Return the status of a model at `now`; it is stale once it is older than `stale_after_hours`."""
        stale = (now - manifest.trained_at).total_seconds() > 3600 * stale_after_hours
        return cls(manifest, stale, degraded)

    def as_json(self) -> dict[str, Any]:
        """Return the `model` of a response."""
        trained_at = iso(self.manifest.trained_at)
        return {"version": self.manifest.version, "trained_at": trained_at, "stale": self.stale}


@dataclass(slots=True)
class Dependencies:
    """What a response depends on, recorded while it is built."""

    # Articles in the response, their near-duplicates, and articles that rules pin as soon as they are public.
    shown_ids: set[str] = field(default_factory=set)
    subject_ids: set[str] = field(default_factory=set)  # articles whose list, page or facts it contains
    on_trends: bool = False  # the source of an item depends on which articles trend
    on_new_articles: bool = True  # any newly published article may change it
    on_scores: bool = False  # articles were scored for it that are not among the known neighbours
    undated_factor: float | None = None  # see `ListDependencies`; of the last list in it
    keys: set[str] = field(default_factory=set)  # surrogate keys of other responses that it contains


def to_bytes(response: Any) -> bytes:
    """Return JSON as compact UTF-8."""
    return json.dumps(response, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def renewed_list(body: bytes, as_of: datetime, eligible: int) -> bytes:
    """Return the JSON of a list with another `as_of` and another number of eligible articles."""
    return _COUNTS.sub(rb'"as_of":"%b"\g<1>%d' % ((iso(as_of) or "").encode(), eligible), body, count=1)


def etag_of(body: bytes) -> str:
    """Return the strong ETag of a response: a hash of its bytes."""
    return blake2b(body, digest_size=16).hexdigest()


def iso(moment: datetime | None) -> str | None:
    """Return a UTC moment as ISO 8601 with `Z`; fractions of a second only where there are any."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


class ResponseBuilder:
    """Builds the JSON of one response from one consistent view of the data.

    `dependencies` records the articles that the response shows and what else may change it.
    """

    def __init__(self, related: Related, now: datetime, model_status: ModelStatus) -> None:
        self._related, self._now, self._model_status = related, now, model_status
        self.dependencies = Dependencies()
        self._fields_of: dict[
            int, dict[str, Any]
        ] = {}  # of the rows shown so far; several lists may show one

    def nested_list(self, related_list: RelatedList, rank_of: RankOf | None = None) -> dict[str, Any]:
        """Return a list that is a part of the response; with `rank_of`, each item has its trending rank."""
        status = self._model_status
        self.dependencies.shown_ids |= related_list.depends_on.pinned_ids
        self.dependencies.on_scores |= related_list.depends_on.is_scored
        self.dependencies.undated_factor = related_list.depends_on.undated_factor
        return {
            "article_id": self.subject(related_list.article_id),
            "as_of": iso(related_list.as_of),
            "model": status.as_json(),
            "degraded": list(status.degraded),
            "requested": related_list.requested,
            "eligible": related_list.eligible,
            "returned": len(related_list.items),
            "items": [self.item(item, related_list, rank_of) for item in related_list.items],
        }

    def whole_list(self, related_list: RelatedList, rank_of: RankOf | None = None) -> dict[str, Any]:
        """Return a list that is the whole response.

        If it is full of pinned articles, similar ones and neighbours of the same category, a new article
        changes it only by being similar, too.
        """
        sources, depends_on = {item.source for item in related_list.items}, related_list.depends_on
        is_full = len(related_list.items) == related_list.requested and sources <= _SOURCES_BY_CONTENT
        self.dependencies.on_new_articles = not is_full or depends_on.on_newest or depends_on.is_diverse
        return self.nested_list(related_list, rank_of)

    def search_results(self, results: SearchResults, *, with_snippets: bool) -> dict[str, Any]:
        """Return the list of a search, with the words marked that it found."""
        response, highlights = self.whole_list(results), Highlights(self._related.snapshot, results.words)
        for item, fields in zip(results.items, response["items"], strict=True):
            fields["highlight"] = {
                "title_html": highlights.title(item.row).html,
                "snippet_html": highlights.snippet(item.row).html if with_snippets else None,
            }
        return response | {"corrected_query": results.corrected_query}

    def item(self, item: Item, related_list: RelatedList, rank_of: RankOf | None = None) -> dict[str, Any]:
        """Return one item of a list."""
        if item.source in _SOURCES_BY_TREND:
            self.dependencies.on_trends = True
        response = self._card(item.row, related_list.as_of, without=related_list.blocked) | {
            "score": None if item.score is None else round(item.score, SCORE_DECIMALS),
            "source": item.source,
            "trending_rank": None if rank_of is None else rank_of(item.row),
        }
        return response | {"why": _explanation_json(item.why)} if related_list.explained else response

    def card(self, row: int, *, without: Container[int] = ()) -> dict[str, Any]:
        """Return an article as an item without score, source and rank. `without`: see `_card`."""
        return self._card(row, self._now, without=without)

    def cards(self, rows: Iterable[int], *, without: Container[int] = ()) -> list[dict[str, Any]]:
        """Return several articles as `card` does."""
        return [self.card(row, without=without) for row in rows]

    def facts(self, row: int) -> dict[str, Any]:
        """Return all fields of an article except its body."""
        articles = self._related.articles
        self.subject(articles.ids[row])
        return self.card(row) | {
            "tags": articles.tags[row],
            "authors": articles.authors[row],
            "type": articles.types[row],
            "updated_at": iso(from_microseconds(int(articles.updated[row]))),
        }

    def article(self, row: int) -> dict[str, Any]:
        """Return the fields of an article, its topics, and the articles published before and after it."""
        older, newer = self._related.timeline.older_and_newer(row, self._now)
        self.dependencies.on_new_articles = False
        return self.facts(row) | {
            "topics": self.topic_shares(row),
            "previous": None if older is None else self.card(older),
            "next": None if newer is None else self.card(newer),
        }

    def topic_shares(self, row: int) -> list[dict[str, Any]]:
        """Return the topics of an article, largest share first."""
        shares = self._related.model.topics_of(self._related.snapshot.vectors.of(row).latent)
        return [{"slug": topic.slug, "name": topic.name, "share": round(share, 4)} for topic, share in shares]

    def subject(self, article_id: str | None) -> str | None:
        """Record that the response contains the list, page, rank or facts of this article; returns the id."""
        if article_id is not None:
            self.dependencies.subject_ids.add(article_id)
        return article_id

    def _card(self, row: int, now: datetime, *, without: Container[int] = ()) -> dict[str, Any]:
        """Return an article with every key; absent values are null. `without`: rows not to name as copies."""
        articles = self._related.articles
        copies = [articles.ids[copy] for copy in self._related.copies(row, now) if copy not in without]
        fields = self._fields(row)
        self.dependencies.shown_ids.update([fields["id"], *copies])
        return fields | {"also_published_as": copies or None}

    def _fields(self, row: int) -> dict[str, Any]:
        """Return the fields that are the same wherever the response shows the article; do not change them."""
        fields = self._fields_of.get(row)
        if fields is None:
            articles = self._related.articles
            fields = self._fields_of[row] = {
                "id": articles.ids[row],
                "title": articles.titles[row],
                "url": articles.urls[row] or None,
                "category": articles.category[row],
                "categories": articles.categories[row],
                "published_at": iso(from_microseconds(int(articles.published[row]))),
                "image_url": articles.image_urls[row] or None,
                "reading_minutes": int(articles.minutes[row]),
                "lang": articles.langs[row],
                "score": None,
                "source": None,
                "trending_rank": None,
            }
        return fields


def _explanation_json(explanation: Explanation | None) -> dict[str, Any] | None:
    """Return the parts of a score; the rounded parts add up to the rounded score within 1e-6."""
    if explanation is None:
        return None
    return {
        "terms": [{"term": term, "contribution": _part(part)} for term, part in explanation.terms],
        "other_terms": _part(explanation.other_terms),
        "topics": [
            {"slug": topic.slug, "name": topic.name, "contribution": _part(part)}
            for topic, part in explanation.topics
        ],
        "other_topics": _part(explanation.other_topics),
        "feedback": _part(explanation.feedback),
        "expansion": _part(explanation.expansion),
        "hub": _part(explanation.hub),
        "freshness": _part(explanation.freshness),
        "boost": _part(explanation.boost),
    }


def _part(value: float) -> float:
    return round(value, PART_DECIMALS) + 0.0  # no -0.0
