"""Standing lines are learnt and left out in bulk like by a slow and obvious implementation."""

from collections.abc import Sequence

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.boilerplate import line_keys, without_lines
from recommender.training.terms.standing import key_hashes, without_lines_of, without_standing_lines
from recommender.training.terms.texts import Texts
from tests.support.laws import examples
from tests.support.slow_standing import slow_standing_lines

NOTICE = "This report was produced by the regional agency. All rights reserved."
# Parts of bodies: lines, sentences that end in several ways, numbers, and white space of all kinds.
PARTS = (
    "The ferry sails at noon every day.", "Harbour news of 12 May 2026!", "Harbour news of 7 May 1999!", "a",
    "b.", "?", "港の新しい知らせが届きました。", "読む！", "Wide？", "00", "1", "é", "\U0001f4f0", "",
    "\n", "\n\n", " ", "  ", "\t", "\r", "\x0b", "\x1c", "\x85", "\xa0", "\u2003", "\u2028", "\u3000",
)  # fmt: skip
bodies_of_parts = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)
long_bodies = st.tuples(
    bodies_of_parts, st.sampled_from(["", "x" * 2_990, "é" * 2_995 + "\n"]), bodies_of_parts
).map("".join)


def texts_of(bodies: Sequence[str], titles: Sequence[str] = ()) -> Texts:
    titles = titles or [""] * len(bodies)
    return Texts.of(
        [Article(id="1", title=title or "-", body=body) for title, body in zip(titles, bodies, strict=True)]
    )


def learnt(bodies: Sequence[str], titles: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    keys, texts = without_standing_lines(texts_of(bodies, titles), threads=2)
    return keys, texts.bodies()


@given(
    st.lists(
        st.tuples(
            long_bodies,
            st.sampled_from(
                ["", "Harbour news of 3 May 1!", "\n The ferry sails at noon every day.", "a\nb"]
            ),
        ),
        max_size=8,
    ),
    st.integers(1, 3),
)
@example([("Harbour news of 12 May 2026!", "")] * 5, 5)
@settings(deadline=None, max_examples=examples(60))
def test_lines_learnt_in_bulk_equal_those_learnt_slowly(articles: list[tuple[str, str]], copies: int) -> None:
    # With a number, so that bodies differ, and their lines do not.
    bodies = [f"{body}\n{number}" if body else "" for body, _ in articles for number in range(copies)]
    titles = [title for _, title in articles for _ in range(copies)]

    assert learnt(bodies, titles) == slow_standing_lines(bodies, titles)


@given(
    st.lists(bodies_of_parts, max_size=5),
    st.frozensets(bodies_of_parts.map(lambda body: body.split("\n")[0]), max_size=5),
)
@example(["New story\nThe ferry sails at noon every day. Why?\nWide\nEnd"], frozenset())
@settings(deadline=None, max_examples=examples(60))
def test_lines_are_left_out_in_bulk_as_online(bodies: list[str], lines: frozenset[str]) -> None:
    keys = {key for line in [*lines, *PARTS[:5], *PARTS[6:9]] for key in line_keys(line)}
    block = texts_of(bodies).blocks

    cut = [without_lines_of(part, np.ones(len(part), dtype=bool), key_hashes(keys)) for part in block]

    assert Texts(cut).bodies() == [without_lines(body, keys) for body in bodies]


def test_a_line_in_five_bodies_and_in_one_percent_of_them_is_standing_text() -> None:
    bodies = [f"Story {'x' * number}\n\n{NOTICE if number < 5 else ''}" for number in range(500)]

    assert learnt(bodies)[0] == [NOTICE]
    assert learnt([*bodies, "One more story"])[0] == []
    assert learnt(bodies[:4])[0] == []


def test_standing_text_within_the_last_paragraph_is_found_by_sentence() -> None:
    bodies = [
        f"Opening {number}.\nThe story number {'x' * number} ended here. {NOTICE}" for number in range(20)
    ]

    keys, others = learnt(bodies)

    assert set(keys) == {"Opening 0.", *NOTICE.replace("agency. ", "agency.|").split("|")}
    assert others[3] == "The story number xxx ended here."
    assert without_lines(f"New. Another end. {NOTICE}", keys) == "New. Another end."


def test_a_line_that_is_the_title_of_another_article_is_a_link_to_it() -> None:
    titles = ["Ferry strike enters week 2", "Court hears bridge case", "Sport"]
    bodies = [
        f"{titles[0]}\nCrews rest.\n {titles[1]} \nSport\nMore.",
        "Judges met.\nFerry strike enters week 3",
        "",
    ]

    keys, others = learnt(bodies, titles)

    assert keys == ["Court hears bridge case", "Ferry strike enters week 0"]
    assert others == ["Crews rest.\nSport\nMore.", "Judges met.", ""]


def test_a_body_that_is_published_many_times_counts_once() -> None:
    assert learnt([f"{NOTICE}\n\nStory"] * 50) == ([], [f"{NOTICE}\n\nStory"] * 50)


def test_a_short_sentence_with_the_key_of_a_line_is_left_out_of_every_body_as_online() -> None:
    bodies = [f"Ferry {number} sails.\nPhoto: AP" for number in "abcdefgh"]
    odd = "The ferry sails. Photo: AP"  # no line of its own, and too short to be learnt as a sentence

    keys, cut = learnt([*bodies, odd], [""] * 9)

    assert keys == ["Photo: AP"]
    assert cut[-1] == without_lines(odd, keys) != odd
