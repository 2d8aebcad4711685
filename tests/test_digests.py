"""Digests: the keys of titles, the series they form, and which series are digests."""

import numpy as np
import pytest

from recommender.digests import is_digest, penalty, series_of, title_keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Morning briefing: Toll bridge opens", "Morning briefing: Nurses strike"),
        ("Corona-Zahlen vom 3. März", "Corona-Zahlen vom 14. April"),
        ("Live blog: day 12", "Live blog: day 3"),
        ("Bridge and more – What you missed", "Storm and more – What you missed"),
        ("The podcast #7 | Courier", "The podcast #81 | Courier"),
        ("今日のニュース 3月1日", "今日のニュース 4月2日"),
    ],
)
def test_titles_of_a_series_have_a_key_in_common(one: str, other: str) -> None:
    assert title_keys(one) & title_keys(other)


@pytest.mark.parametrize("title", ["", "!!!", "—"])
def test_a_title_without_words_has_no_key(title: str) -> None:
    assert title_keys(title) == set()


def test_five_titles_form_a_series() -> None:
    titles = [f"Morning briefing: {subject}" for subject in ("bridge", "ferry", "nurse", "storm", "vote")]

    series = series_of(["Ferry sinks", *titles])

    assert {key: rows.tolist() for key, rows in series.items()} == {"morning briefing": [1, 2, 3, 4, 5]}
    assert series_of(titles[:4]) == {}


def test_a_series_is_a_digest_if_the_nearest_articles_of_most_members_are_unrelated() -> None:
    near = np.full(5, 0.4)

    assert is_digest(near, np.array([0.1, 0.1, 0.1, 0.2, 0.4]))
    assert not is_digest(near, np.array([0.1, 0.1, 0.2, 0.3, 0.4]))
    assert not is_digest(near[:4], np.full(4, 0.1))


def test_the_penalty_leaves_a_digest_with_the_similarity_of_its_nearest_articles() -> None:
    assert penalty(np.array([0.5, 0.1]), np.array([0.125, 0.3])).tolist() == [0.375, 0.0]
