"""Events counted: each once, each reader once in a while, no source above its cap."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from operator import itemgetter
from struct import unpack

from sqlalchemy import Connection, Table

from recommender.serving.store.bulk import Bulk
from recommender.serving.store.numbers import next_number, numbers
from recommender.serving.store.rows import Event, Verdict
from recommender.serving.store.schema import COUNTS, PLACEMENTS, SEEN_EVENTS, SEEN_VISITORS, SOURCES

MINUTE = 60_000_000
HOUR = 60 * MINUTE
REMEMBERED = 48 * HOUR  # how long an event_id is
COUNTS_BULK = Bulk(COUNTS, "n = counts.n + excluded.n, change = excluded.change")

_SEEN_EVENTS = Bulk(SEEN_EVENTS)
_SEEN_VISITORS = Bulk(SEEN_VISITORS)
_SOURCES = Bulk(SOURCES, "n = excluded.n")
_PLACEMENTS = Bulk(PLACEMENTS, "n = placements.n + excluded.n")

Batch = tuple[Sequence[Event], int]  # and the moment of its arrival


@dataclass(frozen=True)
class Counting:
    """How events are counted; windows in microseconds."""

    visitor_window: int
    source_window: int
    source_cap: int
    weights: Mapping[str, float]  # of types, 1 where there is none

    def count_all(self, connection: Connection, batches: list[Batch]) -> list[list[Verdict]]:
        """Count the events of all batches, as if one after the other; returns the verdicts of each."""
        events = [event for batch, _ in batches for event in batch]
        arrivals = [now for batch, now in batches for _ in batch]
        verdicts: list[Verdict] = ["counted"] * len(events)
        for at in _repeated(connection, events, arrivals):
            verdicts[at] = "duplicate"
        for at in self._seen(connection, events, verdicts):
            verdicts[at] = "duplicate"
        for at in self._above_cap(connection, events, arrivals, verdicts):
            verdicts[at] = "capped"
        _add(connection, [event for event, each in zip(events, verdicts, strict=True) if each == "counted"])
        left = iter(verdicts)
        return [[next(left) for _ in batch] for batch, _ in batches]

    def seen(self) -> tuple[tuple[Table, int], ...]:
        """Return the tables of what was seen, each with how long that matters."""
        return (
            (SEEN_EVENTS, REMEMBERED),
            (SEEN_VISITORS, self.visitor_window),
            (SOURCES, self.source_window),
        )

    def _seen(
        self, connection: Connection, events: Sequence[Event], verdicts: Sequence[Verdict]
    ) -> Iterable[int]:
        """Return the events of visitors who were counted in the window around them; remember the others."""
        asked = [at for at, event in enumerate(events) if event.visitor and verdicts[at] == "counted"]
        keys = _keys(_visit(events[at]) for at in asked)
        moments = [events[at].at for at in asked]
        return _known(connection, _SEEN_VISITORS, self.visitor_window, asked, keys, moments)

    def _above_cap(
        self,
        connection: Connection,
        events: Sequence[Event],
        arrivals: Sequence[int],
        verdicts: Sequence[Verdict],
    ) -> Iterable[int]:
        """Return the events that are above the cap of their source for article and type; add up the others.

        They are added up by weight, and a source's first event of a type always counts: a reader who shares
        an article has read it before.
        """
        asked = [at for at, event in enumerate(events) if event.source and verdicts[at] == "counted"]
        windows = [arrivals[at] // self.source_window for at in asked]
        keys = _keys(_share(events[at], window) for at, window in zip(asked, windows, strict=True))
        had = {key: n for key, _, n in _SOURCES.find(connection, keys)}
        changed = {}
        for at, window, key in zip(asked, windows, keys, strict=True):
            before = had.get(key, 0)
            after = before + events[at].count * ceil(self.weights.get(events[at].type, 1))
            if before and after > self.source_cap:
                yield at
            else:
                had[key] = after
                changed[key] = (key, window * self.source_window, after)
        _SOURCES.put(connection, sorted(changed.values(), key=itemgetter(0)))


def _repeated(connection: Connection, events: Sequence[Event], arrivals: Sequence[int]) -> Iterable[int]:
    """Return the events whose id was seen lately; remember the ids of the others."""
    asked = [at for at, event in enumerate(events) if event.event_id is not None]
    keys = _keys((events[at].event_id or "").encode() for at in asked)
    moments = [arrivals[at] for at in asked]
    return _known(connection, _SEEN_EVENTS, REMEMBERED, asked, keys, moments)


def _known(
    connection: Connection,
    table: Bulk,
    window: int,
    asked: Sequence[int],
    keys: Sequence[int],
    moments: Sequence[int],
) -> Iterable[int]:
    """Yield what was seen less than a window before or after its moment, then remember all else.

    A clock that was ahead and came back makes no difference, unless by more than the window.
    """
    seen = {key: moment for key, moment in table.find(connection, keys)}  # noqa: C416 rows are no pairs to mypy
    fresh = {}
    for at, key, moment in zip(asked, keys, moments, strict=True):
        last = seen.get(key)
        if last is not None and abs(moment - last) < window:
            yield at
        else:
            seen[key] = fresh[key] = moment
    table.put(connection, sorted(fresh.items(), key=itemgetter(0)))


def _add(connection: Connection, events: Sequence[Event]) -> None:
    """Add the events to their buckets, and to the places where they were shown."""
    if not events:
        return
    until = numbers(connection)["hours-until"]
    counts: defaultdict[tuple[int, str, str], int] = defaultdict(int)
    places: defaultdict[tuple[int, str, str, str, int, str, str], int] = defaultdict(int)
    for event in events:
        minute = event.at // MINUTE
        if minute < until:
            minute -= minute % 60
        counts[minute, event.article_id, event.type] += event.count
        if event.list is not None or event.from_id is not None:
            places[_place_of(event)] += event.count
    change = next_number(connection, "counts")
    COUNTS_BULK.put(connection, [(*bucket, n, change) for bucket, n in sorted(counts.items())])
    keys = _keys("\0".join(map(str, place)).encode() for place in places)
    rows = [(key, *place, n) for key, (place, n) in zip(keys, places.items(), strict=True)]
    _PLACEMENTS.put(connection, sorted(rows, key=itemgetter(0)))


def _place_of(event: Event) -> tuple[int, str, str, str, int, str, str]:
    """Return where and when an event was; what is not known is empty, or -1."""
    position = -1 if event.position is None else event.position
    where = event.from_id or "", event.article_id, event.list or "", position, event.model_version or ""
    return (event.at // HOUR, *where, event.type)


def _visit(event: Event) -> bytes:
    return (event.visitor or b"") + f"\0{event.type}\0{event.article_id}".encode()


def _share(event: Event, window: int) -> bytes:
    return (event.source or b"") + f"\0{window}\0{event.type}\0{event.article_id}".encode()


def _keys(things: Iterable[bytes]) -> tuple[int, ...]:
    """Return 64 bits of a hash of each."""
    digests = [blake2b(thing, digest_size=8).digest() for thing in things]
    return unpack(f"<{len(digests)}q", b"".join(digests))
