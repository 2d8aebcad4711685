"""Every story has its picture, always the same, in the colours of its section."""

import re

from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.site.artwork import artwork


@given(st.text(), st.integers(-1, 10_000))
def test_a_picture_is_a_sky_and_four_shapes(article_id: str, category: int) -> None:
    picture = artwork(article_id, category)

    assert picture == artwork(article_id, category)
    assert len(picture.shapes) == 4
    assert all(re.fullmatch(r"[MmLlHhVvCcQqAaz0-9. -]+", shape.path) for shape in picture.shapes)


def test_stories_of_a_section_share_its_colours_and_differ_in_shape() -> None:
    pictures = [artwork(str(number), 3) for number in range(50)]

    assert len({picture.sky for picture in pictures}) == 1
    assert len({picture.shapes for picture in pictures}) == 50
