"""Reader events: `POST /v1/events`.

Events from the pages of declared crawlers are accepted and not counted. Events with a key always count.

Readers are distinguished only by keyed hashes; the store deletes the key after a day. Readers who ask not to
be tracked (`DNT`, `Sec-GPC`) are not distinguished: they share the cap of the network that they come from.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from ipaddress import ip_network
from itertools import islice
from re import Pattern
from re import compile as compile_pattern

from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from flask import Flask, Response, after_this_request, request
from werkzeug.datastructures import Headers

from recommender.model import microseconds
from recommender.serving.http.auth import Access, Caller
from recommender.serving.http.event_schemas import (
    EventBody,
    EventNote,
    ParsedEvents,
    parse_events,
    total_fault,
)
from recommender.serving.http.problems import Fault, Problem, store_down
from recommender.serving.http.requests import read_body
from recommender.serving.http.responses import to_bytes
from recommender.serving.store import Event, StoreDownError, Verdict
from recommender.serving.telemetry.metrics import Metrics
from recommender.serving.worker.context import Context

RETENTION_DAYS = 8  # of counts
_DAY = 86_400_000_000  # microseconds
_SECOND = 1_000_000  # microseconds; clocks that are less than a second ahead are not reported
_MEDIA_TYPES = ("application/json", "text/plain", "")  # sendBeacon sends plain text, without a preflight
_KINDS = (b"visitor", b"browser", b"source")
_MAX_AGENT_CHARS = 512  # of a user agent that are compared
_NETWORK_BITS = {4: 24, 6: 48}


class EventRoutes:
    """The route of events."""

    def __init__(self, context: Context, access: Access, metrics: Metrics) -> None:
        self._context, self._access, self._store = context, access, context.store
        self._metrics = metrics

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        for method, endpoint, view in (
            ("POST", "events", self.post),
            ("OPTIONS", "preflight", self.preflight),
        ):
            app.add_url_rule("/v1/events", endpoint, view, False, methods=[method])  # noqa: FBT003 Flask adds no OPTIONS

    def post(self) -> Response:
        """Count the events in the body; respond after the commit, and report the rejected events."""
        after_this_request(self._allow_origin)
        caller = self._access.allow_anonymous("events")
        self._check_origin(caller)
        batch = parse_events(read_body("events", self._context.settings.max_body_bytes, _MEDIA_TYPES))
        self._access.count_events(caller, len(batch))
        now = microseconds(self._context.now)
        dated = _Dated.of(batch, now, is_trusted=caller.key is not None)
        rejected = sorted([*batch.rejected, *dated.rejected])
        if batch.is_single and rejected:
            raise Problem("bad-body", rejected[0].reason)
        is_counted = caller.key is not None or not is_crawler(request.headers.get("User-Agent", ""))
        duplicates = self._count(dated, caller, now).count("duplicate") if is_counted else 0
        accepted = len(dated.events) - duplicates
        self._metrics.count_events(accepted, duplicates, len(rejected))
        content = {
            "accepted": accepted,
            "duplicates": duplicates,
            "rejected": [note.as_json() for note in rejected],
        }
        if dated.clamped:
            content["clamped"] = [note.as_json() for note in dated.clamped]
        return Response(to_bytes(content), content_type="application/json")

    def preflight(self) -> Response:
        """Respond to the preflight request of a page of another origin that sends JSON."""
        headers = {
            "Allow": "OPTIONS, POST",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "86400",
        }
        return self._allow_origin(Response(status=204, headers=headers))

    def _allow_origin(self, response: Response) -> Response:
        """Let pages of the allowed origins read the response."""
        origins, origin = self._context.settings.event_origins, request.headers.get("Origin")
        if not origins:
            response.headers["Access-Control-Allow-Origin"] = "*"
            return response
        response.headers["Vary"] = "Origin"
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    def _check_origin(self, caller: Caller) -> None:
        origins, origin = self._context.settings.event_origins, request.headers.get("Origin")
        if origins and origin is not None and origin not in origins and caller.key is None:
            fault = Fault("header", "Origin", origin, ", ".join(origins))
            raise Problem("origin-not-allowed", "events from this origin are not accepted", (fault,))

    def _count(self, dated: "_Dated", caller: Caller, now: int) -> list[Verdict]:
        daily = self._context.settings.daily_visitor_hash
        try:
            readers = _Readers(self._context.daily_salt(), caller, request.headers, daily=daily)
            return self._store.count([readers.event(event, at) for event, at in dated.events], now)
        except StoreDownError:
            raise store_down("no event was counted; send the events again") from None


@dataclass(frozen=True, slots=True)
class _Dated:
    """The events of a batch with their times, and notes on those that are too old or in the future."""

    events: list[tuple[EventBody, int]]
    rejected: list[EventNote]  # older than the retention of counts, or with a total that cannot be used
    clamped: list[EventNote]  # in the future; counted as now

    @classmethod
    def of(cls, batch: ParsedEvents, now: int, *, is_trusted: bool) -> "_Dated":
        """Date the events: by their `ts` if the caller is trusted, otherwise now."""
        if not is_trusted:
            return cls([(event, now) for _, event in batch.events], [], [])
        dated = cls([], [], [])
        for index, event in batch.events:
            ts = now if event.ts is None else event.ts
            if ts <= now - RETENTION_DAYS * _DAY:
                dated.rejected.append(EventNote(index, f"ts is more than {RETENTION_DAYS} days ago"))
                continue
            if fault := total_fault(event):
                dated.rejected.append(EventNote(index, fault))
                continue
            if ts - now >= _SECOND:
                dated.clamped.append(
                    EventNote(index, f"ts is {(ts - now) // _SECOND} s in the future; counted as now")
                )
            dated.events.append((event, min(ts, now)))
        return dated


def is_crawler(user_agent: str) -> bool:
    """Return whether a user agent declares itself a crawler, monitor or other robot.

    HTTP libraries are not crawlers here: the app of a newsroom sends the events of its readers with one.
    """
    return _is_crawler(user_agent[:_MAX_AGENT_CHARS])


@lru_cache(maxsize=4096)
def _is_crawler(user_agent: str) -> bool:
    return any(pattern.search(user_agent) for pattern in _crawlers())


@cache
def _crawlers() -> tuple[Pattern[str], ...]:
    """Return patterns of 25 crawlers each; one pattern of all would be five times as slow."""
    robots = (robot for robot in CRAWLER_USER_AGENTS_DATA if "http-library" not in robot["tags"])
    patterns = iter([robot["pattern"] for robot in robots])
    return tuple(compile_pattern("|".join([first, *islice(patterns, 24)])) for first in patterns)


class _Readers:
    """Identifies the readers of a request by hashes that are keyed with the salt of the day."""

    def __init__(self, salt: bytes, caller: Caller, headers: Headers, *, daily: bool) -> None:
        self._key = caller.key
        # Hashes of different kinds or different days cannot be matched with each other.
        self._hashes = {kind: blake2b(digest_size=16, key=salt, person=kind) for kind in _KINDS}
        self._may_track = "1" not in {headers.get("DNT"), headers.get("Sec-GPC")}
        self._source = self._browser = None
        if caller.key is None and not caller.is_local:
            origin = caller.address if self._may_track else _network(caller.address)
            self._source = self._hash(b"source", origin)
            if daily:
                self._browser = self._hash(b"browser", f"{caller.address} {headers.get('User-Agent')}")

    def event(self, body: EventBody, at: int) -> Event:
        """Return the event as the store counts it."""
        with_key = self._key is not None
        return Event(
            article_id=body.article_id,
            type=body.type,
            at=at,
            count=body.count or 1 if with_key else 1,
            event_id=self._event_id(body),
            total=body.total if with_key else None,
            visitor=self._visitor(body.visitor_id) if self._may_track and body.total is None else None,
            source=self._source,
            from_id=body.from_id,
            position=body.position,
            list=body.list,
            model_version=body.model_version,
        )

    def _event_id(self, body: EventBody) -> str | None:
        """Return the id that is compared: each key has its own ids, but totals are of all keys."""
        is_own = self._key is not None and body.event_id is not None and body.total is None
        return f"{self._key}\0{body.event_id}" if is_own else body.event_id

    def _visitor(self, visitor_id: str | None) -> bytes | None:
        return self._browser if visitor_id is None else self._hash(b"visitor", visitor_id)

    def _hash(self, kind: bytes, text: str) -> bytes:
        digest = self._hashes[kind].copy()
        digest.update(text.encode())
        return digest.digest()


def _network(address: str) -> str:
    """Return the network of an address, which many readers share."""
    if not address:
        return ""
    network = ip_network(address)
    return str(network.supernet(new_prefix=_NETWORK_BITS[network.version]))
