"""Shared state of one web worker: settings, clock, store, current snapshot and trending ranks."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime

from recommender.serving.http.problems import Problem
from recommender.serving.http.responses import ModelStatus
from recommender.serving.lists.related import Related, ScoringSlot
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.store import Store
from recommender.serving.trending.rankings import Leaderboards, RankTracker
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.follower import Follower, NotReadyError
from recommender.settings import Settings
from recommender.trending import event_weights, windows

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Context:
    """What the routes of one app share.

    The current model is opened at once. If that fails, the app responds with 503 and tries again when a
    request needs the model, at most once in `model_retry_seconds`.
    """

    def __init__(
        self, settings: Settings, clock: Clock = utc_now, scoring_slot: ScoringSlot = nullcontext
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._scoring_slot = scoring_slot  # is held while a request scores the whole corpus
        self.store = Store.of(settings)
        self.follower = Follower(settings, self.store)
        self.rank_tracker = RankTracker(
            self.store, weights=event_weights(settings.weight_of), windows=windows(settings.half_life_of)
        )
        self._checks: list[tuple[str, Callable[[], bool]]] = []
        self._related: Related | None = None
        self._active_rules: tuple[Rules, datetime, ActiveRules] | None = None

    @property
    def related(self) -> Related:
        """The lists of the current snapshot under the rules that are active now.

        Raises Problem with the reason if there is no snapshot.
        """
        return self._related_at(self.clock())

    def view(self) -> ConsistentView:
        """Return a consistent view of the data for one request. Raises Problem as `related` does."""
        now = self.clock()
        related = self._related_at(now)
        return ConsistentView(now, related, self._status_of(related, now), self.rank_tracker.latest(related))

    def report_degraded(self, part: str, is_failing: Callable[[], bool]) -> None:
        """List a part in `degraded` for as long as `is_failing()` is true."""
        self._checks.append((part, is_failing))

    @property
    def degraded(self) -> tuple[str, ...]:
        """The parts of the service that do not work at the moment."""
        return (*self.follower.degraded, *(part for part, is_failing in self._checks if is_failing()))

    @property
    def is_open(self) -> bool:
        """Whether there is a snapshot to respond from."""
        return self.follower.state.snapshot is not None and self.follower.state.is_known

    def model_status(self) -> ModelStatus:
        """Return the status of the current model. Raises Problem as `related` does."""
        now = self.clock()
        return self._status_of(self._related_at(now), now)

    def leaderboards(self, view: ConsistentView) -> Leaderboards:
        """Return the leaderboards of this minute; this may wait for the store."""
        return self.rank_tracker.leaderboards(view.related, view.now)

    def _related_at(self, now: datetime) -> Related:
        try:
            snapshot = self.follower.snapshot
        except NotReadyError as error:
            kind = "store-down" if error.is_store else "no-model"
            raise Problem(kind, str(error), headers={"Retry-After": "5"}) from None
        related, active = self._related, self._active_at(now)
        if related is None or related.snapshot is not snapshot or related.rules.active is not active:
            related = self._related = Related(snapshot, active, self._scoring_slot)
        return related

    def _status_of(self, related: Related, now: datetime) -> ModelStatus:
        manifest = related.model.manifest
        return ModelStatus.of(manifest, now, self.settings.stale_after_hours, self.degraded)

    def _active_at(self, now: datetime) -> ActiveRules:
        """Return the rules that are active; the same object until a rule changes, begins or ends."""
        rules, latest = self.follower.state.rules, self._active_rules
        if latest is not None:
            rules_then, since, active = latest
            if rules_then is rules and since <= now and (active.boundary is None or now < active.boundary):
                return active
        active = rules.active(now)
        self._active_rules = rules, now, active
        return active
