"""The desk of one web worker: its settings, its clock, and what it knows of the newsroom."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

from recommender.serving.cache.caching import ResponseCache
from recommender.serving.cache.purging import Purger, shared_cache_at
from recommender.serving.http.concurrency import Slot
from recommender.serving.http.problems import Problem
from recommender.serving.http.responses import ModelStatus, RankOf
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.store import Store
from recommender.serving.trending.rankings import Leaderboards, RankTracker
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.follower import Follower, NotReadyError
from recommender.settings import Settings
from recommender.trending import DEFAULT_WINDOW, event_weights, windows

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Context:
    """What the views of one app share: settings, clock, store, what is known of the newsroom, kept answers.

    The current model is opened at once. Where none can be, the app answers 503 and looks again, at most once
    in `model_retry_seconds`, when a request needs it.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now, slot: Slot = nullcontext) -> None:
        self.settings = settings
        self.clock = clock
        self._slot = slot  # at scoring the whole corpus
        self.store = Store.of(settings)
        self.follower = Follower(settings, self.store)
        self.rank_tracker = RankTracker(
            self.store, weights=event_weights(settings.weight_of), windows=windows(settings.half_life_of)
        )
        self.cache = ResponseCache(settings.cache_bytes)
        shared = settings.purge_url and shared_cache_at(settings.purge_url, settings.purge_header)
        self.purger = Purger(shared, lambda: self.follower.state) if shared else None
        self._related: Related | None = None
        self._ruled: tuple[Rules, datetime, ActiveRules] | None = None

    @property
    def related(self) -> Related:
        """The lists of this moment: of the present edition, under the rules that act now.

        Raises Problem, with the reason, when there is no edition to answer from.
        """
        return self._lists(self.clock())

    def view(self) -> ConsistentView:
        """Return what a request of this moment is answered from. Raises Problem as `related` does."""
        now = self.clock()
        related = self._lists(now)
        return ConsistentView(
            now, related, self._model_status(related, now), self.rank_tracker.latest(related)
        )

    @property
    def degraded(self) -> tuple[str, ...]:
        """What is missing; "purge": a shared cache cannot be told what to forget."""
        cannot_purge = self.purger is not None and self.purger.is_failing
        return (*self.follower.degraded, "purge") if cannot_purge else self.follower.degraded

    @property
    def is_open(self) -> bool:
        """Whether there is something to answer from."""
        return self.follower.state.snapshot is not None and self.follower.state.is_known

    def model_status(self) -> ModelStatus:
        """Return which model answers, whether it is stale, and what is missing."""
        now = self.clock()
        return self._model_status(self._lists(now), now)

    def leaderboards(self, view: ConsistentView) -> Leaderboards:
        """Return the ranks of this minute; it may wait for the store."""
        return self.rank_tracker.leaderboards(view.related, view.now)

    def in_trend(
        self, query: ListQuery, view: ConsistentView, leaderboards: Leaderboards | None = None
    ) -> tuple[ListQuery, RankOf | None]:
        """Return the query of a list with what trends now, and the ranks that its items are to tell.

        Without `boards` it takes what is known to trend, and tells none.
        """
        if leaderboards is None:
            return replace(query, trending=view.trending), None
        leaderboard = leaderboards.leaderboard(DEFAULT_WINDOW)
        return replace(query, trending=leaderboard.top), leaderboard.rank

    def _lists(self, now: datetime) -> Related:
        try:
            snapshot = self.follower.snapshot
        except NotReadyError as error:
            kind = "store-down" if error.is_store else "no-model"
            raise Problem(kind, str(error), headers={"Retry-After": "5"}) from None
        related, active = self._related, self._active(now)
        if related is None or related.snapshot is not snapshot or related.rules.active is not active:
            related = self._related = Related(snapshot, active, self._slot)
        return related

    def _model_status(self, related: Related, now: datetime) -> ModelStatus:
        manifest = related.model.manifest
        return ModelStatus.of(manifest, now, self.settings.stale_after_hours, self.degraded)

    def _active(self, now: datetime) -> ActiveRules:
        """Return the rules that act now; the same object for as long as just these do."""
        rules, ruled = self.follower.state.rules, self._ruled
        if ruled is not None and ruled[0] is rules and ruled[1] <= now:
            boundary = ruled[2].boundary
            if boundary is None or now < boundary:
                return ruled[2]
        active = rules.active(now)
        self._ruled = rules, now, active
        return active
