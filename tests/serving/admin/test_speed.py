"""Quantiles of calls and sources of items, from the metrics of the service."""

from math import inf

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from recommender.serving.admin.speed import RouteSpeed, item_sources, quantile, route_speeds
from recommender.serving.admin.words import duration, percent


def test_quantiles_are_interpolated_between_bounds() -> None:
    buckets = [(0.1, 50.0), (0.2, 100.0), (inf, 100.0)]

    assert quantile(0.5, buckets) == pytest.approx(0.1)
    assert quantile(0.75, buckets) == pytest.approx(0.15)
    assert quantile(0.99, [(0.1, 1.0), (inf, 2.0)]) == inf


def test_the_slowest_route_comes_first_and_failures_are_counted() -> None:
    registry = CollectorRegistry()
    seconds = Histogram("recommender_answer_seconds", "x", ["call"], buckets=(0.1, 1), registry=registry)
    answers = Counter("recommender_answers", "x", ["call", "status", "origin"], registry=registry)
    items = Counter("recommender_items", "x", ["source"], registry=registry)
    for call, value in (("fast", 0.01), ("slow", 0.5), ("slow", 0.5)):
        seconds.labels(call).observe(value)
    seconds.labels("never")
    answers.labels("slow", "503", "computed").inc()
    answers.labels("slow", "404", "computed").inc(3)
    items.labels("similar").inc(3)

    speeds = route_speeds(registry.collect())

    assert [(speed.call, speed.answers, speed.failed) for speed in speeds] == [("slow", 2, 1), ("fast", 1, 0)]
    assert isinstance(speeds[0], RouteSpeed)
    assert 0.1 < speeds[0].p99 <= 1
    assert dict(item_sources(registry.collect())) == {
        "pin": 0,
        "similar": 3,
        "same_category": 0,
        "trending": 0,
        "recent": 0,
    }


def test_numbers_are_shown_in_words() -> None:
    assert [duration(each) for each in (0.00084, 0.012, 1.25, inf)] == [
        "0.8 ms",
        "12 ms",
        "1.2 s",
        "over 5 s",
    ]
    assert [percent(each) for each in (0, 0.0001, 0.04, 0.5, 0.999, 1)] == [
        *("0 %", "under 0.1 %", "4.0 %", "50 %", "99.9 %", "100 %"),
    ]
