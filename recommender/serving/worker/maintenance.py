"""Background work of a worker: prepare trending ranks and title search, and delete old counts."""

import logging
from contextlib import suppress

from recommender.model import microseconds
from recommender.serving.http.problems import Problem
from recommender.serving.store import StoreError
from recommender.serving.worker.context import Context
from recommender.serving.worker.periodic import Periodic
from recommender.trending import DEFAULT_WINDOW, tick_of

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0


class Maintenance(Periodic):
    """The maintenance thread of a worker: `run_once` every second."""

    def __init__(self, context: Context) -> None:
        super().__init__("maintenance", _INTERVAL_SECONDS, "maintenance failed")
        self._context = context
        self._pruned_tick = 0

    def run_once(self) -> None:
        """Do everything that is due."""
        now = self._context.clock()
        with suppress(Problem):  # there is no model yet
            related = self._context.related
            self._context.rank_tracker.leaderboards(related, now).leaderboard(DEFAULT_WINDOW)
            related.snapshot.title_segments()  # so that no search has to build the index
        tick = tick_of(microseconds(now))
        if tick != self._pruned_tick:
            self._pruned_tick = tick
            self._prune(microseconds(now))

    def _prune(self, now: int) -> None:
        try:
            self._context.store.prune(now)
        except StoreError as error:
            _log.info("old counts were not deleted and will be later: %s", error)
