"""The responses of a worker, recorded while it serves and counted soon after.

Updating the metrics of a cached response would take about as long as finding it. So a request only appends a
record to a queue. Every half second, and at each request for metrics, the records are counted in
bulk: one update per metric, however many there are. A worker that is killed loses at most that half second.
"""

from collections import defaultdict, deque
from dataclasses import dataclass

import numpy as np
from prometheus_client import Histogram

# In the WSGI environment: when the request arrived (perf_counter), where a response came from, and the
# sources of the items in its lists.
BEGUN, ORIGIN, SOURCES = "recommender.begun", "recommender.origin", "recommender.sources"
_MOST = 1 << 20  # records; a worker never has as many in half a second

ItemSources = tuple[tuple[str, int], ...]  # how many items of a response come from each source


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is counted of a response. Equal responses may share it, which makes counting fast."""

    call: str  # the name of its route
    status: str
    # `finished` before Flask, `cached` in the response cache, `computed`, or `other` for what is never cached
    origin: str
    sources: ItemSources = ()


class AnswerRecords:
    """The records of responses that are not counted yet. Threads may share it."""

    def __init__(self) -> None:
        self._records: deque[tuple[Answer, float]] = deque(maxlen=_MOST)
        self.add = self._records.append  # of an `Answer` and the seconds that it took; atomic

    def take(self) -> dict[Answer, list[float]]:
        """Return the seconds of the responses so far, by what is counted of them, and remove the records."""
        seconds_of = defaultdict[Answer, list[float]](list)
        for _ in range(len(self._records)):
            answer, seconds = self._records.popleft()
            seconds_of[answer].append(seconds)
        return seconds_of


def observe_all(histogram: Histogram, values: list[float]) -> None:
    """Observe values at once: as `observe` of each, but with one update per bucket.

    The library has no call for this; a test compares the two.
    """
    bounds, buckets = histogram._upper_bounds, histogram._buckets  # noqa: SLF001
    counts = np.bincount(np.searchsorted(bounds, values), minlength=len(bounds))
    for place in np.flatnonzero(counts).tolist():
        buckets[place].inc(int(counts[place]))
    histogram._sum.inc(sum(values))  # noqa: SLF001
