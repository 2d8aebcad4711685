"""Events counted: each once, each reader once in a while, no source above its cap."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import Connection

from recommender.serving.store.bulk import Bulk
from recommender.serving.store.numbers import next_number, numbers
from recommender.serving.store.rows import Event, Verdict
from recommender.serving.store.schema import COUNTS, PLACEMENTS, SEEN_EVENTS, SEEN_VISITORS, SOURCES

MINUTE = 60_000_000
HOUR = 60 * MINUTE
REMEMBERED = 48 * HOUR  # how long an event_id is

_SEEN_EVENTS = Bulk(SEEN_EVENTS)
_SEEN_VISITORS = Bulk(SEEN_VISITORS)
_SOURCES = Bulk(SOURCES)
COUNTS_BULK = Bulk(COUNTS, 'n = counts.n + excluded.n, "change" = excluded."change"')
_PLACEMENTS = Bulk(PLACEMENTS, "n = placements.n + excluded.n")

Batch = tuple[Sequence[Event], int]  # and the moment of its arrival


@dataclass(frozen=True)
class Counting:
    """How events are counted; windows in microseconds."""

    visitor_window: int
    source_window: int
    source_cap: int

    def count_all(self, connection: Connection, batches: list[Batch]) -> list[list[Verdict]]:
        """Count the events of all batches, as if one after the other; returns the verdicts of each."""
        all_events = [(event, now) for batch, now in batches for event in batch]
        verdicts: list[Verdict] = ["duplicate"] * len(all_events)
        new = self._unseen(connection, _unrepeated(connection, list(enumerate(all_events))))
        for at, _ in new:
            verdicts[at] = "capped"
        admitted = self._below_cap(connection, new)
        for at, _ in admitted:
            verdicts[at] = "counted"
        _add(connection, [event for _, (event, _) in admitted])
        left = iter(verdicts)
        return [[next(left) for _ in batch] for batch, _ in batches]

    def _unseen(self, connection: Connection, arrived: "_Arrived") -> "_Arrived":
        """Keep the events of visitors who have not been counted in the window around them."""
        key_of = {
            at: _key(event.visitor, event.type.encode(), event.article_id.encode())
            for at, (event, _) in arrived
            if event.visitor is not None
        }
        seen = _moments(_SEEN_VISITORS, connection, key_of.values())
        fresh: dict[int, int] = {}
        kept = []
        for at, (event, now) in arrived:
            key = key_of.get(at)
            if key is not None:
                last = seen.get(key)
                if last is not None and abs(event.at - last) < self.visitor_window:
                    continue
                seen[key] = fresh[key] = event.at
            kept.append((at, (event, now)))
        _SEEN_VISITORS.put(connection, sorted(fresh.items()))
        return kept

    def _below_cap(self, connection: Connection, arrived: "_Arrived") -> "_Arrived":
        """Keep the events of sources that have not had their cap for the article in this window."""
        key_of = {
            at: _key(event.source, b"%d" % (now // self.source_window), event.article_id.encode())
            for at, (event, now) in arrived
            if event.source is not None
        }
        had = {key: n for key, _, n in _SOURCES.find(connection, set(key_of.values()))}
        changed: dict[int, tuple[int, int, int]] = {}
        kept = []
        for at, (event, now) in arrived:
            key = key_of.get(at)
            if key is not None:
                n = had.get(key, 0) + event.count
                if n > self.source_cap:
                    continue
                had[key] = n
                changed[key] = (key, now, n)
            kept.append((at, (event, now)))
        _SOURCES.put(connection, sorted(changed.values()))
        return kept


_Arrived = list[tuple[int, tuple[Event, int]]]  # position in the group, event, moment of arrival


def _unrepeated(connection: Connection, arrived: _Arrived) -> _Arrived:
    """Keep the events whose id was not seen lately. A clock that was ahead does not forget."""
    key_of = {
        at: _key(b"event", event.event_id.encode())
        for at, (event, _) in arrived
        if event.event_id is not None
    }
    seen = _moments(_SEEN_EVENTS, connection, key_of.values())
    fresh: dict[int, int] = {}
    kept = []
    for at, (event, now) in arrived:
        key = key_of.get(at)
        if key is not None:
            last = seen.get(key)
            if last is not None and now - last < REMEMBERED:
                continue
            seen[key] = fresh[key] = now
        kept.append((at, (event, now)))
    _SEEN_EVENTS.put(connection, sorted(fresh.items()))
    return kept


def _add(connection: Connection, events: Sequence[Event]) -> None:
    """Add the events to their buckets, and to the places where they were shown."""
    if not events:
        return
    until = numbers(connection)["hours-until"]
    counts: Counter[tuple[int, str, str]] = Counter()
    places: Counter[tuple[int, str, str, str, int, str, str]] = Counter()
    for event in events:
        minute = event.at // MINUTE
        if minute < until:
            minute -= minute % 60
        counts[minute, event.article_id, event.type] += event.count
        if event.list is not None or event.from_id is not None:
            places[_place_of(event)] += event.count
    change = next_number(connection, "counts")
    COUNTS_BULK.put(connection, [(*bucket, n, change) for bucket, n in sorted(counts.items())])
    _PLACEMENTS.put(connection, [(*place, n) for place, n in sorted(places.items())])


def _place_of(event: Event) -> tuple[int, str, str, str, int, str, str]:
    """Return the key of a place; what is not known is empty, or -1."""
    position = -1 if event.position is None else event.position
    where = event.from_id or "", event.article_id, event.list or "", position, event.model_version or ""
    return (event.at // HOUR, *where, event.type)


def _moments(seen: Bulk, connection: Connection, keys: Iterable[int]) -> dict[int, int]:
    return {row[0]: row[1] for row in seen.find(connection, set(keys))}


def _key(*parts: bytes | None) -> int:
    """Return 64 bits of a hash of the parts."""
    digest = blake2b(b"\0".join(part or b"" for part in parts), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
