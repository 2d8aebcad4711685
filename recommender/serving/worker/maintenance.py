"""What a worker does of itself: make ready what will be asked for, and forget what is past."""

import logging
from contextlib import suppress
from threading import Event, Thread

from recommender.model import microseconds
from recommender.serving.http.problems import Problem
from recommender.serving.store import StoreError
from recommender.serving.worker.context import Context
from recommender.trending import DEFAULT_WINDOW, tick_of

_log = logging.getLogger(__name__)

_SECONDS = 1.0


class Maintenance:
    """The second thread of a worker, beside the one that follows the newsroom."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended = Event()
        self._pruned = 0  # the tick

    def start(self) -> None:
        """Look once a second, in a thread, until `stop`."""
        Thread(target=self._run, name="upkeep", daemon=True).start()

    def stop(self) -> None:
        """End the thread of `start`."""
        self._ended.set()

    def look(self) -> None:
        """Do what is due."""
        now = self._context.clock()
        with suppress(Problem):  # no model yet
            related = self._context.related
            self._context.rank_tracker.leaderboards(related, now).leaderboard(DEFAULT_WINDOW)
            related.snapshot.title_segments()  # nobody who searches shall wait for them
        tick = tick_of(microseconds(now))
        if tick != self._pruned:
            self._pruned = tick
            self._prune(microseconds(now))

    def _prune(self, now: int) -> None:
        try:
            self._context.store.prune(now)
        except StoreError as error:
            _log.info("nothing is forgotten for now: %s", error)

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the outermost loop of a thread, which must go on
                _log.exception("the upkeep failed")
