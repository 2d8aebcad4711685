"""Fold-in of pending articles, and the switch to a newer model, without delaying any change.

Both score the whole corpus for every live article, which can take minutes. So they run beside
`Follower.refresh`, in steps of half a second with pauses for the requests in between. The old model stays in
service until all live articles are folded into the newer one. Then the next state is built, and at the moment
of the swap, what has changed in the meantime is applied to it.
"""

import logging
from collections.abc import Callable
from secrets import randbits
from time import monotonic

from recommender.serving.store import Store
from recommender.serving.worker.fold_ins import FoldIns
from recommender.serving.worker.model_source import ModelSource
from recommender.serving.worker.periodic import Periodic
from recommender.serving.worker.worker_state import WorkerState, newest_first

_log = logging.getLogger(__name__)

_STEP_SECONDS = 0.5
_PAUSE_SECONDS = 0.5
_APPLY_SECONDS = 10.0  # between new snapshots with folded articles, because each one empties the cache
_MAX_APPLIED = 50  # articles that are added to a snapshot, which takes some milliseconds

Change = Callable[[WorkerState], WorkerState | None]


class ModelSwitch(Periodic):
    """Folds pending articles into the model in service, and replaces that model by a newer one.

    `change` replaces the state of the worker by the result of a function, unless that is None, and returns
    whether it did. With `is_alone`, this worker folds in all articles itself.
    """

    def __init__(
        self,
        models: ModelSource,
        store: Store,
        state: Callable[[], WorkerState],
        change: Callable[[Change], bool],
        *,
        is_alone: bool,
    ) -> None:
        super().__init__("model-switch", _PAUSE_SECONDS, "the model switch failed")
        self._models, self._store, self._state, self._change = models, store, state, change
        self._owner = None if is_alone else randbits(62)
        self._pending: FoldIns | None = None  # into the model in service
        self._newer: FoldIns | None = None  # into the next model
        self._applied_at = 0.0
        self._logged_error = ""  # the unexpected error of the last step

    @property
    def degraded(self) -> tuple[str, ...]:
        """What does not work: "model", "articles" (one that cannot be folded in)."""
        pending, newer = self._pending, self._newer
        is_failing = (pending is not None and pending.is_failing) or (newer is not None and newer.is_failing)
        model = ("model",) if self._logged_error or self._models.reason else ()
        return (*model, "articles") if is_failing else model

    def run_once(self) -> bool:
        """Do a step of what is due; return whether it made progress."""
        try:
            has_progress = self._fold_in_pending()
            has_progress = self._follow() or has_progress
        except Exception as error:  # noqa: BLE001 - the outermost loop of a thread, which must go on
            if repr(error) != self._logged_error:
                _log.error("the model switch failed and changed nothing", exc_info=error)
            self._logged_error = repr(error)
            return False
        self._logged_error = ""
        return has_progress

    def finish(self) -> None:
        """Do all that is due, in the calling thread."""
        for fold_ins in (self._pending, self._newer):
            if fold_ins is not None:
                fold_ins.retry()
        while self.run_once():
            pass

    def _fold_in_pending(self) -> bool:
        state = self._state()
        if state.snapshot is None or not state.pending:
            self._pending = None
            return False
        model = state.snapshot.model
        if self._pending is None or self._pending.model is not model:
            self._pending = FoldIns(model, self._store, self._owner)
        articles = newest_first(state.live[article_id] for article_id in state.pending)
        has_progress = self._pending.add(articles, _STEP_SECONDS)
        known = [
            (article, folded) for article in articles if (folded := self._pending.of(article)) is not None
        ]
        is_due = monotonic() >= self._applied_at + _APPLY_SECONDS or not self._pending.missing(articles)
        if known and (is_due or len(known) >= _MAX_APPLIED):
            self._applied_at = monotonic()
            applied = known[:_MAX_APPLIED]
            return self._change(lambda latest: latest.with_fold_ins(model, applied))
        return has_progress

    def _follow(self) -> bool:
        state = self._state()
        if state.snapshot is None or not state.is_known:
            return False
        open_version = state.snapshot.manifest.version
        version = self._models.other_version(open_version)
        if version is None:
            return False
        if self._newer is None or self._newer.model.manifest.version != version:
            model = self._models.open(open_version)
            self._newer = None if model is None else FoldIns(model, self._store, self._owner)
        return self._newer is not None and self._prepare(self._newer, state)

    def _prepare(self, newer: FoldIns, state: WorkerState) -> bool:
        """Fold the live articles into the next model; when all are, swap it in."""
        articles = state.newer_than(newer.model)
        has_progress = newer.add(articles, _STEP_SECONDS)
        if newer.missing(articles):
            return has_progress
        prepared = state.with_model(newer.model, newer.of)
        if self._change(lambda latest: latest.rebased(prepared)):
            self._pending, self._newer = newer, None
        return True
