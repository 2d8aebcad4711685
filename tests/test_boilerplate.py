"""Lines that recur in many bodies are left out of an article's terms, in training and online."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.article import Article
from recommender.boilerplate import line_keys, recurring_lines, without_lines
from recommender.recipe import Recipe
from recommender.training.train import train

NOTICE = "This report was produced by the regional agency. All rights reserved."
BYLINE = "By A. Reyes, 12 May 2026, 3 minutes"


some_lines = st.lists(st.sampled_from(["a", " a", "b", "c ", "", "7 b", "12 b"]), max_size=6)


@given(st.lists(some_lines, max_size=8), st.integers(1, 4))
def test_recurring_lines_equal_a_simple_count(bodies: list[list[str]], at_least: int) -> None:
    keys = {"a": "a", " a": "a", "b": "b", "c ": "c", "7 b": "0 b", "12 b": "0 b"}
    counts = Counter(key for body in bodies for key in {keys[line] for line in body if line})
    plain = sorted((pair for pair in counts.items() if pair[1] >= at_least), key=lambda at: (-at[1], at[0]))

    assert recurring_lines(["\n".join(body) for body in bodies], at_least) == plain


def test_lines_that_differ_in_numbers_are_the_same() -> None:
    assert line_keys(f"{BYLINE}\n\n Story ") == {"By A. Reyes, 0 May 0, 0 minutes", "Story"}
    assert without_lines(f"{BYLINE}\n\nStory", line_keys(BYLINE.replace("12", "7"))).strip() == "Story"


def test_a_body_that_consists_of_standing_text_stays_whole() -> None:
    assert without_lines(f"{NOTICE}\n{BYLINE}", line_keys(f"{NOTICE}\n{BYLINE}")) == f"{NOTICE}\n{BYLINE}"


@pytest.mark.slow
def test_standing_text_changes_no_list(sample_articles: list[Article]) -> None:
    clean = sample_articles[:100]
    dirty = [
        replace(article, body=f"{BYLINE}\n\n{article.body}\n\n{NOTICE}") if number % 3 else article
        for number, article in enumerate(clean)
    ]

    plain, left_out = train(clean).model, train(dirty).model
    kept = train(dirty, Recipe.model_validate({"terms": {"standing_lines": False}})).model

    assert left_out.manifest.standing_lines == [*line_keys(BYLINE), NOTICE]
    assert not kept.manifest.standing_lines
    ids = [article.id for article in clean]
    lists = [[model.similar(own, 5) for own in ids] for model in (plain, left_out, kept)]
    assert lists[0] == lists[1] != lists[2]
    new = replace(clean[0], id="new")
    assert left_out.similar(replace(new, body=f"{new.body}\n\n{NOTICE}")) == left_out.similar(new)
