"""The responses of a worker, recorded while it serves and counted soon after.

A cached response takes 15 µs in Python, and updating its metrics 10 µs. So a request only appends a record to
a queue, which takes 0.2 µs. Every half second, and at each request for metrics, the records are counted in
bulk: one update per metric, however many there are. A worker that is killed loses at most that half second.
"""

from bisect import bisect_left
from collections import Counter, deque
from typing import NamedTuple

from prometheus_client import Histogram

# In the WSGI environment: when the request arrived (perf_counter), where a response came from, and the
# sources of the items in its lists.
BEGUN, ORIGIN, SOURCES = "recommender.begun", "recommender.origin", "recommender.sources"
_MOST = 1 << 20  # records; a worker never has as many in half a second

ItemSources = tuple[tuple[str, int], ...]  # how many items of a response come from each source


class Answer(NamedTuple):
    """What is counted of a response."""

    call: str  # the name of its route
    status: str
    # `finished` before Flask, `cached` in the response cache, `computed`, or `other` for what is never cached
    origin: str
    sources: ItemSources = ()


class AnswerCounts(NamedTuple):
    """The responses since the last count."""

    answers: Counter[Answer]
    seconds: dict[str, list[float]]  # by call


class AnswerRecords:
    """The records of responses that are not counted yet. Threads may share it."""

    def __init__(self) -> None:
        self._records: deque[tuple[Answer, float]] = deque(maxlen=_MOST)
        self.add = self._records.append  # of an `Answer` and the seconds that it took; atomic

    def take(self) -> AnswerCounts:
        """Return the records so far, counted, and remove them."""
        counts = AnswerCounts(Counter(), {})
        for _ in range(len(self._records)):
            answer, seconds = self._records.popleft()
            counts.answers[answer] += 1
            counts.seconds.setdefault(answer.call, []).append(seconds)
        return counts


def observe_all(histogram: Histogram, values: list[float]) -> None:
    """Observe values at once: as `observe` of each, but with one update per bucket.

    The library has no call for this; a test compares the two.
    """
    bounds, buckets = histogram._upper_bounds, histogram._buckets  # noqa: SLF001
    for place, count in Counter(bisect_left(bounds, value) for value in values).items():
        buckets[place].inc(count)
    histogram._sum.inc(sum(values))  # noqa: SLF001
