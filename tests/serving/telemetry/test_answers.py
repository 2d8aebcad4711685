"""Records of responses are counted in bulk as they would be one by one."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from recommender.serving.telemetry.answers import observe_all

BOUNDS = (0.001, 0.01, 0.25, 5)


def histogram() -> tuple[Histogram, CollectorRegistry]:
    registry = CollectorRegistry(auto_describe=False)
    return Histogram("seconds", "x", buckets=BOUNDS, registry=registry), registry


@given(st.lists(st.sampled_from((0, *BOUNDS, 0.002, 4, 5.5, 1e9))))
def test_values_observed_at_once_are_observed_one_by_one(values: list[float]) -> None:
    (at_once, first), (one_by_one, second) = histogram(), histogram()

    observe_all(at_once, values)
    for value in values:
        one_by_one.observe(value)

    without_sum = [
        [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
        for registry in (first, second)
    ]
    assert without_sum[0] == without_sum[1]
