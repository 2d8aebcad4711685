"""Answers as JSON: articles, lists and the model as every call and the command line show them."""

import json
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from recommender.model import Manifest, from_microseconds
from recommender.serving.lists.explain import Explanation
from recommender.serving.lists.query import Item, RelatedList
from recommender.serving.lists.related import Related

RankOf = Callable[[int], int | None]  # from 1, of the article of a row; None: it has none

SCORE_DECIMALS = 7  # of a score; more would be noise
PART_DECIMALS = 9  # of a part of it: some twenty roundings must not show in their sum


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Which model answers, whether it is older than the settings want it, and what is missing beside it."""

    manifest: Manifest
    stale: bool = False
    degraded: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, manifest: Manifest, now: datetime, stale_after_hours: float, degraded: tuple[str, ...] = ()
    ) -> "ModelStatus":
        """Return the standing of a model at a moment."""
        stale = (now - manifest.trained_at).total_seconds() > 3600 * stale_after_hours
        return cls(manifest, stale, degraded)

    def as_json(self) -> dict[str, Any]:
        """Return the `model` of an answer."""
        trained_at = iso(self.manifest.trained_at)
        return {"version": self.manifest.version, "trained_at": trained_at, "stale": self.stale}


def to_bytes(answer: Any) -> bytes:
    """Return the answer as compact UTF-8."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def etag_of(body: bytes) -> str:
    """Return the strong ETag of an answer: a hash of its bytes."""
    return blake2b(body, digest_size=16).hexdigest()


def iso(moment: datetime | None) -> str | None:
    """Return a UTC moment as ISO 8601 with `Z`; fractions of a second only where there are any."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def list_json(
    related: Related, found: RelatedList, model_status: ModelStatus, rank_of: RankOf | None = None
) -> dict[str, Any]:
    """Return a list as the contract has it, with ranks in trending where there is something to tell them."""
    return {
        "article_id": found.article_id,
        "as_of": iso(found.as_of),
        "model": model_status.as_json(),
        "degraded": list(model_status.degraded),
        "requested": found.requested,
        "eligible": found.eligible,
        "returned": len(found.items),
        "items": [item_json(related, item, found, rank_of) for item in found.items],
    }


def item_json(
    related: Related, item: Item, found: RelatedList, rank_of: RankOf | None = None
) -> dict[str, Any]:
    """Return an article as it stands in a list."""
    score = None if item.score is None else round(item.score, SCORE_DECIMALS)
    shown = card(related, item.row, found.as_of, without=found.blocked)
    rank = None if rank_of is None else rank_of(item.row)
    answer = shown | {"score": score, "source": item.source, "trending_rank": rank}
    return answer | {"why": _why_answer(item.why)} if found.explained else answer


def card(related: Related, row: int, now: datetime, *, without: Container[int] = ()) -> dict[str, Any]:
    """Return an article as it stands where nothing is scored: every key is there, absent is null.

    The rows `without` are not told as its copies.
    """
    articles = related.articles
    copies = [articles.ids[copy] for copy in related.copies(row, now) if copy not in without]
    return {
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
        "also_published_as": copies or None,
    }


def cards(related: Related, rows: Iterable[int], now: datetime) -> list[dict[str, Any]]:
    """Return several articles as they stand in a list where nothing is scored."""
    return [card(related, row, now) for row in rows]


def article_facts(related: Related, row: int, now: datetime) -> dict[str, Any]:
    """Return what the CMS said of one article, but for its body."""
    articles = related.articles
    return card(related, row, now) | {
        "tags": articles.tags[row],
        "authors": articles.authors[row],
        "type": articles.types[row],
        "updated_at": iso(from_microseconds(int(articles.updated[row]))),
    }


def article_json(related: Related, row: int, now: datetime) -> dict[str, Any]:
    """Return the facts of one article, its topics, and what stands beside it in time."""
    older, newer = related.timeline.beside(row, now)
    return article_facts(related, row, now) | {
        "topics": topic_shares(related, row),
        "previous": None if older is None else card(related, older, now),
        "next": None if newer is None else card(related, newer, now),
    }


def _why_answer(why: Explanation | None) -> dict[str, Any] | None:
    """Return the parts of a score; as printed they add up to the score as printed within 1e-6."""
    if why is None:
        return None
    return {
        "terms": [{"term": term, "contribution": _part(part)} for term, part in why.terms],
        "other_terms": _part(why.other_terms),
        "topics": [
            {"slug": topic.slug, "name": topic.name, "contribution": _part(part)}
            for topic, part in why.topics
        ],
        "other_topics": _part(why.other_topics),
        "feedback": _part(why.feedback),
        "hub": _part(why.hub),
        "freshness": _part(why.freshness),
        "boost": _part(why.boost),
    }


def _part(value: float) -> float:
    return round(value, PART_DECIMALS) + 0.0  # no -0.0


def topic_shares(related: Related, row: int) -> list[dict[str, Any]]:
    """Return the topics of an article, the largest share first."""
    shares = related.model.topics_of(related.snapshot.vectors.of(row).latent)
    return [{"slug": topic.slug, "name": topic.name, "share": round(share, 4)} for topic, share in shares]
