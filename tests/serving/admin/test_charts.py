"""The geometry of charts: inside their drawing, in proportion, and without overlap."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.serving.admin.charts import bubble_map, spark_line, stacked_bar, time_line
from tests.support.newsroom import NOW


@settings(max_examples=10)
@given(st.lists(st.integers(0, 5000), max_size=30), st.integers(1, 4), st.booleans())
def test_bubbles_are_inside_the_map_and_hardly_overlap(sizes: list[int], width: int, equal: bool) -> None:  # noqa: FBT001
    vectors = np.zeros((len(sizes), width)) if equal else np.random.default_rng(3).random((len(sizes), width))

    shown = bubble_map(vectors.astype(np.float32), sizes, ["Harbour news"] * len(sizes), 1000)

    assert [bubble.number for bubble in shown.bubbles] == list(range(len(sizes)))
    for bubble in shown.bubbles:
        assert bubble.radius > 0
        assert bubble.x - bubble.radius >= 0
        assert bubble.x + bubble.radius <= shown.width
        assert bubble.y - bubble.radius >= 0
        assert bubble.y + bubble.radius <= shown.height
    for first in shown.bubbles:
        for second in shown.bubbles[first.number + 1 :]:
            distance = np.hypot(first.x - second.x, first.y - second.y)
            assert distance > 0.8 * (first.radius + second.radius)


def test_areas_are_in_proportion_and_similar_topics_near() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [-1, 0]], dtype=np.float32)

    first, similar, other = bubble_map(vectors, [400, 100, 100], ["A", "B", "C"], 1000).bubbles

    assert first.radius / similar.radius == pytest.approx(2, rel=0.02)
    assert abs(first.x - similar.x) < abs(first.x - other.x)


def test_a_time_line_has_a_point_for_each_value_and_a_small_change_looks_small() -> None:
    moments = [NOW + timedelta(days=day) for day in (0, 1, 4)]

    line = time_line(moments, [0.5, 0.5002, 0.5], ["a", "b", "c"], 300, 90)
    single = time_line(moments[:1], [0.7], ["a"], 300, 90)

    assert [point.x for point in line.points] == [6, 78, 294]
    assert abs(line.points[0].y - line.points[1].y) < 1
    assert (single.points[0].x, single.points[0].y) == (150, 45)
    assert time_line([], [], [], 300, 90).path == ""


def test_a_spark_line_begins_at_zero() -> None:
    assert [point.y for point in spark_line([0, 5, 10], 100, 22).points] == [21, 11, 1]
    assert {point.y for point in spark_line([0, 0], 100, 22).points} == {21}
    assert spark_line([], 100, 22).area == ""


@given(st.lists(st.integers(0, 10**9), max_size=6))
def test_the_segments_of_a_bar_fill_it(counts: list[int]) -> None:
    segments = stacked_bar([(str(number), count) for number, count in enumerate(counts)])

    assert len(segments) == (len(counts) if any(counts) else 0)
    assert sum(segment.width for segment in segments) == pytest.approx(100 if segments else 0, abs=0.01)
