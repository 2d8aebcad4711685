"""Answers kept: in this process, as bytes, for as long as the same request would get the same; and elsewhere.

A kept answer equals the one that would be computed at that moment. So it is kept for one set of lists, that
is one edition under the rules that act, and for a span of time in which nothing is published and no hour
begins.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from weakref import ReferenceType, ref

from cachetools import LRUCache
from flask import Response, request

from recommender.serving.cache.purging import HEADER
from recommender.serving.cache.surrogates import keys_of
from recommender.serving.http.responses import etag_of, to_bytes
from recommender.serving.lists.related import Related
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView, Span

SHARED_SECONDS = 60  # that a shared cache keeps an answer
_REVALIDATING_SECONDS = 30  # and goes on with it while it asks anew
_FAILING_SECONDS = 300  # and while the service fails
_DAY = timedelta(days=1)
# How long lists may be kept by the age of their articles, where caches are told what to forget.
_LASTING = (
    (_DAY, timedelta(minutes=15)),
    (7 * _DAY, timedelta(hours=1)),
    (30 * _DAY, timedelta(hours=12)),
)
_LONGEST = 7 * _DAY
_ENTRY_BYTES = 500  # of a kept answer, beside its body
_FROM_TRENDS = {"trending", "recent"}  # what trends decides which of the two an item is


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """An answer, and on what it depends besides the lists and the span."""

    body: bytes
    etag: str
    keys: str  # by which shared caches forget it
    trending: tuple[int, ...] | None  # the rows that trended, where the answer rests on them
    leaderboards: "ReferenceType[Leaderboards] | None"  # the ranks that it shows

    def holds(self, view: ConsistentView, leaderboards: Leaderboards | None) -> bool:
        """Tell whether it is what would be computed now."""
        if self.trending is not None and self.trending != view.trending:
            return False
        return (
            self.leaderboards is None
            if leaderboards is None
            else self.leaderboards is not None and self.leaderboards() is leaderboards
        )


@dataclass(frozen=True, slots=True)
class _Drawer:
    """The answers of one set of lists, in one span."""

    related: Related
    span: Span
    answers: "LRUCache[Hashable, CachedResponse]"
    lock: Lock


class ResponseCache:
    """The answers that this process keeps, up to so many bytes: those asked for longest ago go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._drawer: _Drawer | None = None

    def kept(
        self,
        view: ConsistentView,
        key: Hashable,
        make: Callable[[], Any],
        leaderboards: Leaderboards | None = None,
    ) -> CachedResponse:
        """Return the answer kept under a key, or what `make` returns, kept from now on.

        The key says all of the request that the answer depends on; `boards` are the ranks that it shows.
        """
        drawer = self._open(view)
        key = view.model_status.stale, view.model_status.degraded, key
        with drawer.lock:
            kept = drawer.answers.get(key)
        if kept is None or not kept.holds(view, leaderboards):
            kept = _as_kept(make(), view, leaderboards)
            if _size(kept) <= self._max_bytes:
                with drawer.lock:
                    drawer.answers[key] = kept
        return kept

    def _open(self, view: ConsistentView) -> _Drawer:
        drawer = self._drawer
        if drawer is None or drawer.related is not view.related or view.now not in drawer.span:
            answers: LRUCache[Hashable, CachedResponse] = LRUCache(self._max_bytes, _size)
            # Whoever still computes an answer of the former one puts it there, where nobody looks.
            drawer = self._drawer = _Drawer(view.related, Span.around(view), answers, Lock())
        return drawer


def respond(kept: CachedResponse, view: ConsistentView, seconds: int = SHARED_SECONDS) -> Response:
    """Return an answer with its ETag, or 304 to whoever has it; shared caches may keep it for so long."""
    response = Response(kept.body, content_type="application/json")
    response.set_etag(kept.etag)
    change = view.related.next_change(view.now)
    response.headers["Cache-Control"] = cache_control(view.now, change, seconds)
    response.headers[HEADER] = kept.keys
    response.make_conditional(request.environ)
    return response


def lasting_seconds(published: datetime | None, now: datetime) -> int:
    """Return how long the list of an article may be kept where a change makes caches forget it."""
    ages = [] if published is None else [longer for age, longer in _LASTING if now - published < age]
    return int((ages[0] if ages else _LONGEST).total_seconds())


def cache_control(now: datetime, change: datetime | None, seconds: int = SHARED_SECONDS) -> str:
    """Return how long caches may keep an answer: shared ones for so long, others not without asking.

    None shows it at or after the next change, not even while the service fails.
    """
    left = None if change is None else int((change - now).total_seconds())
    fresh = seconds if left is None else min(seconds, left)
    parts = ["public", "max-age=0", f"s-maxage={fresh}"]
    for name, longer in (
        ("stale-while-revalidate", _REVALIDATING_SECONDS),
        ("stale-if-error", _FAILING_SECONDS),
    ):
        stale = longer if left is None else min(longer, left - fresh)
        if stale:
            parts.append(f"{name}={stale}")
    return ", ".join(parts)


def _as_kept(answer: Any, view: ConsistentView, leaderboards: Leaderboards | None) -> CachedResponse:
    body = to_bytes(answer)
    rests_on_trends = not _FROM_TRENDS.isdisjoint(_sources(answer))
    return CachedResponse(
        body,
        etag_of(body),
        " ".join(keys_of(answer)),
        view.trending if rests_on_trends else None,
        None if leaderboards is None else ref(leaderboards),
    )


def _sources(answer: Any) -> Iterator[str]:
    """Yield the source of every item anywhere in an answer."""
    if isinstance(answer, dict):
        if isinstance(source := answer.get("source"), str):
            yield source
        for value in answer.values():
            yield from _sources(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from _sources(value)


def _size(kept: CachedResponse) -> int:
    return len(kept.body) + _ENTRY_BYTES
