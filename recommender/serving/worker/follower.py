"""What one worker knows of the live newsroom: the current model, and what the store holds beside it."""

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

_SILENT_SECONDS = 5.0  # without an answer of the store, after which it counts as away
_SPARE_ROWS = 200  # earlier states of live articles that an edition carries along, beside as many as it shows


class NotReadyError(LookupError):
    """There is nothing to answer from; the message says why. `is_store` tells the store from the model."""

    def __init__(self, reason: str, *, is_store: bool) -> None:
        super().__init__(reason)
        self.is_store = is_store


@dataclass(frozen=True)
class WorkerState:
    """What a worker knows at one moment; a later moment is another state."""

    snapshot: Snapshot | None = None  # None: no model could be opened
    rules: Rules = field(default_factory=Rules)
    version: int = 0  # of the store
    withdrawn: Mapping[str, int] = field(default_factory=dict)  # ids, each with the moment in microseconds
    is_known: bool = False  # whether withdrawals and rules are known, from the store or the file
    degraded: tuple[str, ...] = ()  # what is missing: "store", "state"; "rules": their file is wrong


class Follower:
    """Follows the models folder, the file of rules and the store; `state` is what it knows.

    Withdrawals and rules are kept in a file, too. Where the store has lost some, because its database was
    lost or set back to a backup, they are put there again: only an article with a newer `updated_at` lifts a
    withdrawal. Raises RulesError for a file of rules that is wrong at the start.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._lock, self._ended = Lock(), Event()
        self._live: dict[str, Article] = {}  # all that the store holds
        self._folded: dict[str, FoldedArticle] = {}  # of those that the model does not know as they are
        self._rules_file = RulesFile(settings.rules_file)
        self._read_rules: tuple[tuple[Rule, ...], tuple[tuple[str, str], ...]] = ((), ())
        self._has_looked = False  # into the store
        self._heard = monotonic()  # when the store last answered, or failed to
        self._is_followed = False  # by the thread
        self._opened = ""  # the version of the model
        self._reason = ""  # why there is none
        self._next_try = 0.0
        self._kept = SavedState.read(settings.state_file)
        seen = self._kept or SavedState()
        self._withdrawn, self._stored_rules = dict(seen.withdrawn), seen.rules
        is_known = self._kept is not None
        self.state = WorkerState(is_known=is_known, version=seen.version, withdrawn=seen.withdrawn)
        self.refresh()

    @property
    def snapshot(self) -> Snapshot:
        """The edition to answer from. Raises NothingOpenError where it must not, or cannot, be known."""
        if self.state.snapshot is None:
            self.refresh()
        state = self.state
        if state.snapshot is None:
            raise NotReadyError(self._reason, is_store=False)
        if not state.is_known:
            told = "what was withdrawn is not known: no database answers, and nothing was kept of it"
            raise NotReadyError(told, is_store=True)
        return state.snapshot

    @property
    def degraded(self) -> tuple[str, ...]:
        """What is missing. A store that neither answers nor fails is missing, too."""
        degraded = self.state.degraded
        is_silent = self._is_followed and monotonic() - self._heard > _SILENT_SECONDS
        return ("store", *degraded) if is_silent and "store" not in degraded else degraded

    def refresh(self) -> None:
        """Take up what has changed in the models folder, the file of rules and the store."""
        with self._lock:
            self._follow_model()
            self._follow_store()
            self._heard = monotonic()
            self._follow_rules()

    def file_rules(self) -> tuple[Rule, ...]:
        """Return the rules of the file, which nobody can change but there."""
        return self._rules_file.rules()

    def start(self) -> None:
        """Refresh in a thread, every `live_poll_seconds`, until `stop`."""
        self._is_followed = True
        Thread(target=self._run, name="live", daemon=True).start()

    def stop(self) -> None:
        """End the thread of `start`."""
        self._is_followed = False
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._settings.live_poll_seconds):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - the outermost loop of a thread, which must go on
                # Better no answer than one that holds what has been withdrawn meanwhile.
                self.state = replace(self.state, is_known=False)
                _log.exception("the newsroom cannot be followed")

    def _follow_model(self) -> None:
        if monotonic() < self._next_try:
            return
        try:
            if current_version(self._settings.models_dir) == self._opened:
                return
            model = open_current(self._settings.models_dir, verify=self._settings.verify)
        except ArtifactError as error:
            self._reason = str(error)
            self._next_try = monotonic() + self._settings.model_retry_seconds
            _log.warning("no %s is open: %s", "newer model" if self._opened else "model", error)
            return
        self._folded = {}
        self.state = replace(self.state, snapshot=self._built(model))
        self._opened = model.manifest.version

    def _follow_store(self) -> None:
        try:
            changes = self._changes()
        except StoreDownError as error:
            if "store" not in self.state.degraded:
                _log.warning("the database is away: %s", error)
            self.state = replace(self.state, degraded=("store",))
            return
        if changes.complete:
            self._live, self._withdrawn, self._folded = {}, {}, {}
        snapshot = self._with(changes)
        if changes.rules is not None:
            self._stored_rules = changes.rules.rules
        degraded = self._keep(changes.version)
        withdrawn = snapshot.withdrawn if snapshot is not None else dict(self._withdrawn)
        self.state = replace(
            self.state, snapshot=snapshot, version=changes.version, withdrawn=withdrawn, is_known=True,
            degraded=degraded,
        )  # fmt: skip

    def _follow_rules(self) -> None:
        written = (self._rules_file.rules(), self._stored_rules)
        if written != self._read_rules:
            stored, unread = read_stored(self._stored_rules)
            for rule_id in unread:
                _log.error("nobody can read the rule %s: it was written by another program", rule_id)
            self._read_rules = written
            self.state = replace(self.state, rules=Rules((*written[0], *stored)))
        if self._rules_file.fault is not None:
            self.state = replace(self.state, degraded=(*self.state.degraded, "rules"))

    def _changes(self) -> Changes:
        """Return what is new in the store, or at the first look all; what it has lost is put there again."""
        changes = self._store.changes(self.state.version)
        if changes.complete and self.state.version:
            _log.warning("the database is another, or set back; what was withdrawn stays so")
            if self._put_again(changes):
                return self._store.changes()
        is_first, self._has_looked = not self._has_looked, True
        # What was kept of the last run tells of withdrawals and rules; the articles are missing still.
        return self._store.changes() if is_first and not changes.complete else changes

    def _put_again(self, found: Changes) -> bool:
        """Give the store the withdrawals and rules that it has lost; returns whether there were any."""
        row_of = {row.id: row for row in found.articles}
        lost = [
            (article_id, at)
            for article_id, at in self._withdrawn.items()
            if (row := row_of.get(article_id)) is None or row.updated < at + (not row.withdrawn)
        ]
        if lost:
            self._store.withdraw_all(lost)
        rules = found.rules or RuleSet()
        known = {rule_id for rule_id, _ in rules.rules}
        missing = [rule for rule in self._stored_rules if rule[0] not in known]
        if missing:
            try:
                self._store.replace_rules([*rules.rules, *missing], rules.etag)
            except StaleError:  # another worker was faster
                return True
        return bool(lost or missing)

    def _with(self, changes: Changes) -> Snapshot | None:
        """Take up the changes, and return the edition with them."""
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
        lifted = any(each in snapshot.withdrawn and each not in self._folded for each in changed)
        if changes.complete or lifted or snapshot.n_live > 2 * len(self._live) + _SPARE_ROWS:
            return self._built(snapshot.model)
        snapshot = snapshot.without_withdrawn(
            {row.id: row.updated for row in changes.articles if row.withdrawn}
        )
        return snapshot.with_articles(self._placed(changed))

    def _built(self, model: Model) -> Snapshot:
        """Return an edition of the model with all that is live."""
        for each, article in self._live.items():
            if each not in self._folded and _is_newer(model, article):
                self._folded[each] = fold_in(model, article)
        return Snapshot.of(model, self._withdrawn).with_articles(self._placed(sorted(self._folded)))

    def _placed(self, ids: Iterable[str]) -> list[tuple[Article, FoldedArticle]]:
        return [(self._live[each], self._folded[each]) for each in ids if each in self._folded]

    def _keep(self, version: int) -> tuple[str, ...]:
        """Keep withdrawals and rules in the file where they have changed; returns what is degraded by it."""
        kept = self._kept
        if kept and (kept.withdrawn, kept.rules) == (self._withdrawn, self._stored_rules):
            return ()
        seen = SavedState(version, dict(self._withdrawn), self._stored_rules)
        try:
            seen.write(self._settings.state_file)
        except OSError as error:
            if "state" not in self.state.degraded:
                _log.error("withdrawals and rules cannot be kept: %s", error)
            return ("state",)
        self._kept = seen
        return ()


def _article(row: ArticleRow) -> Article | None:
    try:
        return Article.from_json(row.payload or b"null")
    except (ValueError, TypeError) as error:
        _log.error("nobody can read the article %r: it was written by another program: %s", row.id, error)
        return None


def _is_newer(model: Model, article: Article) -> bool:
    """Tell whether an article of the store is newer than what the model holds of it, if it does."""
    row = model.articles.ids.find(article.id)
    return row is None or article.is_newer(model.articles.article(row))


def _folded_article(model: Model, article: Article, row: ArticleRow) -> FoldedArticle:
    if row.embedding is not None and row.model_version == model.manifest.version:
        try:
            return FoldedArticle.from_bytes(row.embedding, model.vectors.latent.shape[1])
        except ValueError:
            _log.warning("the placement of %r cannot be read, and is computed again", row.id)
    return fold_in(model, article)
