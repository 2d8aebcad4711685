"""Responses are joined from parts that are JSON already."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.http.responses import rendered, to_bytes

values = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
)


@given(st.lists(st.tuples(st.text(max_size=5), values), max_size=4))
def test_joined_parts_are_the_bytes_of_the_whole(members: list[tuple[str, Any]]) -> None:
    whole = dict(members)

    joined = {name: rendered(value) for name, value in whole.items()}
    several = {"items": [rendered(value) for value in whole.values()]}

    assert to_bytes(joined) == to_bytes(whole)
    assert to_bytes(several) == to_bytes({"items": list(whole.values())})
    assert json.loads(to_bytes(joined).decode(errors="replace")) is not None


def test_a_part_too_deep_in_a_response_is_an_error() -> None:
    with pytest.raises(TypeError):
        to_bytes({"a": {"b": {"c": rendered(1)}}})
