"""Events for the store, and readable forms of its counts."""

from collections import Counter

from recommender.serving.store import Event, Store

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOW = 30_000_000 * MINUTE


def view(article_id: str = "a", at: int = NOW, **fields: str | int | bytes | None) -> Event:
    """Return a view of an article."""
    return Event(article_id, "view", at, **fields)  # type: ignore[arg-type]


def totals(store: Store) -> dict[str, int]:
    """Return the sum of the counts of each article."""
    counts = store.counts()
    sums: Counter[str] = Counter()
    for code, n in zip(counts.article_codes, counts.counts, strict=True):
        sums[counts.article_ids[code]] += int(n)
    return dict(sums)


def buckets(store: Store, after: int = 0) -> dict[tuple[int, str, str], int]:
    """Return the count of each minute (from NOW on), article and type that changed after a number."""
    counts = store.counts(after)
    columns = zip(counts.minutes, counts.article_codes, counts.type_codes, counts.counts, strict=True)
    return {
        (int(minute) - NOW // MINUTE, counts.article_ids[article], counts.types[event_type]): int(n)
        for minute, article, event_type, n in columns
    }
