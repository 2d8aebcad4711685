"""Follow the models folder, the rules file and the store to keep a worker's snapshot and rules current.

A worker that does not know which articles are withdrawn must not respond with articles. While the store is
down, the last known withdrawals and rules apply; a worker that starts then reads them from the state file. If
there is no state file either, or after an unexpected error, the service responds with status 503.

The store's version number shows whether the database is still the same: it starts at a random number. If the
worker's number cannot come from the database, the database was replaced or restored from a backup, and
`Follower` restores what it lost.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from time import monotonic

from recommender.article import Article
from recommender.artifact import ArtifactError, current_version, open_current
from recommender.model import Model
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.rules.active import Rules
from recommender.serving.rules.file import RulesFile
from recommender.serving.rules.schema import Rule, read_stored
from recommender.serving.store import ArticleRow, Changes, RuleSet, StaleError, Store, StoreDownError
from recommender.serving.worker.state_file import SavedState
from recommender.settings import Settings

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 5.0  # a store that has not responded for so long is reported as degraded
_SPARE_ROWS = 200  # outdated rows that a snapshot may have beyond one per live article before it is rebuilt


class NotReadyError(LookupError):
    """There is no snapshot to respond from; the message says why. `is_store`: because the store is down."""

    def __init__(self, reason: str, *, is_store: bool) -> None:
        super().__init__(reason)
        self.is_store = is_store


@dataclass(frozen=True)
class WorkerState:
    """The immutable state of a worker; a change replaces it."""

    snapshot: Snapshot | None = None  # None: no model is open
    rules: Rules = field(default_factory=Rules)
    version: int = 0  # of the store
    withdrawn: Mapping[str, int] = field(default_factory=dict)  # microseconds of each withdrawal, by id
    is_known: bool = False  # whether withdrawals and rules were read, from the store or the state file
    degraded: tuple[str, ...] = ()  # "store", "state" (the state file) or "rules" (the rules file)


class Follower:
    """Follows the models folder, the rules file and the store; `state` is the current state.

    Withdrawals and rules are also saved in a state file. If the store has lost some of them, because its
    database was lost or restored from a backup, they are written to it again: only an article with a newer
    `updated_at` lifts a withdrawal. Raises RulesError if the rules file is invalid at the start.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._lock, self._stopped = Lock(), Event()
        self._live: dict[str, Article] = {}  # all articles in the store
        self._folded: dict[str, FoldedArticle] = {}  # of the live articles that are newer than the model's
        self._rules_file = RulesFile(settings.rules_file)
        self._rule_sources: tuple[tuple[Rule, ...], tuple[tuple[str, str], ...]] = ((), ())
        self._has_read_store = False
        self._store_response_at = monotonic()  # when the store last responded or failed
        self._is_running = False  # the thread
        self._open_version = ""  # of the model
        self._reason = ""  # why no model is open
        self._next_try = 0.0
        self._saved = SavedState.read(settings.state_file)
        saved = self._saved or SavedState()
        self._withdrawn, self._stored_rules = dict(saved.withdrawn), saved.rules
        is_known = self._saved is not None
        self.state = WorkerState(is_known=is_known, version=saved.version, withdrawn=saved.withdrawn)
        self.refresh()

    @property
    def snapshot(self) -> Snapshot:
        """The current snapshot. Raises NotReadyError if no model is open or the withdrawals are unknown."""
        if self.state.snapshot is None:
            self.refresh()
        state = self.state
        if state.snapshot is None:
            raise NotReadyError(self._reason, is_store=False)
        if not state.is_known:
            reason = "withdrawals are unknown: the database does not respond and there is no state file"
            raise NotReadyError(reason, is_store=True)
        return state.snapshot

    @property
    def degraded(self) -> tuple[str, ...]:
        """The degraded parts, including a store that neither responds nor fails."""
        degraded = self.state.degraded
        is_silent = self._is_running and monotonic() - self._store_response_at > _SILENT_SECONDS
        return ("store", *degraded) if is_silent and "store" not in degraded else degraded

    def refresh(self) -> None:
        """Read what has changed in the models folder, the rules file and the store."""
        with self._lock:
            self._follow_model()
            self._follow_store()
            self._store_response_at = monotonic()
            self._follow_rules()

    def file_rules(self) -> tuple[Rule, ...]:
        """Return the rules in the rules file; they can be changed only there."""
        return self._rules_file.rules()

    def start(self) -> None:
        """Refresh in a thread, every `live_poll_seconds`, until `stop`."""
        self._is_running = True
        Thread(target=self._run, name="follower", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._is_running = False
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._settings.live_poll_seconds):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - the outermost loop of a thread, which must go on
                # Better no response than one with an article that was withdrawn in the meantime.
                self.state = replace(self.state, is_known=False)
                _log.exception("the worker can no longer follow the store and the models folder")

    def _follow_model(self) -> None:
        if monotonic() < self._next_try:
            return
        try:
            if current_version(self._settings.models_dir) == self._open_version:
                self._reason = ""
                return
            model = open_current(self._settings.models_dir, verify=self._settings.verify)
        except ArtifactError as error:
            self._next_try = monotonic() + self._settings.model_retry_seconds
            if str(error) != self._reason:  # it is tried again every second
                model_name = "newer model" if self._open_version else "model"
                _log.warning("cannot open the %s: %s", model_name, error)
            self._reason = str(error)
            return
        self._folded = {}
        self.state = replace(self.state, snapshot=self._snapshot_of(model))
        self._open_version, self._reason = model.manifest.version, ""

    def _follow_store(self) -> None:
        try:
            changes = self._changes()
        except StoreDownError as error:
            if "store" not in self.state.degraded:
                _log.warning("the database does not respond: %s", error)
            self.state = replace(self.state, degraded=("store",))
            return
        if changes.complete:
            self._live, self._withdrawn, self._folded = {}, {}, {}
        snapshot = self._snapshot_with(changes)
        if changes.rules is not None:
            self._stored_rules = changes.rules.rules
        degraded = self._save(changes.version)
        withdrawn = snapshot.withdrawn if snapshot is not None else dict(self._withdrawn)
        self.state = replace(
            self.state, snapshot=snapshot, version=changes.version, withdrawn=withdrawn, is_known=True,
            degraded=degraded,
        )  # fmt: skip

    def _follow_rules(self) -> None:
        sources = (self._rules_file.rules(), self._stored_rules)
        if sources != self._rule_sources:
            stored, unreadable = read_stored(self._stored_rules)
            for rule_id in unreadable:
                _log.error("ignoring the rule %s: another version of the program wrote it", rule_id)
            self._rule_sources = sources
            self.state = replace(self.state, rules=Rules((*sources[0], *stored)))
        if self._rules_file.fault is not None:
            self.state = replace(self.state, degraded=(*self.state.degraded, "rules"))

    def _changes(self) -> Changes:
        """Return what is new in the store, at the first call everything; restore what it has lost."""
        changes = self._store.changes(self.state.version)
        if changes.complete and self.state.version:
            _log.warning("the database was replaced or restored from a backup; withdrawals stay in force")
            if self._restore(changes):
                return self._store.changes()
        is_first, self._has_read_store = not self._has_read_store, True
        # The state file has withdrawals and rules, but no articles.
        return self._store.changes() if is_first and not changes.complete else changes

    def _restore(self, changes: Changes) -> bool:
        """Write the withdrawals and rules that the store has lost to it; return whether there were any."""
        row_of = {row.id: row for row in changes.articles}
        lost = [
            (article_id, at)
            for article_id, at in self._withdrawn.items()
            if (row := row_of.get(article_id)) is None or row.updated < at + (not row.withdrawn)
        ]
        if lost:
            self._store.withdraw_all(lost)
        rules = changes.rules or RuleSet()
        stored_ids = {rule_id for rule_id, _ in rules.rules}
        missing = [rule for rule in self._stored_rules if rule[0] not in stored_ids]
        if missing:
            try:
                self._store.replace_rules([*rules.rules, *missing], rules.etag)
            except StaleError:  # another worker has restored them
                return True
        return bool(lost or missing)

    def _snapshot_with(self, changes: Changes) -> Snapshot | None:
        """Apply the changes, and return a snapshot that includes them."""
        snapshot = self.state.snapshot
        for row in changes.articles:
            self._folded.pop(row.id, None)
            if row.withdrawn:
                self._live.pop(row.id, None)
                self._withdrawn[row.id] = row.updated
            elif (article := _article(row)) is not None:
                self._withdrawn.pop(row.id, None)
                self._live[row.id] = article
                if snapshot is not None and _is_newer(snapshot.model, article):
                    self._folded[row.id] = _folded_article(snapshot.model, article, row)
        if snapshot is None or not (changes.articles or changes.complete):
            return snapshot
        changed = [row.id for row in changes.articles if row.id in self._live]
        is_lifted = any(
            article_id in snapshot.withdrawn and article_id not in self._folded for article_id in changed
        )
        if changes.complete or is_lifted or snapshot.n_live > 2 * len(self._live) + _SPARE_ROWS:
            return self._snapshot_of(snapshot.model)
        snapshot = snapshot.without_withdrawn(
            {row.id: row.updated for row in changes.articles if row.withdrawn}
        )
        return snapshot.with_articles(self._folded_articles(changed))

    def _snapshot_of(self, model: Model) -> Snapshot:
        """Return a snapshot of the model and all live articles."""
        for article_id, article in self._live.items():
            if article_id not in self._folded and _is_newer(model, article):
                self._folded[article_id] = fold_in(model, article)
        return Snapshot.of(model, self._withdrawn).with_articles(self._folded_articles(sorted(self._folded)))

    def _folded_articles(self, ids: Iterable[str]) -> list[tuple[Article, FoldedArticle]]:
        known_ids = [article_id for article_id in ids if article_id in self._folded]
        return [(self._live[article_id], self._folded[article_id]) for article_id in known_ids]

    def _save(self, version: int) -> tuple[str, ...]:
        """Save withdrawals and rules to the state file if they have changed; return what is degraded."""
        saved = self._saved
        if saved and (saved.withdrawn, saved.rules) == (self._withdrawn, self._stored_rules):
            return ()
        current = SavedState(version, dict(self._withdrawn), self._stored_rules)
        try:
            current.write(self._settings.state_file)
        except OSError as error:
            if "state" not in self.state.degraded:
                _log.error("cannot write the state file: %s", error)
            return ("state",)
        self._saved = current
        return ()


def _article(row: ArticleRow) -> Article | None:
    try:
        return Article.from_json(row.payload or b"null")
    except (ValueError, TypeError) as error:
        _log.error("ignoring the article %r: another version of the program wrote it: %s", row.id, error)
        return None


def _is_newer(model: Model, article: Article) -> bool:
    """Return whether an article in the store is newer than the model's, or missing there."""
    row = model.articles.ids.find(article.id)
    return row is None or article.is_newer(model.articles.article(row))


def _folded_article(model: Model, article: Article, row: ArticleRow) -> FoldedArticle:
    if row.embedding is not None and row.model_version == model.manifest.version:
        try:
            return FoldedArticle.from_bytes(row.embedding, model.vectors.latent.shape[1])
        except ValueError:
            _log.warning("cannot read the stored fold-in of %r; folding it in again", row.id)
    return fold_in(model, article)
