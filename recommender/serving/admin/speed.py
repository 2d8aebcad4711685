"""How fast the routes respond, and where the items of lists come from, since the service was started.

The numbers are those of `/metrics`, of all workers. Quantiles are interpolated between the bounds of the
histogram, as Prometheus does.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import get_args

from prometheus_client.core import Metric

from recommender.serving.lists.query import Source

SOURCES: tuple[str, ...] = get_args(Source)  # in the order in which lists are filled
_SECONDS, _ANSWERS, _ITEMS = "recommender_answer_seconds", "recommender_answers", "recommender_items"
_FAILED = "5"  # the first digit of the status


@dataclass(frozen=True, slots=True)
class RouteSpeed:
    """The responses of one route."""

    call: str  # its name, as in metrics
    answers: int
    median: float  # seconds; infinite above the last bound of the histogram
    p99: float  # likewise
    failed: int  # with a status of 500 or more


def route_speeds(families: Iterable[Metric]) -> list[RouteSpeed]:
    """Return the speed of each route that has responded, the slowest by p99 first."""
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    failed: dict[str, int] = defaultdict(int)
    for family in families:
        for sample in family.samples:
            call = sample.labels.get("call", "")
            if sample.name == f"{_SECONDS}_bucket":
                buckets[call][float(sample.labels["le"])] += sample.value
            elif sample.name == f"{_ANSWERS}_total" and sample.labels["status"].startswith(_FAILED):
                failed[call] += int(sample.value)
    speeds = [
        RouteSpeed(call, int(total), quantile(0.5, pairs), quantile(0.99, pairs), failed[call])
        for call, bounds in buckets.items()
        if (total := (pairs := sorted(bounds.items()))[-1][1])
    ]
    return sorted(speeds, key=lambda speed: (-speed.p99, speed.call))


def item_sources(families: Iterable[Metric]) -> list[tuple[str, int]]:
    """Return how many items of lists came from each source, in the order in which lists are filled."""
    counts = dict.fromkeys(SOURCES, 0)
    for family in families:
        for sample in family.samples:
            if sample.name == f"{_ITEMS}_total" and sample.labels["source"] in counts:
                counts[sample.labels["source"]] += int(sample.value)
    return list(counts.items())


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Return a quantile of a histogram: pairs of a bound and the number of values up to it, ascending."""
    rank = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            return inf if bound == inf else low + (bound - low) * (rank - below) / max(count - below, 1)
        low, below = bound, count
    return inf
