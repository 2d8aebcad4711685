"""The present: what one request is answered from, taken once, so that no change comes between its parts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from recommender.model import microseconds
from recommender.serving.http.responses import Standing
from recommender.serving.lists.related import Related
from recommender.serving.trending.rankings import Board

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Present:
    """A moment, the lists of that moment, and what else an answer may tell of it."""

    now: datetime
    related: Related
    standing: Standing
    board: Board | None  # what trends, as far as it is known without waiting for the store

    @property
    def trending(self) -> tuple[int, ...]:
        """The rows that trend, best first, for the ladder of a list."""
        return () if self.board is None else self.board.top


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nothing is published and no hour begins: the same lists give the same answers."""

    begins: int  # microseconds
    ends: int  # the first moment after it

    @classmethod
    def around(cls, present: Present) -> "Span":
        """Return the span that the moment lies in. Articles that are not shown end it, too."""
        hour = present.now.replace(minute=0, second=0, microsecond=0)
        published, now = present.related.articles.published, microseconds(present.now)
        past = published <= now
        begins = int(np.max(published, where=past, initial=microseconds(hour)))
        ends = int(np.min(published, where=~past, initial=microseconds(hour + _HOUR)))
        return cls(begins, ends)

    def __contains__(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it."""
        return self.begins <= microseconds(moment) < self.ends
