"""The present: what one request is answered from, taken once, so that no change comes between its parts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from recommender.model import microseconds
from recommender.serving.http.responses import ModelStatus
from recommender.serving.lists.related import Related
from recommender.serving.trending.rankings import Leaderboard

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ConsistentView:
    """A moment, the lists of that moment, and what else an answer may tell of it."""

    now: datetime
    related: Related
    model_status: ModelStatus
    leaderboard: Leaderboard | None  # what trends, as far as it is known without waiting for the store

    @property
    def trending(self) -> tuple[int, ...]:
        """The rows that trend, best first, for the ladder of a list."""
        return () if self.leaderboard is None else self.leaderboard.top


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nothing is published and no hour begins: the same lists give the same answers."""

    begins: int  # microseconds
    ends: int  # the first moment after it

    @classmethod
    def around(cls, view: ConsistentView) -> "Span":
        """Return the span that the moment lies in. Articles that are not shown end it, too."""
        hour = view.now.replace(minute=0, second=0, microsecond=0)
        published, now = view.related.articles.published, microseconds(view.now)
        past = published <= now
        begins = int(np.max(published, where=past, initial=microseconds(hour)))
        ends = int(np.min(published, where=~past, initial=microseconds(hour + _HOUR)))
        return cls(begins, ends)

    def __contains__(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it."""
        return self.begins <= microseconds(moment) < self.ends
