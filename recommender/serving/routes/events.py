"""What readers do: `POST /v1/events`, and what of it is kept.

Readers are told apart by keyed hashes alone, whose key the store forgets after a day. Those who ask not to be
followed (`DNT`, `Sec-GPC`) are not told apart, and share the cap of the network that the request comes from.
"""

from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import ip_network

from flask import Flask, Response, after_this_request, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge

from recommender.model import microseconds
from recommender.serving.http.auth import Access, Caller
from recommender.serving.http.event_schemas import EventBody, ParsedEvents, RejectedEvent, parse_events
from recommender.serving.http.problems import Fault, Problem, store_down
from recommender.serving.http.responses import to_bytes
from recommender.serving.store import Event, StoreDownError, Verdict
from recommender.serving.worker.context import Context

RETENTION_DAYS = 8  # of counts
_DAY = 86_400_000_000  # microseconds
_TOLD_FROM = 1_000_000  # a clock less ahead than this is right, as clocks go
_TYPES = frozenset({"application/json", "text/plain", ""})  # sendBeacon sends plain text without asking first
_KINDS = (b"visitor", b"browser", b"source")
_NETWORK_BITS = {4: 24, 6: 48}


class EventRoutes:
    """The call that takes events."""

    def __init__(self, context: Context, access: Access) -> None:
        self._context, self._access, self._store = context, access, context.store
        self._salt = (-1, b"")  # the day, and its salt

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        for method, endpoint, view in (
            ("POST", "events", self.take),
            ("OPTIONS", "preflight", self.preflight),
        ):
            app.add_url_rule("/v1/events", endpoint, view, False, methods=[method])  # noqa: FBT003 no OPTIONS of Flask's

    def take(self) -> Response:
        """Count the events of the body; answer, after the commit, how many were, and why others were not."""
        after_this_request(self._shared)
        caller = self._access.admit("events")
        self._check_origin(caller)
        batch = parse_events(self._body())
        self._access.spend(caller, len(batch))
        now = microseconds(self._context.clock())
        dated = _Dated.of(batch, now, believed=caller.key is not None)
        rejected = sorted([*batch.rejected, *dated.late])
        if batch.is_single and rejected:
            raise Problem("bad-body", rejected[0].reason)
        duplicates = self._count(dated, caller, now).count("duplicate")
        answer = {
            "accepted": len(dated.events) - duplicates,
            "duplicates": duplicates,
            "rejected": [note.as_json() for note in rejected],
        }
        if dated.clamped:
            answer["clamped"] = [note.as_json() for note in dated.clamped]
        return Response(to_bytes(answer), content_type="application/json")

    def preflight(self) -> Response:
        """Answer a browser that asks whether a page of another origin may send JSON."""
        headers = {
            "Allow": "OPTIONS, POST",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "86400",
        }
        return self._shared(Response(status=204, headers=headers))

    def _shared(self, response: Response) -> Response:
        """Let pages of the origins allowed read the answer."""
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
            raise Problem("origin-not-allowed", "events of this origin are not counted", (fault,))

    def _body(self) -> bytes:
        if request.mimetype not in _TYPES:
            fault = Fault("header", "Content-Type", request.mimetype, "application/json or text/plain")
            raise Problem("unsupported-type", "send events as application/json or text/plain", (fault,))
        body = request.get_data(cache=False)
        if len(body) > self._context.settings.max_body_bytes:
            raise RequestEntityTooLarge
        return body

    def _count(self, dated: "_Dated", caller: Caller, now: int) -> list[Verdict]:
        daily = self._context.settings.daily_visitor_hash
        try:
            readers = _Readers(self._salt_of(now), caller, request.headers, daily=daily)
            return self._store.count([readers.event(*each) for each in dated.events], now)
        except StoreDownError:
            raise store_down("nothing was counted; send it again") from None

    def _salt_of(self, now: int) -> bytes:
        day = now // _DAY
        if self._salt[0] != day:
            self._salt = day, self._store.salt(now)
        return self._salt[1]


@dataclass(frozen=True, slots=True)
class _Dated:
    """The events of a batch that count, each with its moment, and what is to be said of others."""

    events: list[tuple[EventBody, int]]
    late: list[RejectedEvent]  # so old that counts of then are forgotten
    clamped: list[RejectedEvent]  # from clocks that are ahead

    @classmethod
    def of(cls, batch: ParsedEvents, now: int, *, believed: bool) -> "_Dated":
        """Date the events: now, or, of callers who are believed, as they say, but neither late nor ahead."""
        if not believed:
            return cls([(sent, now) for _, sent in batch.events], [], [])
        dated = cls([], [], [])
        for index, sent in batch.events:
            ts = now if sent.ts is None else sent.ts
            if ts <= now - RETENTION_DAYS * _DAY:
                dated.late.append(RejectedEvent(index, f"ts is over {RETENTION_DAYS} days ago"))
                continue
            if ts - now >= _TOLD_FROM:
                dated.clamped.append(
                    RejectedEvent(index, f"ts is {(ts - now) // _TOLD_FROM} s ahead; taken as now")
                )
            dated.events.append((sent, min(ts, now)))
        return dated


class _Readers:
    """What a request tells of its readers, in hashes keyed with the salt of the day."""

    def __init__(self, salt: bytes, caller: Caller, headers: Headers, *, daily: bool) -> None:
        self._key = caller.key
        # Hashes of different kinds cannot be matched, nor those of different days.
        self._hashes = {kind: blake2b(digest_size=16, key=salt, person=kind) for kind in _KINDS}
        self._follows = "1" not in {headers.get("DNT"), headers.get("Sec-GPC")}
        self._source = self._browser = None
        if caller.key is None and not caller.is_local:
            origin = caller.address if self._follows else _network(caller.address)
            self._source = self._hash(b"source", origin)
            if daily:
                self._browser = self._hash(b"browser", f"{caller.address} {headers.get('User-Agent')}")

    def event(self, sent: EventBody, at: int) -> Event:
        """Return the event as it is counted."""
        with_key = self._key is not None
        return Event(
            article_id=sent.article_id,
            type=sent.type,
            at=at,
            count=sent.count or 1 if with_key else 1,
            event_id=f"{self._key}\0{sent.event_id}" if with_key and sent.event_id else sent.event_id,
            visitor=self._visitor(sent.visitor_id) if self._follows else None,
            source=self._source,
            from_id=sent.from_id,
            position=sent.position,
            list=sent.list,
            model_version=sent.model_version,
        )

    def _visitor(self, visitor_id: str | None) -> bytes | None:
        return self._browser if visitor_id is None else self._hash(b"visitor", visitor_id)

    def _hash(self, kind: bytes, text: str) -> bytes:
        started = self._hashes[kind].copy()
        started.update(text.encode())
        return started.digest()


def _network(address: str) -> str:
    """Return the network of many readers that an address lies in."""
    if not address:
        return ""
    network = ip_network(address)
    return str(network.supernet(new_prefix=_NETWORK_BITS[network.version]))
