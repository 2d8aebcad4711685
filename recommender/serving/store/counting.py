"""Event counting: duplicate events, repeat visits and events above a source's cap are not counted.

An event with a total, such as the views of a day so far, is remembered longer than counts are kept. So the
same total can be sent again at any time, by any caller, and only what was added since is counted.

To detect them, the store keeps only 64-bit hashes, in the order of arrival: of event ids, of readers together
with an article, and of sources. So old rows are deleted from one end, and the table does not show which
articles one reader has read. Counts are totals per bucket, not differences: a worker that reads a bucket
twice still has the right number.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import ceil
from operator import itemgetter
from struct import unpack

from sqlalchemy import Connection, Table

from recommender.serving.store.bulk import Bulk
from recommender.serving.store.numbers import next_number, numbers
from recommender.serving.store.rows import Event, Verdict
from recommender.serving.store.schema import (
    COUNTS,
    POSITION_COUNTS,
    SEEN_EVENTS,
    SEEN_VISITORS,
    SOURCES,
    TOTALS,
)

MINUTE = 60_000_000
HOUR = 60 * MINUTE
EVENT_ID_WINDOW = 48 * HOUR  # in which a repeated event_id is a duplicate
TOTAL_WINDOW = 9 * 24 * HOUR  # after the last change to a total; longer than events may be late
COUNTS_BULK = Bulk(COUNTS, "n = counts.n + excluded.n, change = excluded.change")

_SEEN_EVENTS = Bulk(SEEN_EVENTS)
_SEEN_VISITORS = Bulk(SEEN_VISITORS)
_SOURCES = Bulk(SOURCES, "n = excluded.n")
_TOTALS = Bulk(TOTALS)
_POSITION_COUNTS = Bulk(POSITION_COUNTS, "n = placements.n + excluded.n")

Batch = tuple[Sequence[Event], int]  # events, and the moment they arrived
_PositionKey = tuple[int, str, str, str, int, str, str]


@dataclass(frozen=True)
class Counting:
    """The rules for counting events; windows in microseconds."""

    visitor_window: int
    source_window: int
    source_cap: int
    weights: Mapping[str, float]  # by event type; other types weigh 1

    def count_all(self, connection: Connection, batches: list[Batch]) -> list[list[Verdict]]:
        """Count the events of all batches, as if one by one; return the verdicts for each batch."""
        events = [event for batch, _ in batches for event in batch]
        arrivals = [now for batch, now in batches for _ in batch]
        verdicts: list[Verdict] = ["counted"] * len(events)
        for position in _repeated_ids(connection, events, arrivals):
            verdicts[position] = "duplicate"
        for position, added in _added_to_totals(connection, events, arrivals):
            events[position] = replace(events[position], count=added)
            verdicts[position] = "counted" if added else "duplicate"
        for position in self._repeat_visits(connection, events, verdicts):
            verdicts[position] = "duplicate"
        for position in self._above_cap(connection, events, arrivals, verdicts):
            verdicts[position] = "capped"
        counted = [event for event, verdict in zip(events, verdicts, strict=True) if verdict == "counted"]
        _add(connection, counted)
        remaining = iter(verdicts)
        return [[next(remaining) for _ in batch] for batch, _ in batches]

    def seen_tables(self) -> tuple[tuple[Table, int], ...]:
        """Return the tables of what was seen before, each with the window its rows are used in."""
        return (
            (SEEN_EVENTS, EVENT_ID_WINDOW),
            (TOTALS, TOTAL_WINDOW),
            (SEEN_VISITORS, self.visitor_window),
            (SOURCES, self.source_window),
        )

    def _repeat_visits(
        self, connection: Connection, events: Sequence[Event], verdicts: Sequence[Verdict]
    ) -> Iterable[int]:
        """Yield the positions of events whose visitor was counted in the window; store the other visits."""
        positions = [
            position
            for position, event in enumerate(events)
            if event.visitor and verdicts[position] == "counted"
        ]
        keys = _hashes(_visit_key(events[position]) for position in positions)
        moments = [events[position].at for position in positions]
        return _seen_before(connection, _SEEN_VISITORS, self.visitor_window, positions, keys, moments)

    def _above_cap(
        self,
        connection: Connection,
        events: Sequence[Event],
        arrivals: Sequence[int],
        verdicts: Sequence[Verdict],
    ) -> Iterable[int]:
        """Yield the positions of events above their source's cap for article and type; add up the others.

        Events add up by weight. The first event of a type from a source always counts, even if its weight
        alone is above the cap.
        """
        positions = [
            position
            for position, event in enumerate(events)
            if event.source and verdicts[position] == "counted"
        ]
        windows = [arrivals[position] // self.source_window for position in positions]
        keys = _hashes(
            _cap_key(events[position], window) for position, window in zip(positions, windows, strict=True)
        )
        total_of = {key: n for key, _, n in _SOURCES.find(connection, keys)}
        changed = {}
        for position, window, key in zip(positions, windows, keys, strict=True):
            before = total_of.get(key, 0)
            after = before + events[position].count * ceil(self.weights.get(events[position].type, 1))
            if before and after > self.source_cap:
                yield position
            else:
                total_of[key] = after
                changed[key] = (key, window * self.source_window, after)
        _SOURCES.put(connection, sorted(changed.values(), key=itemgetter(0)))


def _repeated_ids(connection: Connection, events: Sequence[Event], arrivals: Sequence[int]) -> Iterable[int]:
    """Yield the positions of events whose id arrived before within the window; store the other ids."""
    positions = [
        position
        for position, event in enumerate(events)
        if event.event_id is not None and event.total is None
    ]
    keys = _hashes((events[position].event_id or "").encode() for position in positions)
    moments = [arrivals[position] for position in positions]
    return _seen_before(connection, _SEEN_EVENTS, EVENT_ID_WINDOW, positions, keys, moments)


def _added_to_totals(
    connection: Connection, events: Sequence[Event], arrivals: Sequence[int]
) -> Iterable[tuple[int, int]]:
    """Yield the positions of events with totals, each with what it adds to the highest total before."""
    positions = [position for position, event in enumerate(events) if event.total is not None]
    keys = _hashes((events[position].event_id or "").encode() for position in positions)
    highest = {key: n for key, _, n in _TOTALS.find(connection, keys)}
    raised = {}
    for position, key in zip(positions, keys, strict=True):
        total, before = events[position].total or 0, highest.get(key, 0)
        yield position, max(0, total - before)
        if total > before:
            highest[key] = total
            raised[key] = (key, arrivals[position], total)
    _TOTALS.put(connection, sorted(raised.values(), key=itemgetter(1, 0)))


def _seen_before(
    connection: Connection,
    table: Bulk,
    window: int,
    positions: Sequence[int],
    keys: Sequence[int],
    moments: Sequence[int],
) -> Iterable[int]:
    """Yield the positions whose key was seen less than a window before or after; store the other keys.

    The window counts in both directions, so a clock that is set back by less than a window does no harm.
    """
    seen = {key: moment for key, moment in table.find(connection, keys)}  # noqa: C416 mypy does not accept rows as pairs
    new = {}
    for position, key, moment in zip(positions, keys, moments, strict=True):
        last = seen.get(key)
        if last is not None and abs(moment - last) < window:
            yield position
        else:
            seen[key] = new[key] = moment
    table.put(connection, sorted(new.items(), key=itemgetter(0)))


def _add(connection: Connection, events: Sequence[Event]) -> None:
    """Add the events to the counts of their buckets, and to those of their positions in lists."""
    if not events:
        return
    hours_until = numbers(connection)["hours-until"]
    counts: defaultdict[tuple[int, str, str], int] = defaultdict(int)
    position_counts: defaultdict[_PositionKey, int] = defaultdict(int)
    for event in events:
        minute = event.at // MINUTE
        if minute < hours_until:
            minute -= minute % 60
        counts[minute, event.article_id, event.type] += event.count
        if event.list is not None or event.from_id is not None:
            position_counts[_position_key(event)] += event.count
    change = next_number(connection, "counts")
    COUNTS_BULK.put(connection, [(*bucket, n, change) for bucket, n in sorted(counts.items())])
    keys = _hashes("\0".join(map(str, position)).encode() for position in position_counts)
    rows = [(key, *position, n) for key, (position, n) in zip(keys, position_counts.items(), strict=True)]
    _POSITION_COUNTS.put(connection, sorted(rows, key=itemgetter(0)))


def _position_key(event: Event) -> _PositionKey:
    """Return the key of an event's position count; a missing text is empty, a missing position -1."""
    position = -1 if event.position is None else event.position
    place = event.from_id or "", event.article_id, event.list or "", position, event.model_version or ""
    return (event.at // HOUR, *place, event.type)


def _visit_key(event: Event) -> bytes:
    return (event.visitor or b"") + f"\0{event.type}\0{event.article_id}".encode()


def _cap_key(event: Event, window: int) -> bytes:
    return (event.source or b"") + f"\0{window}\0{event.type}\0{event.article_id}".encode()


def _hashes(keys: Iterable[bytes]) -> tuple[int, ...]:
    """Return a 64-bit hash of each key."""
    digests = [blake2b(key, digest_size=8).digest() for key in keys]
    return unpack(f"<{len(digests)}q", b"".join(digests))
