"""Responses cached in this process as bytes, and the headers that tell other caches how long to store them.

A cached response is byte for byte the one that would be built at that moment. Its dependencies are not listed
in its key, because one of them could be left out by mistake. Instead, a cached response belongs to one
`Related` (a snapshot under the rules that are active) and to a span of time in which nothing is published and
no hour begins. When either changes, it is dropped, with one exception: a list that is full without the newest
articles stays if the surrogate keys of the change do not concern it (`surrogates`). Then only its date and
its number of eligible articles are computed again, which takes a tenth of the time of the list.

The key has the article, the parameters in a fixed order, and whether the model is stale or a part of the
service is degraded. Trending ranks change every minute and are compared separately: a response that shows
ranks is valid for one `Leaderboards`, and one whose list trending articles may fill is valid for the same
trending rows. A test changes the service in random orders and compares cached responses with new ones
(`tests/serving/cache/test_caching.py`).
"""

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any, Protocol
from weakref import ReferenceType, ref

from cachetools import LRUCache
from flask import Response, request

from recommender.model import from_microseconds
from recommender.serving.cache.generations import Generation, Generations
from recommender.serving.cache.purging import HEADER, Purger
from recommender.serving.cache.surrogates import keys_of
from recommender.serving.http.concurrency import ComputingLimit
from recommender.serving.http.responses import ModelStatus, Rendered, ResponseBuilder, etag_of, to_bytes
from recommender.serving.telemetry.answers import ORIGIN, SOURCES, ItemSources
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView

# How long a shared cache may store a response, serve it stale while it fetches a new one, and serve it stale
# while the service fails.
SHARED_SECONDS = 60
_REVALIDATING_SECONDS = 30
_FAILING_SECONDS = 300
SERVED = "recommender.served"  # in the WSGI environment: the `Served` of a response from this cache
_DAY = timedelta(days=1)
# How long a shared cache that is purged may store a list, by the age of the list's article.
_SECONDS_BY_AGE = (
    (_DAY, timedelta(minutes=15)),
    (7 * _DAY, timedelta(hours=1)),
    (30 * _DAY, timedelta(hours=12)),
)
_LONGEST = 7 * _DAY
_ENTRY_BYTES = 500  # of a cached response besides its body

Build = Callable[[ResponseBuilder], dict[str, Any] | Rendered]  # returns the JSON of a response


class Renewal(Protocol):
    """Brings a cached list up to date after changes that do not concern its items."""

    def __call__(self, body: bytes, view: ConsistentView, undated_factor: float | None) -> bytes | None:
        """Return the list as it would be built now; None if it has to be built again."""


class RenewableBuild(Protocol):
    """A `Build` of a list that can be renewed. The renewal must not refer to any view."""

    renewal: Renewal

    def __call__(self, builder: ResponseBuilder) -> Rendered:
        """Return the JSON of the list."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedResponse:
    """A response, and what it depends on besides the lists and the span of time."""

    body: bytes
    etag: str
    keys: str  # surrogate keys, separated by spaces
    trending: tuple[int, ...] | None  # the rows that trended, if the response depends on them
    leaderboards: "ReferenceType[Leaderboards] | None"  # the ranks in the response
    renewal: Renewal | None = None  # None: it is dropped at every change
    undated_factor: float | None = None  # see `ListDependencies`
    sources: ItemSources = ()
    made: object = field(default_factory=object)  # the same object in all renewals of a response

    @classmethod
    def of(cls, build: Build, view: ConsistentView, leaderboards: Leaderboards | None) -> "CachedResponse":
        """Return the response that `build` returns."""
        builder = view.builder()
        body = to_bytes(build(builder))
        depends_on = builder.dependencies
        is_renewable = leaderboards is None and not depends_on.on_new_articles
        return cls(
            body=body,
            etag=etag_of(body),
            keys=" ".join(keys_of(depends_on)),
            trending=view.trending if depends_on.on_trends else None,
            leaderboards=None if leaderboards is None else ref(leaderboards),
            renewal=getattr(build, "renewal", None) if is_renewable else None,
            undated_factor=depends_on.undated_factor,
            sources=tuple(sorted(depends_on.sources.items())),
        )

    def is_current(self, view: ConsistentView, leaderboards: Leaderboards | None) -> bool:
        """Return whether building the response now would give the same bytes."""
        if self.trending is not None and self.trending != view.trending:
            return False
        if self.leaderboards is None:
            return leaderboards is None
        return leaderboards is not None and self.leaderboards() is leaderboards

    def renewed(self, view: ConsistentView) -> "CachedResponse | None":
        """Return the response after changes that do not concern it; None if it has to be built again."""
        body = None if self.renewal is None else self.renewal(self.body, view, self.undated_factor)
        if body is None or body == self.body:
            return None if body is None else self
        return replace(self, body=body, etag=etag_of(body))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A cached response, and the number of the generation for which it was built or renewed."""

    cached: CachedResponse
    number: int


@dataclass(frozen=True, slots=True)
class _Key:
    """The key of a cached response; its hash is computed once, because that takes longest in a lookup."""

    parts: Hashable
    hash: int

    def __hash__(self) -> int:
        return self.hash


def _full_key(key: Hashable, view: ConsistentView) -> _Key:
    parts = view.model_status.stale, view.model_status.degraded, key
    return _Key(parts, hash(parts))


class ResponseCache:
    """The responses that this process caches, up to `max_bytes`; the least recently used are dropped first.

    Responses that are not cached are computed in turns; see `ComputingLimit`. With a `purger`, shared caches
    may store lists for longer, because they are purged of what changes.
    """

    def __init__(self, max_bytes: int, computing: ComputingLimit, purger: Purger | None = None) -> None:
        self._max_bytes = max_bytes
        self.computing = computing
        self._purger = purger
        self._responses: LRUCache[Hashable, _Entry] = LRUCache(max_bytes, _size)
        self._generations = Generations()
        self._cleared = 0
        self._lock = Lock()  # of the responses

    def get(
        self,
        view: ConsistentView,
        key: Hashable,
        build: Build,
        leaderboards: Leaderboards | None = None,
        *,
        cost: int | None = 1,
    ) -> CachedResponse:
        """Return the response cached under a key; if there is none, build and cache it.

        The key has everything in the request that the response depends on. `leaderboards` has the ranks that
        the response contains. `cost` is what building it costs the caller; None if `build` has its own limit.
        Raises Problem if the response is not cached and the caller may not compute now.
        """
        return self._get(view, _full_key(key, view), build, leaderboards, cost)[0]

    def _get(
        self,
        view: ConsistentView,
        key: _Key,
        build: Build,
        leaderboards: Leaderboards | None,
        cost: int | None,
    ) -> tuple[CachedResponse, bool]:
        """Return the response like `get`, and whether it was cached."""
        generation = self._generations.of(view)
        cached = self._current(key, view, leaderboards, generation)
        is_cached = cached is not None
        if cached is None:
            with nullcontext() if cost is None else self.computing.turn(cost):
                # Another request may have built it while this one waited.
                cached = self._current(key, view, leaderboards, generation)
                if cached is None:
                    cached = CachedResponse.of(build, view, leaderboards)
                    self._store(key, cached, generation)
                else:
                    is_cached = True
        return cached, is_cached

    def has(self, view: ConsistentView, key: Hashable, leaderboards: Leaderboards | None = None) -> bool:
        """Return whether `get` would build nothing."""
        return self._current(_full_key(key, view), view, leaderboards, self._generations.of(view)) is not None

    def respond(
        self,
        view: ConsistentView,
        key: Hashable,
        build: Build,
        leaderboards: Leaderboards | None = None,
        *,
        cost: int | None = 1,
        row: int | None = None,
        reformat: Callable[[bytes], bytes] | None = None,
    ) -> Response:
        """Return the HTTP response cached under a key, 304 if the client has it; see `get`.

        `row` is the row of the article whose list it is. A shared cache that is purged may store such a list
        for longer. `reformat` returns the body in another format; it depends on nothing but the request and
        the articles of the view.
        """
        full_key = _full_key(key, view)
        cached, is_cached = self._get(view, full_key, build, leaderboards, cost)
        body, etag = cached.body, cached.etag
        if reformat is not None:
            body = reformat(body)
            etag = etag_of(body)
        shows_ranks, endpoint = leaderboards is not None, request.endpoint or "none"
        published_at = None if row is None else from_microseconds(int(view.related.articles.published[row]))
        served = Served(
            full_key,
            view.model_status,
            cached.made,
            cached.etag,
            shows_ranks,
            row is not None,
            published_at,
            endpoint,
        )
        response = Response(body, content_type="application/json")
        response.set_etag(etag)
        change = self._generations.of(view).next_change
        response.headers["Cache-Control"] = self._cache_control(served, cached, view, change)
        response.headers[HEADER] = cached.keys
        response.make_conditional(request.environ)
        request.environ[SERVED] = served
        request.environ[ORIGIN] = "cached" if is_cached else "computed"
        request.environ[SOURCES] = cached.sources
        return response

    def serve_again(
        self, served: "Served", view: ConsistentView, leaderboards: Leaderboards | None
    ) -> tuple[CachedResponse, str] | None:
        """Return the cached response behind one that was served, and the `Cache-Control` that it has now.

        It may have been renewed since. Return None if `get` would return another one now, or would have to
        find out first what has changed; this waits for nothing. `leaderboards` are those that `get` would be
        called with.
        """
        generation, now, then = self._generations.at_once(view), view.model_status, served.status
        if generation is None or (now.stale, now.degraded) != (then.stale, then.degraded):
            return None
        cached = self._current(served.key, view, leaderboards, generation)
        if cached is None or cached.made is not served.made:
            return None
        return cached, self._cache_control(served, cached, view, generation.next_change)

    def _cache_control(
        self, served: "Served", cached: CachedResponse, view: ConsistentView, change: datetime | None
    ) -> str:
        """Return the `Cache-Control` of a response.

        A shared cache that is purged may store the list of an article for longer, by the article's age,
        unless the list depends on what trends or a part of the service is degraded.
        """
        seconds, purger = SHARED_SECONDS, self._purger
        if (
            purger is not None
            and served.is_list
            and not served.shows_ranks
            and cached.trending is None
            and not view.model_status.degraded
            and purger.is_trusted
        ):
            seconds = seconds_by_age(served.published_at, view.now)
        return cache_control(view.now, change, seconds)

    def _current(
        self, key: Hashable, view: ConsistentView, leaderboards: Leaderboards | None, generation: Generation
    ) -> CachedResponse | None:
        """Return the response under a key, if there is one and it is current or can be renewed."""
        try:
            with self._lock:
                entry = self._responses[key]
        except KeyError:
            return None
        cached, number = entry.cached, entry.number
        if number == generation.number:
            return cached if cached.is_current(view, leaderboards) else None
        if number > generation.number or self._generations.concern(cached.keys.split(), generation, number):
            return None
        renewed = None if leaderboards is not None else cached.renewed(view)
        if renewed is not None:
            self._store(key, renewed, generation)
        return renewed

    def _store(self, key: Hashable, cached: CachedResponse, generation: Generation) -> None:
        entry = _Entry(cached, generation.number)
        if generation.is_outdated or _size(entry) > self._max_bytes:
            return
        with self._lock:
            if generation.cleared > self._cleared:  # all others are outdated
                self._responses.clear()
                self._cleared = generation.cleared
            known = self._responses.get(key)
            if known is None or known.number <= entry.number:
                self._responses[key] = entry


@dataclass(frozen=True, slots=True)
class Served:
    """How a response was made from a cached one, so that it can be served again without Flask."""

    key: Hashable
    status: ModelStatus
    made: object  # see `CachedResponse`
    etag: str  # of the cached response; a renewal has another one
    shows_ranks: bool
    is_list: bool  # of one article
    published_at: datetime | None  # of that article
    endpoint: str


def no_store(response: Response) -> Response:
    """Forbid caching of a response about a missing article, because it may be added at any moment."""
    response.headers["Cache-Control"] = "no-store"
    return response


def seconds_by_age(published_at: datetime | None, now: datetime) -> int:
    """Return how long a shared cache that is purged may store the list of an article."""
    for age, lifetime in _SECONDS_BY_AGE:
        if published_at is not None and now - published_at < age:
            return int(lifetime.total_seconds())
    return int(_LONGEST.total_seconds())


def cache_control(now: datetime, change: datetime | None, seconds: int = SHARED_SECONDS) -> str:
    """Return the `Cache-Control` of a response that shared caches may store for `seconds`.

    Other caches must revalidate it. No cache serves it at or after `change`, the next publication or rule
    boundary, not even while the service fails.
    """
    return _directives(seconds, None if change is None else int((change - now).total_seconds()))


@lru_cache
def _directives(seconds: int, seconds_left: int | None) -> str:
    fresh = seconds if seconds_left is None else min(seconds, seconds_left)
    directives = ["public", "max-age=0", f"s-maxage={fresh}"]
    for name, longest in (
        ("stale-while-revalidate", _REVALIDATING_SECONDS),
        ("stale-if-error", _FAILING_SECONDS),
    ):
        stale = longest if seconds_left is None else min(longest, seconds_left - fresh)
        if stale:
            directives.append(f"{name}={stale}")
    return ", ".join(directives)


def _size(entry: _Entry) -> int:
    return len(entry.cached.body) + _ENTRY_BYTES
