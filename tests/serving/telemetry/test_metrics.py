"""Responses are counted in bulk as they would be one by one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.telemetry.answers import Answer
from recommender.serving.telemetry.metrics import Metrics

_answers = st.builds(
    Answer,
    st.sampled_from(["related", "page"]),
    st.sampled_from(["200", "304"]),
    st.sampled_from(["finished", "computed"]),
    st.sampled_from([(), (("similar", 9),), (("similar", 2), ("recent", 7))]),
)


@given(answers=st.lists(_answers, max_size=30), again=st.lists(st.integers(0, 29), max_size=30))
def test_equal_responses_are_added_up_whether_or_not_they_share_an_answer(
    answers: list[Answer], again: list[int]
) -> None:
    recorded = [*answers, *(answers[number] for number in again if number < len(answers))]
    metrics = Metrics(("store",))
    for number, answer in enumerate(recorded):
        metrics.records.add((answer, float(number)))
    metrics.update(is_open=True, degraded=())
    metrics.update(is_open=True, degraded=())

    value_of = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.families()
        for sample in family.samples
    }
    calls = Counter((answer.call, answer.status, answer.origin) for answer in recorded)
    items = Counter[str]()
    seconds = Counter[str]()
    for number, answer in enumerate(recorded):
        items.update(dict(answer.sources))
        seconds[answer.call] += number
    assert {labels: value_of["recommender_answers_total", *labels] for labels in calls} == dict(calls)
    assert {source: value_of["recommender_items_total", source] for source in items} == dict(items)
    for call, total in seconds.items():
        assert value_of["recommender_answer_seconds_sum", call] == total
        of_call = sum(count for (name, *_), count in calls.items() if name == call)
        assert value_of["recommender_answer_seconds_count", call] == of_call
