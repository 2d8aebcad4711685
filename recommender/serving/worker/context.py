"""Shared state of one web worker: settings, clock, store, current snapshot and trending ranks."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from flask import g, has_request_context

from recommender.model import microseconds
from recommender.serving.http.problems import Problem
from recommender.serving.http.responses import ModelStatus
from recommender.serving.lists.related import Related, ScoringSlot
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.store import Store
from recommender.serving.trending.rankings import Leaderboards, RankTracker
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.follower import Follower, NotReadyError, WorkerState
from recommender.settings import Settings
from recommender.trending import event_weights, windows

_NONE, _MILLISECOND = timedelta(0), timedelta(milliseconds=1)
_DAY = 86_400_000_000  # microseconds

Clock = Callable[[], datetime]
_T = TypeVar("_T")


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
        self._latest_view: tuple[WorkerState, ConsistentView] | None = None
        self._active_rules: tuple[Rules, datetime, ActiveRules] | None = None
        self._salt = (-1, b"")  # the day, and its salt

    @property
    def related(self) -> Related:
        """The lists of the current snapshot under the rules that are active now.

        Raises Problem with the reason if there is no snapshot.
        """
        return self.view().related

    @property
    def now(self) -> datetime:
        """The time of the current request, the same whenever it is used; outside a request, the time."""
        return _once_per_request("now", self.clock)

    @property
    def state(self) -> WorkerState:
        """What the current request is answered from, the same whenever it is used."""
        return _once_per_request("state", lambda: self.follower.state)

    def view(self) -> ConsistentView:
        """Return the consistent view of the current request, the same at each call in it.

        Raises Problem as `related` does.
        """
        return _once_per_request("view", lambda: self._view_of(self.now, self.state))

    def view_at_once(self) -> ConsistentView | None:
        """Return the view of this moment, without a request of Flask; None if that takes time or fails.

        So the first request after a change has to use `view`. Requests in the same millisecond share a view,
        unless the state changes.
        """
        now, state, latest = self.clock(), self.follower.state, self._latest_view
        if latest is not None and latest[0] is state and _NONE <= now - latest[1].now < _MILLISECOND:
            return latest[1]
        related = self._related
        if related is None or related.snapshot is not state.snapshot or not state.is_known:
            return None
        if related.rules.active is not self._active_at(state.rules, now):
            return None
        view = self._view_of(now, state)
        self._latest_view = state, view
        return view

    def report_degraded(self, part: str, is_failing: Callable[[], bool]) -> None:
        """List a part in `degraded` for as long as `is_failing()` is true."""
        self._checks.append((part, is_failing))

    @property
    def degraded(self) -> tuple[str, ...]:
        """The parts of the service that do not work at the moment."""
        return self._degraded_of(self.state)

    @property
    def is_open(self) -> bool:
        """Whether there is a snapshot to respond from."""
        return self.state.snapshot is not None and self.state.is_known

    def daily_salt(self) -> bytes:
        """Return the store's salt of the day, the same in all workers. Raises StoreDownError."""
        now, (day, salt) = microseconds(self.now), self._salt
        if day != now // _DAY:
            salt = self.store.salt(now)
            self._salt = now // _DAY, salt
        return salt

    def model_status(self) -> ModelStatus:
        """Return the status of the current model. Raises Problem as `related` does."""
        return self.view().model_status

    def leaderboards(self, view: ConsistentView) -> Leaderboards:
        """Return the leaderboards of this minute; this may wait for the store."""
        return self.rank_tracker.leaderboards(view.related, view.now)

    def current_leaderboards(self, view: ConsistentView) -> Leaderboards | None:
        """Return the leaderboards of this minute if they are already there; this waits for nothing."""
        return self.rank_tracker.current(view.related, view.now)

    def _view_of(self, now: datetime, state: WorkerState) -> ConsistentView:
        try:
            state, snapshot = self.follower.ready(state)
        except NotReadyError as error:
            kind = "store-down" if error.is_store else "no-model"
            raise Problem(kind, str(error), headers={"Retry-After": "5"}) from None
        if has_request_context():
            g.state = state  # it may have been refreshed, to open the first model
        related, active = self._related, self._active_at(state.rules, now)
        if related is None or related.snapshot is not snapshot or related.rules.active is not active:
            related = Related(snapshot, active, self._scoring_slot)
            if state is self.follower.state:  # otherwise the request began before the last change
                self._related = related
        hours, degraded = self.settings.stale_after_hours, self._degraded_of(state)
        status = ModelStatus.of(snapshot.manifest, now, hours, degraded)
        return ConsistentView(now, related, status, self.rank_tracker.latest(related))

    def _degraded_of(self, state: WorkerState) -> tuple[str, ...]:
        degraded = self.follower.degraded_of(state)
        failing = [part for part, is_failing in self._checks if is_failing()]
        return (*degraded, *failing) if failing else degraded

    def _active_at(self, rules: Rules, now: datetime) -> ActiveRules:
        """Return the rules that are active; the same object until a rule changes, begins or ends."""
        latest = self._active_rules
        if latest is not None:
            rules_then, since, active = latest
            if rules_then is rules and since <= now and (active.boundary is None or now < active.boundary):
                return active
        active = rules.active(now)
        self._active_rules = rules, now, active
        return active


def _once_per_request(name: str, make: Callable[[], _T]) -> _T:
    """Return the same value for the whole request, so that no change comes between its parts."""
    if not has_request_context():
        return make()
    if name not in g:
        setattr(g, name, make())
    value: _T = getattr(g, name)
    return value
