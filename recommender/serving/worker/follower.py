"""Follow the models folder, the rules file and the store to keep a worker's snapshot and rules current.

A worker that does not know which articles are withdrawn must not respond with articles. While the store is
down, the last known withdrawals and rules apply; a worker that starts then reads them from the state file. If
there is no state file either, or after a repeated unexpected error, the service responds with status 503.

A refresh reads what is new into local values, builds the next state completely, and swaps it in one
assignment. So a refresh that fails halfway changes nothing. An unexpected error is logged once, and the
refresh is tried again at once. A refresh takes milliseconds: what takes longer is done by `ModelSwitch`.

The store's version number shows whether the database is still the same: it starts at a random number. If the
worker's number cannot come from the database, the database was replaced or restored from a backup, and
`Follower` restores what it lost.
"""

import logging
from dataclasses import replace
from operator import is_
from threading import Event, Lock, Thread
from time import monotonic

from recommender.serving.index.snapshot import Snapshot
from recommender.serving.rules.file import RulesFile
from recommender.serving.rules.schema import Rule, read_stored, to_json
from recommender.serving.store import Changes, RuleSet, StaleError, Store, StoreDownError
from recommender.serving.worker.model_source import ModelSource
from recommender.serving.worker.model_switch import Change, ModelSwitch
from recommender.serving.worker.state_file import SavedState
from recommender.serving.worker.worker_state import WorkerState
from recommender.settings import Settings

__all__ = ["Follower", "NotReadyError", "WorkerState"]

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 5.0  # a store that has not responded for so long is reported as degraded


class NotReadyError(LookupError):
    """There is no snapshot to respond from; the message says why. `is_store`: because the store is down."""

    def __init__(self, reason: str, *, is_store: bool) -> None:
        super().__init__(reason)
        self.is_store = is_store


class Follower:
    """Follows the models folder, the rules file and the store; `state` is the current state.

    Withdrawals and rules are also saved in a state file. If the store has lost some of them, because its
    database was lost or restored from a backup, they are written to it again: only an article with a newer
    `updated_at` lifts a withdrawal. While the rules file is invalid, its last known rules apply, after a
    restart those in the state file.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._lock, self._stopped = Lock(), Event()
        self._store_response_at = monotonic()  # when the store last responded or failed
        self._is_running = False  # the thread
        self._models = ModelSource(settings)
        self._has_threads = settings.live_poll_seconds > 0
        self._switch = ModelSwitch(
            self._models, store, lambda: self.state, self._change, is_alone=not self._has_threads
        )
        self._logged_error = ""  # the unexpected error of the last refresh
        self._saved = SavedState.read(settings.state_file)
        self._saved_sources: tuple[object, ...] = (None, None, None)  # what the state file was made from
        saved = self._saved or SavedState()
        known_rules, _ = read_stored(saved.file_rules)
        self._rules_file = RulesFile(settings.rules_file, known_rules)
        self.state = WorkerState(
            is_known=self._saved is not None, version=saved.version, withdrawn=saved.withdrawn
        ).with_rules((), saved.rules)
        with self._lock:
            self._refresh(())
        if not self._has_threads:
            self._switch.finish()

    @property
    def snapshot(self) -> Snapshot:
        """The current snapshot. Raises NotReadyError if no model is open or the withdrawals are unknown."""
        return self.ready(self.state)[1]

    def ready(self, state: WorkerState) -> tuple[WorkerState, Snapshot]:
        """Return a state, or the current one if it has no snapshot, and its snapshot.

        Raises NotReadyError like `snapshot`. It never waits for a refresh by another thread.
        """
        if state.snapshot is None:
            if not self._is_running and self._models.is_due:
                self._try_refresh()
            state = self.state
        if state.snapshot is None:
            raise NotReadyError(self._models.reason, is_store=False)
        if not state.is_known:
            reason = "withdrawals are unknown: the database does not respond and there is no state file"
            if "refresh" in state.degraded:
                reason = "the worker cannot follow the store and the models folder; search the server log"
            raise NotReadyError(reason, is_store=True)
        return state, state.snapshot

    @property
    def degraded(self) -> tuple[str, ...]:
        """The degraded parts, including a store that neither responds nor fails."""
        return self.degraded_of(self.state)

    def degraded_of(self, state: WorkerState) -> tuple[str, ...]:
        """Return the degraded parts of a state, like `degraded`."""
        is_silent = self._is_running and monotonic() - self._store_response_at > _SILENT_SECONDS
        parts = (*(("store",) if is_silent else ()), *state.degraded, *self._switch.degraded)
        return tuple(dict.fromkeys(parts)) if parts else ()

    def refresh(self) -> None:
        """Read what has changed in the store and the rules file; open the first model.

        After an unexpected error it tries once more. If that fails, too, no article is shown until a refresh
        succeeds: no response is better than one with an article that was withdrawn in the meantime.

        With `live_poll_seconds=0` there are no threads, and this also does the work of `ModelSwitch`.
        """
        with self._lock:
            self._refresh_or_close()
        if not self._has_threads:
            self._switch.finish()

    def file_rules(self) -> tuple[Rule, ...]:
        """Return the rules in the rules file; they can be changed only there."""
        return self._rules_file.rules()

    def start(self) -> None:
        """Refresh in a thread, every `live_poll_seconds`, and switch models in another one, until `stop`."""
        self._is_running = True
        Thread(target=self._run, name="follower", daemon=True).start()
        self._switch.start()

    def stop(self) -> None:
        """End the threads."""
        self._is_running = False
        self._stopped.set()
        self._switch.stop()

    def _run(self) -> None:
        while not self._stopped.wait(self._settings.live_poll_seconds):
            self.refresh()

    def _try_refresh(self) -> None:
        """Refresh, unless another thread does so now."""
        if self._lock.acquire(blocking=False):
            try:
                self._refresh_or_close()
            finally:
                self._lock.release()

    def _refresh_or_close(self) -> None:
        try:
            self._refresh(())
            self._logged_error = ""
        except Exception as error:  # noqa: BLE001 - the outermost loop of a thread, which must go on
            self._log_once(error)
            try:
                self._refresh(("refresh",))
            except Exception as again:  # noqa: BLE001 as above
                self._log_once(again)
                parts = dict.fromkeys((*self.state.degraded, "refresh"))
                self.state = replace(self.state, is_known=False, degraded=tuple(parts))

    def _log_once(self, error: Exception) -> None:
        if repr(error) != self._logged_error:
            self._logged_error = repr(error)
            _log.error("a refresh of the worker failed and changed nothing", exc_info=error)

    def _refresh(self, degraded: tuple[str, ...]) -> None:
        """Replace the state."""
        state = self.state
        if state.snapshot is None and (model := self._models.open()) is not None:
            state = state.with_model(model)
        state, store_parts = self._with_store(state)
        state = state.with_rules(self._rules_file.rules(), state.stored_rules)
        self.state = replace(state, degraded=(*store_parts, *self._degraded_by(state), *degraded))

    def _change(self, change: Change) -> bool:
        """Replace the state by what a function makes of it, unless that is None; return whether it did."""
        with self._lock:
            state = change(self.state)
            if state is not None:
                self.state = state
        return state is not None

    def _with_store(self, state: WorkerState) -> tuple[WorkerState, tuple[str, ...]]:
        """Return the state with the changes in the store, and what is degraded."""
        try:
            changes = self._changes(state)
        except StoreDownError as error:
            if "store" not in self.state.degraded:
                _log.warning("the database does not respond: %s", error)
            return state, ("store",)
        finally:
            self._store_response_at = monotonic()
        return state.with_changes(changes), ()

    def _degraded_by(self, state: WorkerState) -> tuple[str, ...]:
        """Save the state, and return which parts other than the store and the model are degraded."""
        parts = self._save(state) if state.is_known else ()
        if self._rules_file.fault is not None or state.unreadable_rules:
            parts += ("rules",)
        return (*parts, "articles") if state.unreadable else parts

    def _changes(self, state: WorkerState) -> Changes:
        """Return what is new in the store, at the first call everything; restore what it has lost."""
        changes = self._store.changes(state.version)
        if changes.complete and state.version:
            _log.warning("the database was replaced or restored from a backup; withdrawals stay in force")
            if self._restore(state, changes):
                return self._store.changes()
        # The state file has withdrawals and rules, but no articles.
        return changes if changes.complete or state.has_articles else self._store.changes()

    def _restore(self, state: WorkerState, changes: Changes) -> bool:
        """Write the withdrawals and rules that the store has lost to it; return whether there were any."""
        row_of = {row.id: row for row in changes.articles}
        lost = [
            (article_id, at)
            for article_id, at in state.withdrawn.items()
            if (row := row_of.get(article_id)) is None or row.updated < at + (not row.withdrawn)
        ]
        if lost:
            self._store.withdraw_all(lost)
        rules = changes.rules or RuleSet()
        stored_ids = {rule_id for rule_id, _ in rules.rules}
        missing = [rule for rule in state.stored_rules if rule[0] not in stored_ids]
        if missing:
            try:
                self._store.replace_rules([*rules.rules, *missing], rules.etag)
            except StaleError:  # another worker has restored them
                return True
        return bool(lost or missing)

    def _save(self, state: WorkerState) -> tuple[str, ...]:
        """Save withdrawals and rules to the state file if they have changed; return what is degraded."""
        sources = state.withdrawn, state.stored_rules, state.file_rules
        if all(map(is_, sources, self._saved_sources)):
            return ()
        saved = self._saved
        file_rules = tuple((rule.id, to_json(rule)) for rule in state.file_rules)
        current = SavedState(state.version, dict(state.withdrawn), state.stored_rules, file_rules)
        try:
            if saved is None or replace(saved, version=current.version) != current:
                current.write(self._settings.state_file)
        except OSError as error:
            if "state" not in self.state.degraded:
                _log.error("cannot write the state file: %s", error)
            return ("state",)
        self._saved, self._saved_sources = current, sources
        return ()
