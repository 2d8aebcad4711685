"""Articles by date: which are public, which are next to each other, and pages across equal dates."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.article import Article
from recommender.model import Articles, microseconds
from recommender.serving.http.parameters import cursor_after, read_cursor
from recommender.serving.index.documents import Documents
from recommender.serving.index.timeline import Timeline
from tests.support.newsroom import NOW

HOURS = st.lists(st.none() | st.integers(-4, 4), min_size=1, max_size=12)


def _articles(hours: list[int | None]) -> list[Article]:
    """Return an article for each hour before (or, negative, after) now; None: undated."""
    return [
        Article(
            id=f"{number:02}",
            title="x",
            published_at=None if age is None else NOW - timedelta(hours=age),
        )
        for number, age in enumerate(hours)
    ]


def _newest(articles: list[Article]) -> list[int]:
    """Return the rows of the public articles, newest first, equal dates in id order, undated last."""
    last = datetime(1000, 1, 1, tzinfo=UTC)
    public = [
        row
        for row, article in enumerate(articles)
        if article.published_at is None or article.published_at <= NOW
    ]
    return sorted(public, key=lambda row: ((last - (articles[row].published_at or last)), row))


def _timeline(articles: list[Article]) -> Timeline:
    return Timeline(Documents.of(Articles.of(articles)))


@given(HOURS, st.integers(-6, 6))
def test_the_median_age_is_the_lower_median_of_all_ages(hours: list[int | None], reference: int) -> None:
    ages = sorted(abs(age - reference) for age in hours if age is not None)
    middle = timedelta(hours=ages[(len(ages) - 1) // 2]) if ages else timedelta()

    median = _timeline(_articles(hours)).median_age(microseconds(NOW - timedelta(hours=reference)))

    assert timedelta(microseconds=median) == middle


@given(HOURS)
def test_a_page_lists_the_public_articles_newest_first(hours: list[int | None]) -> None:
    articles = _articles(hours)

    page = _timeline(articles).page(np.ones(len(hours), dtype=bool), len(hours), NOW)

    assert page == _newest(articles)


@given(HOURS, st.integers(1, 5))
def test_pages_by_cursor_add_up_to_the_whole(hours: list[int | None], limit: int) -> None:
    columns = Articles.of(_articles(hours))
    timeline, mask = Timeline(Documents.of(columns)), np.ones(len(hours), dtype=bool)
    seen = timeline.page(mask, limit, NOW)
    while (
        len(page := timeline.page(mask, limit, NOW, _cursor_of(columns, seen[-1]) if seen else None)) and seen
    ):
        seen += page

    assert seen == _newest(_articles(hours))


def _cursor_of(columns: Articles, row: int) -> tuple[int, str]:
    return read_cursor(cursor_after(int(columns.published[row]), columns.ids[row]))


@given(HOURS)
def test_the_articles_beside_another_are_the_next_older_and_newer(hours: list[int | None]) -> None:
    articles = _articles(hours)
    dated = [row for row in _newest(articles) if articles[row].published_at]
    timeline = _timeline(articles)

    beside = [timeline.older_and_newer(row, NOW) for row in dated]

    older: list[int | None] = [*dated[1:], None]
    newer: list[int | None] = [None, *dated[:-1]]
    assert beside == list(zip(older, newer, strict=True))[: len(dated)]


@given(HOURS, st.data())
def test_the_articles_beside_another_may_be_limited_to_a_mask(
    hours: list[int | None], data: st.DataObject
) -> None:
    articles = _articles(hours)
    dated = [row for row in _newest(articles) if articles[row].published_at]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(hours), max_size=len(hours))))
    timeline = _timeline(articles)

    for position, row in enumerate(dated):
        older = next((other for other in dated[position + 1 :] if mask[other]), None)
        newer = next((other for other in reversed(dated[:position]) if mask[other]), None)
        assert timeline.older_and_newer(row, NOW, mask) == (older, newer)


def test_an_undated_article_has_nothing_beside_it() -> None:
    timeline = _timeline(_articles([1, None, 2]))

    assert timeline.older_and_newer(1, NOW) == (None, None)


def test_a_cursor_of_a_deleted_article_still_finds_its_position() -> None:
    articles = _articles([2, 1, 1, 1])
    columns = Articles.of(articles)
    timeline = _timeline([articles[0], articles[1], articles[3]])

    page = timeline.page(np.ones(3, dtype=bool), 3, NOW, _cursor_of(columns, 2))

    assert page == [2, 0]


def test_as_of_is_the_start_of_the_hour_if_nothing_was_published_since() -> None:
    timeline = _timeline(_articles([1]))

    assert timeline.as_of(NOW) == NOW.replace(minute=0, second=0)


def test_as_of_is_the_last_publication_within_the_hour() -> None:
    articles = [Article(id="a", title="x", published_at=NOW - timedelta(seconds=10))]

    assert _timeline(articles).as_of(NOW) == NOW - timedelta(seconds=10)


def test_as_of_is_the_start_of_the_hour_without_dated_public_articles() -> None:
    hour = NOW.replace(minute=0, second=0)

    assert _timeline(_articles([None])).as_of(NOW) == hour
    assert _timeline(_articles([-1])).as_of(NOW) == hour


def test_the_next_publication_is_the_earliest_in_the_future() -> None:
    timeline = _timeline(_articles([1, -3, -2]))

    assert timeline.next_publication(NOW) == NOW + timedelta(hours=2)
    assert timeline.next_publication(NOW + timedelta(hours=3)) is None


@pytest.mark.parametrize(
    "cursor", ["", "%%%", "YWJj", "MTIzIA==", "1", "日本", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5IGE="]
)
def test_an_invalid_cursor_is_rejected(cursor: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_cursor(cursor)
