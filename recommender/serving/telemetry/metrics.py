"""The metrics that workers add up, by prometheus-client.

With `recommender serve`, the values of each worker are in files in a common folder
(prometheus-client's multiprocess mode), and every worker responds with those of all: counters and histograms
added, also of workers that have ended, gauges of the workers that run now. Otherwise, as in tests, the
metrics are those of one app.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from recommender.serving.telemetry.answers import Answer, AnswerRecords, observe_all
from recommender.settings import metrics_folder

_ANSWER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_WAIT_SECONDS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
_REFRESH_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_VERDICTS = ("accepted", "duplicate", "rejected")


class Metrics:
    """The metrics of one worker. `records` are the responses that it has still to count."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        disable_created_metrics()  # when each counter began, which only doubles the output
        self.records = AnswerRecords()
        self._lock = Lock()  # of counting
        self._registry = registry = CollectorRegistry(auto_describe=False)
        self._answers = Counter(
            "recommender_answers", "Responses", ["call", "status", "origin"], registry=registry
        )
        self._seconds = Histogram(
            "recommender_answer_seconds",
            "Time to respond, without sending",
            ["call"],
            buckets=_ANSWER_SECONDS,
            registry=registry,
        )
        self._items = Counter(
            "recommender_items", "Items in lists, by where they come from", ["source"], registry=registry
        )
        self._events = Counter("recommender_events", "Events", ["verdict"], registry=registry)
        for verdict in _VERDICTS:
            self._events.labels(verdict)
        self._store_failures = Counter(
            "recommender_store_failures", "Calls that the database did not complete", registry=registry
        )
        self._refresh = Histogram(
            "recommender_trending_refresh_seconds",
            "Time to read counts and prepare ranks",
            buckets=_REFRESH_SECONDS,
            registry=registry,
        )
        self._waits = Histogram(
            "recommender_queue_wait_seconds",
            "Time in a queue before a response was computed or refused",
            ["queue"],
            buckets=_WAIT_SECONDS,
            registry=registry,
        )
        self._ready = Gauge(
            "recommender_ready",
            "1 if all workers have a model",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._degraded = Gauge(
            "recommender_degraded",
            "1 while this part of the service is degraded in any worker",
            ["part"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._parts = parts

    def count_events(self, accepted: int, duplicate: int, rejected: int) -> None:
        """Count the events of a batch."""
        for verdict, count in zip(_VERDICTS, (accepted, duplicate, rejected), strict=True):
            self._events.labels(verdict).inc(count)

    def count_store_failure(self) -> None:
        """Count a call that the database did not complete."""
        self._store_failures.inc()

    def observe_refresh(self, seconds: float) -> None:
        """Observe a refresh of trending ranks."""
        self._refresh.observe(seconds)

    def waits_in(self, queue: str) -> Callable[[float], None]:
        """Return a function that observes the seconds of a wait in a queue."""
        return self._waits.labels(queue).observe

    def update(self, *, is_open: bool, degraded: tuple[str, ...]) -> None:
        """Count the responses since the last update, and set the state of this worker."""
        with self._lock:
            self._count(self.records.take())
        self._ready.set(is_open)
        for part in self._parts:
            self._degraded.labels(part).set(part in degraded)

    def _count(self, seconds_of: Mapping[Answer, list[float]]) -> None:
        """Count responses, each of which has its own `Answer` unless it was finished: first add them up."""
        answers, items = defaultdict[tuple[str, ...], int](int), defaultdict[str, int](int)
        seconds_of_call = defaultdict[str, list[float]](list)
        for answer, seconds in seconds_of.items():
            answers[answer.call, answer.status, answer.origin] += len(seconds)
            seconds_of_call[answer.call] += seconds
            for source, of_source in answer.sources:
                items[source] += of_source * len(seconds)
        for labels, count in answers.items():
            self._answers.labels(*labels).inc(count)
        for source, count in items.items():
            self._items.labels(source).inc(count)
        for call, of_call in seconds_of_call.items():
            observe_all(self._seconds.labels(call), of_call)

    def text(self, *others: Collector) -> bytes:
        """Return the metrics of all workers, and those of other collectors, in the format of Prometheus."""
        return generate_latest(self._of_all_workers(*others))

    def families(self) -> Iterable[Metric]:
        """Return the metrics of all workers."""
        return self._of_all_workers().collect()

    def _of_all_workers(self, *others: Collector) -> CollectorRegistry:
        folder, registry = metrics_folder(), CollectorRegistry(auto_describe=False)
        if folder is None or not folder.is_dir():  # somebody may have deleted it
            others = (self._registry, *others)
        else:
            for file in folder.glob("gauge_live*_*.db"):
                _forget_if_ended(int(file.stem.rpartition("_")[2]))
            MultiProcessCollector(registry, path=str(folder))
        for other in others:
            registry.register(other)
        return registry


def _forget_if_ended(pid: int) -> None:
    """Remove the gauges of a worker that has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        mark_process_dead(pid)
