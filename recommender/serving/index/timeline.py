"""The articles of an edition in time: what is public at a moment, and what came before and after what."""

from datetime import datetime

import numpy as np

from recommender.model import NO_MOMENT, from_microseconds, microseconds
from recommender.serving.index.documents import Documents, place_among

_FIRST_BLOCK = 256


class Timeline:
    """Positions count from the newest article to the oldest; equal dates in id order, undated ones last.

    It holds the rows `newest` of the shelf, all that are shown by default.
    """

    def __init__(self, articles: Documents, newest: np.ndarray | None = None) -> None:
        self._articles = articles
        self.rows = articles.newest if newest is None else newest  # do not change them
        self._ascending = np.ascontiguousarray(articles.published[self.rows][::-1])  # int64
        self._dated = self._ascending[np.searchsorted(self._ascending, NO_MOMENT, side="right") :]

    def future(self, now: datetime) -> int:
        """Return how many articles are published after `now`: the position of the first public one."""
        return self._later_than(microseconds(now))

    def is_public(self, row: int, now: datetime) -> bool:
        """Tell whether the article is shown, and published by `now`; an undated one is."""
        return bool(self._articles.shown[row] and self._articles.published[row] <= microseconds(now))

    def as_of(self, now: datetime) -> datetime:
        """Return the moment from which an answer given `now` holds.

        It is the beginning of the hour, or the last publication since then: answers within an hour are equal
        byte for byte unless something happens, and no article waits for the next hour to appear.
        """
        hour = now.replace(minute=0, second=0, microsecond=0)
        first = self.future(now)
        if first == len(self.rows):
            return hour
        newest = from_microseconds(int(self._articles.published[self.rows[first]]))
        return hour if newest is None else max(hour, newest)

    def next_publication(self, now: datetime) -> datetime | None:
        """Return when the next article under embargo becomes public, None when there is none."""
        first = self.future(now)
        return from_microseconds(int(self._articles.published[self.rows[first - 1]])) if first else None

    def beside(self, row: int, now: datetime) -> tuple[int | None, int | None]:
        """Return the rows of the next older and the next newer public article; undated ones have no place."""
        date = int(self._articles.published[row])
        if date == NO_MOMENT:
            return None, None
        article_id = self._articles.ids[row]
        newer = place_among(self.rows, self._articles, date, article_id) - 1
        at = place_among(self.rows, self._articles, date, article_id, behind=True)
        older = int(self.rows[at]) if at < len(self.rows) else None
        if older is not None and self._articles.published[older] == NO_MOMENT:
            older = None
        return older, int(self.rows[newer]) if newer >= self.future(now) else None

    def median_age(self, reference: int) -> int:
        """Return the median distance in time of the dated articles from a reference, in microseconds.

        Of an even number it is the lower of the two in the middle; 0 where no article is dated.
        """
        dates = self._dated
        half = (len(dates) + 1) // 2
        low, high = 0, len(dates) - half
        while low < high:  # for the first of the `half` dates that lie nearest
            middle = (low + high) // 2
            if reference - int(dates[middle]) > int(dates[middle + half]) - reference:
                low = middle + 1
            else:
                high = middle
        return max(abs(int(dates[at]) - reference) for at in (low, low + half - 1)) if half else 0

    def page(
        self, mask: np.ndarray, limit: int, now: datetime, after: tuple[int, str] | None = None
    ) -> list[int]:
        """Return the first `limit` public rows that the mask (n,) admits, newest first.

        `after` is the date in microseconds and the id of an article, which need not exist: the page starts
        behind its place.
        """
        start = self.future(now)
        if after is not None:
            start = max(start, place_among(self.rows, self._articles, *after, behind=True))
        return self._first(start, mask, limit)

    def _first(self, start: int, mask: np.ndarray, limit: int) -> list[int]:
        found: list[int] = []
        size = _FIRST_BLOCK
        while len(found) < limit and start < len(self.rows):
            block = self.rows[start : start + size]
            found += block[mask[block]].tolist()
            start, size = start + size, 2 * size
        return found[:limit]

    def _later_than(self, date: int) -> int:
        return len(self._ascending) - int(np.searchsorted(self._ascending, date, side="right"))
