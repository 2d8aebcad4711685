"""Event counting, on SQLite and on PostgreSQL."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.serving.store import Event, PositionCount, Store, Verdict
from tests.support.counts import HOUR, MINUTE, NOW, SECOND, buckets, totals, view
from tests.support.laws import examples


def test_events_are_counted_by_minute_article_and_type(store: Store) -> None:
    events = [view(), view(at=NOW + 59 * SECOND), view(at=NOW + MINUTE), view("b", count=7)]

    verdicts = store.count([*events, replace(view(), type="click")], NOW)

    assert verdicts == ["counted"] * 5
    assert buckets(store) == {
        (0, "a", "view"): 2,
        (1, "a", "view"): 1,
        (0, "b", "view"): 7,
        (0, "a", "click"): 1,
    }


def test_counting_no_events_changes_nothing(store: Store) -> None:
    newest = store.counts().newest

    assert store.count([], NOW) == []
    assert store.counts().newest == newest


def test_an_event_id_counts_once_within_a_batch_and_for_48_hours(store: Store) -> None:
    event = view(event_id="1")

    assert store.count([event, event, view(event_id="2")], NOW) == ["counted", "duplicate", "counted"]
    assert store.count([event], NOW + 48 * HOUR - 1) == ["duplicate"]
    assert store.count([event], NOW + 48 * HOUR) == ["counted"]
    assert store.count([event], NOW + 50 * HOUR) == ["duplicate"]
    assert totals(store) == {"a": 3}


def test_of_a_total_only_what_it_adds_to_the_highest_before_is_counted(store: Store) -> None:
    first = view(event_id="day", total=100)

    assert store.count([first, first], NOW) == ["counted", "duplicate"]
    assert store.count([replace(first, total=250), replace(first, total=40)], NOW) == ["counted", "duplicate"]
    assert store.count([replace(first, event_id="next", total=3)], NOW) == ["counted"]
    assert totals(store) == {"a": 253}


def test_a_total_is_remembered_for_longer_than_counts_are_kept(store: Store) -> None:
    store.count([view(event_id="day", total=100)], NOW)

    store.prune(NOW + 9 * 24 * HOUR - 1)
    assert store.count([view(event_id="day", total=100)], NOW + 9 * 24 * HOUR - 1) == ["duplicate"]
    store.prune(NOW + 10 * 24 * HOUR)
    assert store.count([view(event_id="day", total=100)], NOW + 10 * 24 * HOUR) == ["counted"]


def test_a_total_and_an_event_with_the_same_event_id_do_not_meet(store: Store) -> None:
    assert store.count([view(event_id="day")], NOW) == ["counted"]
    assert store.count([view(event_id="day", total=5)], NOW) == ["counted"]
    assert totals(store) == {"a": 6}


def test_a_visitor_counts_once_per_article_and_type_in_the_window(store: Store) -> None:
    again = view(visitor=b"v")

    assert store.count([again, again], NOW) == ["counted", "duplicate"]
    assert store.count([replace(again, at=NOW + 30 * MINUTE - 1)], NOW) == ["duplicate"]
    assert store.count([replace(again, article_id="b"), replace(again, type="click")], NOW) == ["counted"] * 2
    assert store.count([replace(again, visitor=b"w")], NOW) == ["counted"]
    assert store.count([replace(again, at=NOW + 30 * MINUTE)], NOW) == ["counted"]


def test_the_window_of_a_visitor_can_be_set(database_url: str) -> None:
    store = Store(database_url, visitor_window_minutes=1)
    store.count([view(visitor=b"v")], NOW)

    assert store.count([view(visitor=b"v", at=NOW + MINUTE)], NOW) == ["counted"]
    store.close()


def test_every_event_without_a_visitor_counts(store: Store) -> None:
    assert store.count([view(), view()], NOW) == ["counted", "counted"]


def test_a_retry_does_not_start_a_new_window_for_its_visitor(store: Store) -> None:
    first = view(event_id="1", visitor=b"v")
    store.count([first], NOW)

    store.count([replace(first, at=NOW + 20 * MINUTE)], NOW + 20 * MINUTE)

    assert store.count([view(visitor=b"v", at=NOW + 31 * MINUTE)], NOW + 31 * MINUTE) == ["counted"]


def test_a_source_counts_up_to_its_cap_per_article_and_window(store: Store) -> None:
    flood = [view(source=b"s", visitor=bytes([number])) for number in range(5)]

    assert store.count(flood[:2], NOW) == ["counted"] * 2
    assert store.count(flood[2:], NOW) == ["counted"] + ["capped"] * 2
    assert store.count([view("b", source=b"s"), view(source=b"t"), view()], NOW) == ["counted"] * 3
    assert store.count([view(source=b"s")], NOW + 30 * MINUTE) == ["counted"]
    assert totals(store) == {"a": 6, "b": 1}


def test_a_duplicate_does_not_count_towards_the_cap(store: Store) -> None:
    duplicates = [view(source=b"s", visitor=b"v")] * 20

    store.count(duplicates, NOW)

    assert store.count([view(source=b"s")] * 3, NOW) == ["counted"] * 2 + ["capped"]


def test_the_cap_applies_to_each_type_by_weight_and_the_first_event_always_counts(database_url: str) -> None:
    store = Store(database_url, source_cap=4, source_window_minutes=60, weights={"like": 2.5, "share": 9})

    def verdicts(article_id: str, *types: str) -> list[Verdict]:
        events = [Event(article_id, event_type, NOW, source=b"s") for event_type in types]
        return store.count(events, NOW)

    assert verdicts("a", *["view"] * 5) == ["counted"] * 4 + ["capped"]
    assert verdicts("a", "like", "like", "share", "share") == ["counted", "capped"] * 2
    assert verdicts("b", "share", "view", "like") == ["counted"] * 3
    store.close()


def test_duplicates_are_recognized_after_a_clock_is_set_back(store: Store) -> None:
    event = view(event_id="1", visitor=b"v", source=b"s")
    store.count([event], NOW)

    assert store.count([event], NOW - HOUR) == ["duplicate"]
    assert store.count([replace(event, event_id="2", at=NOW - 10 * MINUTE)], NOW - 10 * MINUTE) == [
        "duplicate"
    ]
    assert store.count([replace(event, event_id="3", at=NOW - HOUR)], NOW - HOUR) == ["counted"]


def test_buckets_that_changed_after_a_number_are_returned_with_their_total_counts(
    store: Store, other: Store
) -> None:
    store.count([view(), view("b")], NOW)
    first = other.counts()

    store.count([view()], NOW)

    assert first.complete
    second = other.counts(first.newest)
    assert (second.complete, second.newest > first.newest) == (False, True)
    assert buckets(other, first.newest) == {(0, "a", "view"): 2}
    assert buckets(other, second.newest) == {}


def test_a_change_number_of_another_database_returns_all_counts(store: Store) -> None:
    store.count([view()], NOW)
    newest = store.counts().newest

    for foreign in (1, newest + 1):
        assert store.counts(foreign).complete
        assert buckets(store, foreign) == {(0, "a", "view"): 1}


def test_events_in_lists_are_counted_by_position_and_model(store: Store) -> None:
    click = Event("b", "click", NOW, from_id="a", list="related", position=2, model_version="m")
    shown = replace(click, type="view", from_id=None, position=None, model_version=None)

    store.count([click, replace(click, at=NOW + MINUTE), shown, view()], NOW)

    hour = NOW // HOUR
    assert sorted(store.position_counts(), key=lambda count: count.type) == [
        PositionCount(hour, "a", "b", "related", 2, "m", "click", 2),
        PositionCount(hour, None, "b", "related", None, None, "view", 1),
    ]
    assert store.position_counts(NOW + HOUR) == []


def test_the_longest_texts_that_a_caller_may_send_are_stored(store: Store) -> None:
    texts = [
        "".join(chr(0x20000 + (position * 7919 + text) % 40000) for position in range(256))
        for text in range(4)
    ]
    click = Event(texts[0][:128], "click", NOW, from_id=texts[1][:128], list=texts[2], model_version=texts[3])

    store.count([click, click], NOW)

    (count,) = store.position_counts()
    assert (count.list, count.model_version, count.count) == (texts[2], texts[3], 2)


def test_the_salt_changes_daily_and_is_the_same_for_all_workers(store: Store, other: Store) -> None:
    today = store.salt(NOW)

    assert len(today) == 32
    assert other.salt(NOW + SECOND) == today
    tomorrow = other.salt(NOW + 24 * HOUR)
    assert tomorrow == store.salt(NOW + 24 * HOUR) != today
    assert store.salt(NOW) not in {today, tomorrow}  # the first was deleted, even for a clock set back


class Ledger:
    """The expected verdicts, computed the obvious way: one event after the other, with all of them stored."""

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.visits: defaultdict[tuple[bytes, str, str], list[int]] = defaultdict(list)
        self.caps: Counter[tuple[bytes, str, str, int]] = Counter()

    def count(self, event: Event, now: int) -> Verdict:
        if event.event_id is not None:
            if event.event_id in self.events and abs(now - self.events[event.event_id]) < 48 * HOUR:
                return "duplicate"
            self.events[event.event_id] = now
        if event.visitor is not None:
            visits = self.visits[event.visitor, event.article_id, event.type]
            if visits and abs(event.at - visits[-1]) < 30 * MINUTE:
                return "duplicate"
            visits.append(event.at)
        if event.source is not None:
            cap = event.source, event.article_id, event.type, now // (30 * MINUTE)
            weight = event.count * (1 if event.type in {"view", "click"} else 5)
            if self.caps[cap] and self.caps[cap] + weight > 3:
                return "capped"
            self.caps[cap] += weight
        return "counted"


EVENTS = st.builds(
    Event,
    article_id=st.sampled_from("ab"),
    type=st.sampled_from(["view", "click", "share"]),
    at=st.integers(0, 4).map(lambda quarter: NOW + quarter * 15 * MINUTE),
    count=st.integers(1, 3),
    event_id=st.none() | st.sampled_from("123456"),
    visitor=st.none() | st.sampled_from([b"v", b"w"]),
    source=st.none() | st.sampled_from([b"s", b"t"]),
)
BATCHES = st.lists(st.tuples(st.lists(EVENTS, max_size=8), st.integers(0, 3)), max_size=4)


@settings(
    max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=BATCHES)
def test_batches_are_counted_as_if_each_event_arrived_alone(
    store: Store, batches: list[tuple[list[Event], int]]
) -> None:
    key = str(store.counts().newest)  # makes ids unique to this example
    ledger = Ledger()
    before = totals(store)
    added: Counter[str] = Counter()
    for events, days in batches:
        now = NOW + days * 24 * HOUR
        unique = [_unique(event, key) for event in events]

        verdicts = store.count(unique, now)

        assert verdicts == [ledger.count(event, now) for event in unique]
        added.update(_sums(unique, verdicts))
    assert totals(store) == dict(Counter(before) + added)


def _unique(event: Event, key: str) -> Event:
    return replace(
        event,
        event_id=event.event_id and event.event_id + key,
        visitor=event.visitor and event.visitor + key.encode(),
        source=event.source and event.source + key.encode(),
    )


def _sums(events: Sequence[Event], verdicts: Sequence[Verdict]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for event, verdict in zip(events, verdicts, strict=True):
        if verdict == "counted":
            sums[event.article_id] += event.count
    return sums
