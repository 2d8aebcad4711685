"""A consistent view of the data for one request; changes in the meantime affect only later requests."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from recommender.model import microseconds
from recommender.serving.http.responses import ModelStatus, RankOf, ResponseBuilder
from recommender.serving.lists.related import Related
from recommender.serving.trending.rankings import Leaderboard, Leaderboards
from recommender.trending import DEFAULT_WINDOW

_HOUR, _MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ConsistentView:
    """The time of a request, the lists at that time, and the status of the model behind them."""

    now: datetime
    related: Related
    model_status: ModelStatus
    leaderboard: Leaderboard | None  # of the default window, if it is available without waiting for the store

    @property
    def trending(self) -> tuple[int, ...]:
        """The trending rows that may fill up lists, best first."""
        return () if self.leaderboard is None else self.leaderboard.top

    def trends(self, leaderboards: Leaderboards | None = None) -> tuple[tuple[int, ...], RankOf | None]:
        """Return the rows that trend, best first, and the ranks to show.

        Without `leaderboards` they are the rows in `trending`, and there are no ranks to show.
        """
        if leaderboards is None:
            return self.trending, None
        leaderboard = leaderboards.leaderboard(DEFAULT_WINDOW)
        return leaderboard.top, leaderboard.rank

    def builder(self) -> ResponseBuilder:
        """Return a builder of one response from this view."""
        return ResponseBuilder(self.related, self.now, self.model_status)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time in which nothing is published and no hour begins, so that lists stay the same."""

    begins: datetime
    ends: datetime  # exclusive

    @classmethod
    def around(cls, view: ConsistentView) -> "Span":
        """Return the span that contains the view's time; hidden and withdrawn articles end it, too."""
        hour = view.now.replace(minute=0, second=0, microsecond=0)
        published = view.related.articles.published - microseconds(hour)
        is_past = published <= (view.now - hour) // _MICROSECOND
        begins = np.max(published, where=is_past, initial=0)
        ends = np.min(published, where=~is_past, initial=_HOUR // _MICROSECOND)
        return cls(hour + int(begins) * _MICROSECOND, hour + int(ends) * _MICROSECOND)

    def __contains__(self, moment: datetime) -> bool:
        """Return whether a moment is in the span."""
        return self.begins <= moment < self.ends
