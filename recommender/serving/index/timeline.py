"""The articles of a snapshot by date: which are public, and which are next to each other in time."""

from datetime import datetime

import numpy as np

from recommender.model import NO_MOMENT, from_microseconds, microseconds
from recommender.serving.index.documents import Documents, position_among

_FIRST_BLOCK = 256


class Timeline:
    """The shown articles from newest to oldest; equal dates in id order, undated articles last.

    By default it contains the rows `newest` of the documents, which are all that are shown.
    """

    def __init__(self, articles: Documents, newest: np.ndarray | None = None) -> None:
        self._articles = articles
        self.rows = articles.newest if newest is None else newest  # do not change them
        self._ascending = np.ascontiguousarray(articles.published[self.rows][::-1])  # int64
        self._dated = self._ascending[np.searchsorted(self._ascending, NO_MOMENT, side="right") :]

    def future(self, now: datetime) -> int:
        """Return how many articles are published after `now`: the position of the first public article."""
        return self._later_than(microseconds(now))

    def is_public(self, row: int, now: datetime) -> bool:
        """Return whether the article is shown, and is undated or published by `now`."""
        return bool(self._articles.shown[row] and self._articles.published[row] <= microseconds(now))

    def as_of(self, now: datetime) -> datetime:
        """Return the moment as of which a response at `now` is computed.

        It is the start of the hour, or the last publication since then. So responses within an hour are equal
        byte for byte unless something changes, and new articles need not wait for the next hour.
        """
        hour = now.replace(minute=0, second=0, microsecond=0)
        first = self.future(now)
        if first == len(self.rows):
            return hour
        newest = from_microseconds(int(self._articles.published[self.rows[first]]))
        return hour if newest is None else max(hour, newest)

    def next_publication(self, now: datetime) -> datetime | None:
        """Return when the next article under embargo becomes public, or None."""
        first = self.future(now)
        return from_microseconds(int(self._articles.published[self.rows[first - 1]])) if first else None

    def older_and_newer(
        self, row: int, now: datetime, mask: np.ndarray | None = None
    ) -> tuple[int | None, int | None]:
        """Return the rows of the next older and next newer public article; an undated one has neither.

        Only articles in the mask (n,) bool are considered, by default all.
        """
        date = int(self._articles.published[row])
        if date == NO_MOMENT:
            return None, None
        article_id = self._articles.ids[row]
        mask = np.ones(len(self._articles), dtype=bool) if mask is None else mask
        before = position_among(self.rows, self._articles, date, article_id)
        after = position_among(self.rows, self._articles, date, article_id, after=True)
        newer = self.rows[self.future(now) : before][::-1]
        older = self.rows[after : len(self._dated)]
        return next(iter(_first(older, mask, 1)), None), next(iter(_first(newer, mask, 1)), None)

    def median_age(self, reference: int) -> int:
        """Return the median time between the dated articles and a reference, in microseconds.

        For an even number of articles it is the lower median. It is 0 if no article is dated.
        """
        dates = self._dated.data  # much faster to index than the array
        half = (len(dates) + 1) // 2
        low, high = 0, len(dates) - half
        while low < high:  # binary search for the first of the `half` nearest dates
            middle = (low + high) // 2
            if reference - dates[middle] > dates[middle + half] - reference:
                low = middle + 1
            else:
                high = middle
        return max(abs(dates[index] - reference) for index in (low, low + half - 1)) if half else 0

    def page(
        self, mask: np.ndarray, limit: int, now: datetime, after: tuple[int, str] | None = None
    ) -> list[int]:
        """Return the first `limit` public rows in the mask (n,) bool, newest first.

        `after` is a date in microseconds and an id: the page starts after the position of that article, which
        need not exist.
        """
        start = self.future(now)
        if after is not None:
            start = max(start, position_among(self.rows, self._articles, *after, after=True))
        return _first(self.rows[start:], mask, limit)

    def _later_than(self, date: int) -> int:
        return len(self._ascending) - int(np.searchsorted(self._ascending, date, side="right"))


def _first(rows: np.ndarray, mask: np.ndarray, limit: int) -> list[int]:
    """Return the first `limit` of the rows that are in the mask (n,) bool."""
    first: list[int] = []
    start, size = 0, _FIRST_BLOCK
    while len(first) < limit and start < len(rows):
        block = rows[start : start + size]
        first += block[mask[block]].tolist()
        start, size = start + size, 2 * size
    return first[:limit]
