"""Build responses as JSON, and record what each of them depends on.

Most of a response consists of articles, and most of an article is the same in all responses. That part is
rendered once per article and joined (`Rendered`), which takes a tenth of the time of encoding it again.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from json.encoder import encode_basestring as _quoted
from typing import Any

from recommender.manifest import Manifest
from recommender.model import from_microseconds
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
_NO_PLACE = b'"score":null,"source":null,"trending_rank":null'
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
    sources: Counter[str] = field(default_factory=Counter)  # of the items in its lists, for metrics
    keys: set[str] = field(default_factory=set)  # surrogate keys of other responses that it contains


@dataclass(frozen=True, slots=True)
class Rendered:
    """A part of a response that is JSON already."""

    utf8: bytes


def to_bytes(response: Any) -> bytes:
    """Return JSON as compact UTF-8.

    Objects and lists, also lists directly in an object, may contain parts that are `Rendered`.
    """
    if isinstance(response, Rendered):
        return response.utf8
    if isinstance(response, dict):
        return b"{%b}" % _members(response)
    if isinstance(response, list) and _contains_rendered(response):
        return b"[%b]" % b",".join(map(to_bytes, response))
    return _encoded(response).encode(errors="replace")


def rendered(response: Any) -> Rendered:
    """Return JSON as a part of a response; it may contain such parts as in `to_bytes`."""
    return Rendered(to_bytes(response))


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

    def nested_list(
        self,
        related_list: RelatedList,
        rank_of: RankOf | None = None,
        changes: Mapping[str, Any] | None = None,
        more_of: Callable[[Item], Mapping[str, Any]] | None = None,
    ) -> Rendered:
        """Return a list that is a part of the response; with `rank_of`, each item has its trending rank.

        `changes` replace fields of the list, or follow them. What `more_of` returns follows each item's
        fields.
        """
        status = self._model_status
        self.dependencies.shown_ids |= related_list.depends_on.pinned_ids
        self.dependencies.on_scores |= related_list.depends_on.is_scored
        self.dependencies.undated_factor = related_list.depends_on.undated_factor
        fields = {
            "article_id": self.subject(related_list.article_id),
            "as_of": iso(related_list.as_of),
            "model": status.as_json(),
            "degraded": list(status.degraded),
            "requested": related_list.requested,
            "eligible": related_list.eligible,
            "returned": len(related_list.items),
        }
        changes = changes or {}
        before = {**fields, **{name: value for name, value in changes.items() if name in fields}}
        after = {name: value for name, value in changes.items() if name not in fields}
        items = b",".join(
            self.item(item, related_list, rank_of, more_of(item) if more_of else None).utf8
            for item in related_list.items
        )
        return Rendered(
            b'{%b,"items":[%b]%b}' % (_members(before), items, b"," + _members(after) if after else b"")
        )

    def whole_list(
        self,
        related_list: RelatedList,
        rank_of: RankOf | None = None,
        changes: Mapping[str, Any] | None = None,
        more_of: Callable[[Item], Mapping[str, Any]] | None = None,
    ) -> Rendered:
        """Return a list that is the whole response; the arguments are those of `nested_list`.

        If it is full of pinned articles, similar ones and neighbours of the same category, a new article
        changes it only by being similar, too.
        """
        sources, depends_on = {item.source for item in related_list.items}, related_list.depends_on
        is_full = len(related_list.items) == related_list.requested and sources <= _SOURCES_BY_CONTENT
        self.dependencies.on_new_articles = not is_full or depends_on.on_newest or depends_on.is_diverse
        return self.nested_list(related_list, rank_of, changes, more_of)

    def search_results(self, results: SearchResults, *, with_snippets: bool) -> Rendered:
        """Return the list of a search, with the words marked that it found."""
        highlights = Highlights(self._related.snapshot, results.words)

        def highlight_of(item: Item) -> dict[str, Any]:
            snippet = highlights.snippet(item.row).html if with_snippets else None
            return {"highlight": {"title_html": highlights.title(item.row).html, "snippet_html": snippet}}

        changes = {"corrected_query": results.corrected_query}
        return self.whole_list(results, changes=changes, more_of=highlight_of)

    def item(
        self,
        item: Item,
        related_list: RelatedList,
        rank_of: RankOf | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Rendered:
        """Return one item of a list; `more` follows its fields."""
        self.dependencies.sources[item.source] += 1
        if item.source in _SOURCES_BY_TREND:
            self.dependencies.on_trends = True
        score = b"null" if item.score is None else repr(round(item.score, SCORE_DECIMALS)).encode()
        rank = None if rank_of is None else rank_of(item.row)
        return self._card(
            item.row,
            related_list.as_of,
            without=related_list.blocked,
            place=b'"score":%b,"source":"%b","trending_rank":%b'
            % (score, item.source.encode(), b"null" if rank is None else b"%d" % rank),
            more={"why": _explanation_json(item.why)} | dict(more or {}) if related_list.explained else more,
        )

    def card(self, row: int, *, without: Container[int] = ()) -> Rendered:
        """Return an article as an item without score, source and rank. `without`: see `_card`."""
        return self._card(row, self._now, without=without)

    def cards(self, rows: Iterable[int], *, without: Container[int] = ()) -> list[Rendered]:
        """Return several articles as `card` does."""
        return [self.card(row, without=without) for row in rows]

    def facts(self, row: int, more: Mapping[str, Any] | None = None) -> Rendered:
        """Return all fields of an article except its body; `more` follows them."""
        articles = self._related.articles
        self.subject(articles.ids[row])
        facts = {
            "tags": articles.tags[row],
            "authors": articles.authors[row],
            "type": articles.types[row],
            "updated_at": iso(from_microseconds(int(articles.updated[row]))),
        }
        return self._card(row, self._now, more={**facts, **(more or {})})

    def article(self, row: int) -> Rendered:
        """Return the fields of an article, its topics, and the articles published before and after it."""
        older, newer = self._related.timeline.older_and_newer(row, self._now)
        self.dependencies.on_new_articles = False
        around = {
            "topics": self.topic_shares(row),
            "previous": None if older is None else self.card(older),
            "next": None if newer is None else self.card(newer),
        }
        return self.facts(row, around)

    def topic_shares(self, row: int) -> list[dict[str, Any]]:
        """Return the topics of an article, largest share first."""
        shares = self._related.model.topics_of(self._related.snapshot.vectors.of(row).latent)
        return [{"slug": topic.slug, "name": topic.name, "share": round(share, 4)} for topic, share in shares]

    def subject(self, article_id: str | None) -> str | None:
        """Record that the response contains the list, page, rank or facts of this article; returns the id."""
        if article_id is not None:
            self.dependencies.subject_ids.add(article_id)
        return article_id

    def _card(
        self,
        row: int,
        now: datetime,
        *,
        without: Container[int] = (),
        place: bytes = _NO_PLACE,
        more: Mapping[str, Any] | None = None,
    ) -> Rendered:
        """Return an article with every key; absent values are null.

        `without` are rows not to name as copies, `place` is its place in a list, and `more` follows.
        """
        ids = self._related.articles.ids
        copies = [ids[copy] for copy in self._related.copies(row, now) if copy not in without]
        article_id, fields = self._related.snapshot.rendered.of(row, self._fields)
        self.dependencies.shown_ids.add(article_id)
        self.dependencies.shown_ids.update(copies)
        others = b"null" if not copies else to_bytes(copies)
        rest = b"" if more is None else b"," + _members(more)
        return Rendered(b'{%b,%b,"also_published_as":%b%b}' % (fields, place, others, rest))

    def _fields(self, row: int) -> tuple[str, bytes]:
        """Return the id of an article, and its fields that are the same in all responses."""
        articles = self._related.articles
        article_id = articles.ids[row]
        categories = ",".join(map(_quoted, articles.categories[row]))
        fields = (
            f'"id":{_quoted(article_id)},"title":{_quoted(articles.titles[row])}'
            f',"url":{_quoted_or_null(articles.urls[row] or None)}'
            f',"category":{_quoted_or_null(articles.category[row])},"categories":[{categories}]'
            f',"published_at":{_quoted_or_null(iso(from_microseconds(int(articles.published[row]))))}'
            f',"image_url":{_quoted_or_null(articles.image_urls[row] or None)}'
            f',"reading_minutes":{articles.minutes[row]},"lang":{_quoted_or_null(articles.langs[row])}'
        )
        return article_id, fields.encode(errors="replace")


def _members(fields: Mapping[str, Any]) -> bytes:
    """Return the members of an object as JSON, without its braces."""
    if not any(map(_contains_rendered, fields.values())):
        return _encoded(fields).encode(errors="replace")[1:-1]
    return b",".join(
        [b"%b:%b" % (_encoded(name).encode(), to_bytes(value)) for name, value in fields.items()]
    )


def _quoted_or_null(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


def _contains_rendered(value: object) -> bool:
    return isinstance(value, Rendered) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], Rendered)
    )


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
        "vector": _part(explanation.vector),
        "feedback": _part(explanation.feedback),
        "expansion": _part(explanation.expansion),
        "hub": _part(explanation.hub),
        "freshness": _part(explanation.freshness),
        "boost": _part(explanation.boost),
    }


def _part(value: float) -> float:
    return round(value, PART_DECIMALS) + 0.0  # no -0.0
